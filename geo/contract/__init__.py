"""Check TOML files against models, and tables against layers and facts; convert units."""
