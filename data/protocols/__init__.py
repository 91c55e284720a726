"""Read files of rows and rasters: one module per protocol."""
