"""What script.py does, in packages; docs/architecture.md says what is where."""
