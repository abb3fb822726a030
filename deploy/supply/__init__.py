"""What is installed, from where, and who checked it: ``.venv/bin/python -m deploy.supply`` answers.

``pyproject.toml`` has what is wanted, and the files of requirements what comes of it, with hashes.
"""

# All that a site may install: a run, the optional packages, and what the Function has of its own.
SHIPPED = "azure_function/requirements.txt"
