"""How each kind of place is read: one module per protocol."""
