"""What sets MISP2Sentinel up in Azure: a template for the Function, and one for a role on a workspace.

``.venv/bin/python -m deploy.azure`` writes the JSON files beside it anew; docs/azure-function.md says how to deploy
them.
"""
