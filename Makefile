# Everything runs from .venv, which the first target that needs it makes from requirements.lock.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: help setup demo test lint lock clean
help: ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/'

setup: $(STAMP) ## make .venv from requirements.lock

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Linewright needs Python 3.11 or later; set PYTHON=/path/to/python3.11")'
	@echo "Setting up .venv from requirements.lock: several minutes and 8 GB, once."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-compile --requirement requirements.lock
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@# On every processor, where pip compiles on one; what packages ship that is no Python, such as templates, is left.
	@$(BIN)/python -m compileall -q -j 0 .venv/lib > /dev/null 2>&1 || true
	@touch $@

demo: $(STAMP) ## run the whole loop on the two embedded lines
	@$(BIN)/linewright demo

test: lint ## run the checks and all tests that this machine can run
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

lock: ## resolve requirements.lock anew (needs uv)
	uv pip compile --python-version 3.11 --no-annotate --no-header --group dev pyproject.toml --output-file requirements.lock --upgrade

clean: ## remove caches; keeps .venv and workspaces
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache build
