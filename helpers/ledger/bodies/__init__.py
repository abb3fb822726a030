"""How objects stand in the ledger as they are sent: packed, and what of them is counted."""
