"""Hold files and tables to what they promise: TOML to models, tables to layers, units to units."""
