"""misp."""
