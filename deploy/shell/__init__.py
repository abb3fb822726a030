"""What a shell knows of ``misp2sentinel``: completion for bash, zsh and fish, and a manual page.

All of it is made of the parser of the command line: ``.venv/bin/python -m deploy.shell`` writes it anew.
"""
