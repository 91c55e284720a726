"""The cost criterion: the time and money that each way of closing the shortfall takes."""
