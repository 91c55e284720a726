"""The cost criterion: the time and money that each way to close the shortfall takes."""
