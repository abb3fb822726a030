"""What shows and matches MISP's indicators within Microsoft Sentinel: a workbook, and analytics rules.

``queries`` are the workbook's, ``rules`` the rules in the form that Sentinel's content repositories have, and
``tables.yaml`` the columns that they may use. The JSON files beside it are made of these:
``.venv/bin/python -m deploy.sentinel`` writes them anew.
"""
