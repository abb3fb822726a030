"""One module for each command of ``script.py``; each is imported when it is chosen."""
