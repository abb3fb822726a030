"""A site's ``config.py``, and who else may change it, or the directory that runs write into."""
