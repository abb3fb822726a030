"""What is handed on of a version: ``.venv/bin/python -m deploy.release DIRECTORY`` makes it of what git has."""
