"""``explain``: where something stands, or why it is not there; what the ledger knows, and what MISP shows."""
