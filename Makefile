# make demo    train, verify and compare two networks on synthetic faces, in minutes, on a CPU
# make test    the tests
# make test-fast  those that take under a minute together, for while you edit
# make test-long  further cases of half a minute each, which make test leaves out
# make attack  kills, damaged files, full disks: all trials, half an hour; it writes the table of docs/reliability.md
# make setup   .venv with the pinned packages; both of the above do it themselves
# make lint    what a change must pass beside the tests
# make docs    the documentation as a site, in site/; a broken link is an error
# make package the wheel, installed with the lowest versions allowed, used in an empty folder and tested

PYTHON ?= python3
RUN := .venv/bin/python
READY := .venv/.ready

.PHONY: demo test test-fast test-long attack setup lint docs package

demo: $(READY)
	$(RUN) scripts/demo.py

test: $(READY)
	$(RUN) -m pytest --numprocesses auto --dist loadfile -m "not long"

test-long: $(READY)
	$(RUN) -m pytest --numprocesses auto --dist loadfile -m long

test-fast: $(READY)
	$(RUN) -m pytest --numprocesses auto --dist loadfile -m "not slow"

attack: $(READY)
	rm -rf outputs/attack
	ATTACK=whole ATTACK_ROWS=outputs/attack $(RUN) -m pytest tests/attack --numprocesses auto --dist worksteal

setup: $(READY)

lint: $(READY)
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/pyright
	.venv/bin/lint-imports

docs: $(READY)
	.venv/bin/mkdocs build --strict

package: $(READY)
	PYTHON=$(PYTHON) .ci/package

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "facerec needs Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0] + ": make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(RUN) -m pip install --quiet --requirement requirements.lock
	$(RUN) -m pip install --quiet --no-deps --editable .
	@touch $@
