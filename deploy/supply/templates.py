"""The templates of plain values: misp-stix, the one that is installed, is asked for each, and it is written down."""

from __future__ import annotations

import subprocess
import sys

from deploy.supply.pins import ROOT
from helpers.indicators import misp_stix
from helpers.indicators.templates import pattern_templates

FILE = ROOT / "helpers/indicators/templates/known.py"
_MODULE = '''"""What misp-stix gave for examples of values: written by ``python -m deploy.supply templates``. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from helpers.indicators.templates.template import PatternTemplate, Question

# The version that was asked; another one is asked itself.
VERSION = {version!r}
TEMPLATES: Mapping[Question, PatternTemplate] = {templates!r}
'''


def module() -> str:
    """Return the module that has the templates."""
    answers = {question: pattern_templates.ask(question) for question in pattern_templates.questions()}
    templates = {question: template for question, template in answers.items() if template}
    text = _MODULE.format(version=misp_stix.version(), templates=templates)
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(FILE), "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout  # noqa: S603  ruff, no word of it from outside


def write() -> None:
    """Write the module anew."""
    FILE.write_text(module(), encoding="utf-8")
