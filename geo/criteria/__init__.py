"""One module per question: grid, fuel, pad, noise. None of them knows another."""
