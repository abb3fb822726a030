"""Patterns of plain values, made by filling in what misp-stix made of an example of each type."""
