"""The attack: what strangers, faults and broken neighbours try, and what came of it. ``python -m tests.attack``."""
