"""Logs: the tables of a workspace that hold alerts and incidents, and the two endpoints that answer queries of them."""
