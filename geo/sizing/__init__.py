"""The only place where the criteria meet: how many machines each site carries, and where."""
