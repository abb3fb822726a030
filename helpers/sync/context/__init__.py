"""What stands beside indicators: which of it is wanted at a destination, and how it is brought in step there."""
