"""What people ask the ledger: what belongs to a value, where all of it stands, and how much there is."""
