"""One package per criterion: grid, fuel, pad, noise and cost. They do not import each other."""
