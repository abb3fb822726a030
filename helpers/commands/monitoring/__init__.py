"""How it stands, for whoever looks: what the ledger knows of each destination, and the verdict over it."""
