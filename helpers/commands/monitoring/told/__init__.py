"""Somebody is told how runs went: by pings, and by messages. Nothing that they are told quotes MISP or Microsoft."""
