"""The only package that combines the criteria: how many machines fit on each site, and where."""
