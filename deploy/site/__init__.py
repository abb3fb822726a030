"""The docs as a static site: ``python -m deploy.site [DIRECTORY]``."""
