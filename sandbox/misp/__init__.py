"""The sandbox's MISP: app.py has its state and its routes, store.py and edits.py its events, clusters.py its clusters."""
