"""The generator and what stands with it: power and fuel demand, blocks of machines, tanks."""
