# Each target works alone from a fresh clone with Python >= 3.11; a second run installs nothing.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
INSTALLED := $(VENV)/installed

.PHONY: help setup demo test test-slow test-fast check clean

help: ## show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

setup: $(INSTALLED) ## make .venv with the pinned requirements

$(INSTALLED): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python >= 3.11 is needed, this is " + sys.version.split()[0] + ": make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	@touch $@

demo: $(INSTALLED) ## pretrain on generated sounds and watch a simulated brain (a few minutes)
	$(RUN) train.py experiment=demo

# Tests run side by side: threads of their own would wait for each other.
test test-slow test-fast: export OMP_NUM_THREADS ?= 1
test: $(INSTALLED) ## all tests but the slow; those of real data need ENTRAIN_DATA
	$(RUN) -m pytest -m "not slow and not gpu" -n auto --dist loadscope

test-slow: $(INSTALLED) ## all tests
	$(RUN) -m pytest -m "not gpu" -n auto --dist loadscope

test-fast: $(INSTALLED) ## every room in less than two minutes
	$(RUN) -m pytest -m "not long and not slow and not gpu" -n auto --dist loadscope

check: $(INSTALLED) ## style, types and the fast tests
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(MAKE) test-fast

clean: ## remove the environment; runs and data stay
	rm -rf $(VENV)
