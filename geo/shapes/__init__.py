"""Geometry: distances between shapes, rasters, rectangles that fit, adjoining parcels, slopes."""
