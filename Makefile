# `make demo` and `make test` do all the set-up: a virtual environment in .venv, with the exact versions of
# constraints.txt. The second time takes seconds.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --constraint constraints.txt --no-compile
# pip would compile one file after the other. Packages hold files for other versions of Python, which it passes over.
# A third is left out: it is compiled if it is imported, and hardly any of it is.
SELDOM := site-packages/(.*/tests/|transformers/models/|ray/(rllib|data|serve)/)
COMPILE := $(BIN)/python -m compileall -qq -j 0 -x '$(SELDOM)' $(VENV)/lib || true

# An environment holds absolute paths, so the stamps are named after this folder: after it has been moved or
# renamed, the next make installs again. Scripts of other packages would still name the old place, so tools are
# run as modules.
PLACE := $(shell pwd | cksum | cut -d ' ' -f 1)
INSTALLED := $(VENV)/installed-$(PLACE)
INSTALLED_DEV := $(VENV)/installed-dev-$(PLACE)

WORKERS := $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) + 1 )))

.DEFAULT_GOAL := help
.PHONY: help demo install test lint pytest format constraints clean

help:
	@echo "make demo         install, trace the bundled model solving mazes, show the pictures"
	@echo "make test         install, check style, types and imports, run the tests"
	@echo "make lint         the checks without the tests"
	@echo "make format       rewrite the code in the house style"
	@echo "make install      only make .venv, with everything for development"
	@echo "make constraints  take the newest versions that pyproject.toml allows into constraints.txt"
	@echo "make clean        remove .venv, caches and build outputs"

demo: $(INSTALLED)
	$(BIN)/cosinterp demo

install: $(INSTALLED_DEV)

# Side by side, since the check of types keeps one core busy for minutes.
test: $(INSTALLED_DEV)
	$(MAKE) --no-print-directory --jobs 2 lint pytest

# One thread a process: the models of the tests are tiny, and the tests run side by side, one more than there are
# cores, since some wait: for a terminal to come to rest, for a Ray to start. Files in their order,
# which has those first that take long, not those with the most tests. Bytecode is kept whatever the environment
# says, since many tests start commands, each of which would compile everything again.
pytest: $(INSTALLED_DEV)
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= \
	  $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

lint: $(INSTALLED_DEV)
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BIN)/python -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'
	$(BIN)/python -m pyright --pythonpath $(BIN)/python

format: $(INSTALLED_DEV)
	$(BIN)/python -m ruff format .
	$(BIN)/python -m ruff check --fix .

# The parts of CUDA are left out: they follow from torch, and a machine without a GPU has none.
constraints:
	rm -rf .venv-fresh
	$(PYTHON) -m venv .venv-fresh
	.venv-fresh/bin/python -m pip install --upgrade --editable ".[dev]"
	{ grep '^#' constraints.txt; \
	  .venv-fresh/bin/python -m pip freeze --exclude-editable --all \
	  | grep -v -E '^(pip|nvidia-|cuda-|triton)' | sed 's/+.*//'; } > .venv-fresh/constraints.txt
	mv .venv-fresh/constraints.txt constraints.txt
	rm -rf .venv-fresh

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(INSTALLED): $(BIN)/python pyproject.toml constraints.txt
	$(PIP) --editable .
	@$(COMPILE)
	@touch $@

$(INSTALLED_DEV): $(BIN)/python pyproject.toml constraints.txt
	$(PIP) --editable ".[dev]"
	@$(COMPILE)
	@touch $@ $(INSTALLED)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "cosinterp needs Python 3.11 or newer; '$(PYTHON)' is none."; \
	  echo "Name one that is: make $(or $(MAKECMDGOALS),demo) PYTHON=/path/to/python3.12"; exit 1; } >&2
	$(PYTHON) -m venv $(VENV)
