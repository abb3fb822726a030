"""Files that tests need: certificates with their keys, and files that are none."""
