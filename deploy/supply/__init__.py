"""What is installed, from where, and who checked it: ``.venv/bin/python -m deploy.supply`` answers.

``pyproject.toml`` has what is wanted, and the files of requirements what comes of it, with hashes.
"""
