# make demo: try it.  make test: every test.  Needs make and Python 3.11 or newer; the tests of the ledger in PostgreSQL
# need Debian's package postgresql as well, and are skipped without it, except in CI (CI=true).

PYTHON ?= python3

VENV := .venv
BIN := $(VENV)/bin
# What make demo needs is there within half a minute, what the tests need on top of it takes longer.
SANDBOX := $(VENV)/sandbox
READY := $(VENV)/ready
BOX := .sandbox/demo
LOG := $(BOX)/state/misp2sentinel.log

INSTALL := $(BIN)/python -m sandbox.packages
NOT_INSTALLED := { \
  echo "pip could not install the packages; its words are above. Behind a proxy, set HTTPS_PROXY." >&2; exit 1; }

PYTEST := $(BIN)/pytest -n auto --dist worksteal
# Tests of what neither starts a server nor waits: the pure packages, the settings, and the project's own rules.
QUICK := tests/indicators tests/settings tests/shared tests/misp/test_search_filters.py tests/stories/test_stories.py \
  tests/microsoft/test_rate_limit.py tests/sync/test_event_selection.py tests/project/test_architecture.py
# Tests that try as many examples as tests/support/examples.py says.
SLOW := tests/sync/test_state_machine.py tests/sync/sightings/test_invariants.py tests/sync/cut_off/test_kill.py \
  tests/microsoft/test_graph.py tests/indicators/test_conversion.py tests/indicators/test_patterns.py tests/indicators/test_tags.py \
  tests/indicators/test_values.py tests/sync/identity/test_lives.py tests/sync/identity/test_ownership.py \
  tests/ledger/test_not_taken.py tests/commands/screen/test_all_screens.py tests/commands/monitoring/test_report_page.py

.PHONY: help demo tour check test test-quick test-all test-rest shell-files requirements site pictures function-zip dist clean

help:
	@echo "make demo   run the nightly job against a MISP and an Azure of its own, on this machine"
	@echo "make tour   show a night, another one, an edit in MISP, a withdrawal, an explanation, a story, a sighting"
	@echo "make test   run ruff, mypy and every test, the slow ones with few examples; takes some minutes"
	@echo "make test-quick     run the tests of the pure packages and of the settings; takes less than a minute"
	@echo "make test-all       run everything with all examples, as before a release"
	@echo "make test-rest      run the slow tests alone with all examples, as CI does after make test"
	@echo "make shell-files    write the completion and the manual page anew, after a change of the command line"
	@echo "make requirements   write the files of requirements anew, after a change of pyproject.toml's dependencies"
	@echo "make site   build the docs as a site, to open in a browser; needs no server"
	@echo "make pictures       make the pictures of the docs anew; needs Debian's chromium and graphviz"
	@echo "make function-zip   build the archive that is deployed as an Azure Function"
	@echo "make dist   build what is handed on of a version, of what is committed: wheel, source archive and their sums"
	@echo "make clean  remove what these made"
	@echo "The first of them needs the Internet once, to install Python packages into $(VENV)."
	@echo "Another Python: make demo PYTHON=python3.12"

# Without a terminal the job prints nothing when all is well, so its summary is taken from the log. 75: one is up.
demo: $(SANDBOX)
	@$(BIN)/python -m sandbox --dir $(BOX) --run -- sh -c 'rm -f $(LOG); exec $(BIN)/python script.py'; code=$$?; \
	[ $$code != 75 ] || exit $$code; \
	if [ ! -t 1 ] && [ -f $(LOG) ]; then \
	  printf '\nSummary of the run:\n'; \
	  sed -n 's/^.*INFO Summary: //p' $(LOG) | tail -n 1 | $(BIN)/python -m json.tool || true; \
	fi; \
	printf '\nWhere to look:\n'; \
	printf '  %-42s %s\n' \
	  '$(LOG)' 'the log of the run' \
	  '$(BOX)/state/parsed_indicators.txt' 'the indicators as they were sent' \
	  '$(BOX)/config.py' 'the settings that were used' \
	  'sandbox/samples/events/' 'the MISP events that were read' \
	  'docs/how-it-decides.md' 'why each was sent or skipped' \
	  'make tour' 'what follows in the nights after, step by step' \
	  '$(BIN)/python -m sandbox' 'keeps both up, with a story to share and an alert to raise'; \
	exit $$code

tour: $(SANDBOX)
	@$(BIN)/python -m sandbox.tour

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: check
	$(PYTEST)

test-all: check
	EXAMPLES=all $(PYTEST)

test-quick: $(READY)
	$(PYTEST) $(QUICK)

test-rest: $(READY)
	EXAMPLES=all-unshrunk $(PYTEST) --exitfirst $(SLOW)

shell-files: $(READY)
	$(BIN)/python -m deploy.shell

requirements: $(READY)
	$(BIN)/python -m deploy.supply locks
	@touch $(SANDBOX) $(READY)

site: $(READY)
	@$(BIN)/python -m deploy.site

pictures: $(READY)
	$(BIN)/python -m tests.project.site.pictures

function-zip:
	@$(PYTHON) azure_function/build.py dist/misp2sentinel-function.zip
	@echo "dist/misp2sentinel-function.zip: docs/azure-function.md says how to deploy it"

dist: $(READY)
	@$(BIN)/python -m deploy.release dist
	@echo "docs/deploy.md says how each is installed"

clean:
	rm -rf $(VENV) .sandbox dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(SANDBOX): requirements-sandbox.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed, and $(PYTHON) is not. On Debian and Ubuntu: apt-get install" >&2; \
	  echo "python3 python3-venv. Is it there under another name? make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
	  echo "$(PYTHON) lacks its venv module. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@[ ! -L $(VENV) ] || { \
	  echo "$(VENV) is a link, and what it leads to would be emptied. Remove the link, or touch $(SANDBOX) $(READY)." >&2; exit 1; }
	@echo "Installing the packages of the demo into $(VENV), this once; about half a minute."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(INSTALL) requirements-sandbox.txt || $(NOT_INSTALLED)
	@touch $@

$(READY): $(SANDBOX) $(wildcard requirements*.txt)
	@echo "Installing the packages of the tests into $(VENV), this once; about a minute."
	@$(INSTALL) requirements-dev.txt || $(NOT_INSTALLED)
	@touch $@
