"""Events on their way from MISP's answer into the ledgers and queues of all destinations."""
