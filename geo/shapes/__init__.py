"""Geometry: nearest and within, rasters, rectangles that fit, adjoining parcels, slopes."""
