"""Pull a layer of an ArcGIS FeatureServer or MapServer, page by page, by object ids."""

from data.protocols.arcgis.preview import preview_layer
from data.protocols.arcgis.pull import pull_layer
from data.protocols.pulled import Protocol

__all__ = ["PROTOCOL"]

PROTOCOL = Protocol(pull_layer, preview_layer)
