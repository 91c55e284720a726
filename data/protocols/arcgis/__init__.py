"""Pull a layer of an ArcGIS FeatureServer or MapServer, page by page, by object ids."""

from data.protocols.arcgis.preview import preview
from data.protocols.arcgis.pull import pull

__all__ = ["preview", "pull"]
