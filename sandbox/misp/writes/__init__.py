"""What the sandbox's MISP is asked to change: whole events in events.py, what is in them in parts.py, proposals."""
