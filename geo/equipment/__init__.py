"""The generator and its equipment: power and fuel demand, blocks of machines, tanks."""
