"""What values that a site writes mean, where that is more than their type."""
