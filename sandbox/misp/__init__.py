"""The sandbox's MISP: app.py has its state and its routes; store.py, edits.py and clusters.py what it holds."""
