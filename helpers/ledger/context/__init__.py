"""What the ledger knows of actors, techniques, organisations and relationships, and of MISP's clusters."""
