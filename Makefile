# `make repro`: install, then run the demo. `make test`: install, then run the tests.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null && echo $$p && break; done)
BIN := $(CURDIR)/.venv/bin

.PHONY: install repro test readme

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 to 3.14 is needed; install one, or name it: make PYTHON=/path/to/python $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "No virtual environment: install Python's venv (on Debian and Ubuntu: apt install python3-venv)"; exit 1; }
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[test]'
	touch $@

repro: install
	PATH="$(BIN):$$PATH" dvc repro
	@echo "The report: $(CURDIR)/reports/demo/report.html"

test: install
	PATH="$(BIN):$$PATH" python -m pytest

readme: install  # renews the generated parts of README.md from the committed records
	$(BIN)/python -m replicate.report.readme
