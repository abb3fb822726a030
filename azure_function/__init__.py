"""The Azure Function: see docs/azure-function.md."""
