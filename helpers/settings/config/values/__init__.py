"""What single values of a site mean, where that is more than their type."""
