"""The rooms of the house; docs/architecture.md is the plan."""
