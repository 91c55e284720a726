"""What time and money each way of closing the gap takes."""
