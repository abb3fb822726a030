"""A MISP and an Azure on loopback, for trying out and for tests."""
