"""The sandbox's Azure: app.py has its state, and a module for each of its services."""
