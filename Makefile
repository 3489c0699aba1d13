# `make run` sets everything up and starts training in the terminal; `make test` sets everything up and runs every check.
# What has been done is remembered by stamps inside the virtual environment, so that the next time costs nothing.
#
#   make run ARGS="--steps 1M --seed 3"     more options for perx-tui
#   make run PYTHON=python3.12              another interpreter for the virtual environment
#   make run TORCH="torch==2.12.*"          another PyTorch (2.11 to 2.13), asked for only where none is installed

PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.13.0
PROFILE ?= breakout.toml
ARGS ?=

BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq install
SOURCES := $(wildcard pyproject.toml setup.py MANIFEST.in c_envs/*.[ch] c_envs/*/*.[ch] engine/*.[ch] engine/*/*.[ch])
CODE := c_envs engine perx_tui
EVERYWHERE := not slow and not gpu

.PHONY: run test lint types test-c test-python test-gpu bench soak resizes ssh fuzz sanitize setup clean help
.DEFAULT_GOAL := help

help:
	@echo "make run      set up, then train breakout in the terminal (options in ARGS=\"...\")"
	@echo "make test     set up, then run every check: lint, types, the C tests, the Python tests"
	@echo "make test-gpu the tests that need a GPU; elsewhere they are skipped, or tried with ARGS=--pretend-gpu"
	@echo "make lint     format and lint checks, and the type checker"
	@echo "make bench    how fast environments and training are on this machine"
	@echo "make soak     an hour of training under pauses, edits, viewers, resizes, signals and kills (ARGS=\"--minutes 3\")"
	@echo "make resizes  2,000 sizes of the terminal while it trains: what they cost and what they leave"
	@echo "make ssh      the program in tmux at the far end of an SSH connection to this machine, which is cut"
	@echo "make fuzz     100,000 hostile profiles, requests and answers"
	@echo "make sanitize 10 million random steps of each environment under the sanitizers"
	@echo "make clean    remove what was built; runs/ stays"

run: $(STAMPS)/installed
	@$(BIN)/perx-tui --profile $(PROFILE) $(ARGS)

test: lint test-c test-python

lint: $(STAMPS)/installed $(STAMPS)/developer
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --strict $(CODE)

test-c:
	$(MAKE) --no-print-directory -C c_envs test

# Half of the time a test waits: for a program, a screen, a disk. What judges times comes last, by itself.
test-python: $(STAMPS)/installed $(STAMPS)/developer
	$(BIN)/python -m pytest -m "$(EVERYWHERE) and not alone" --numprocesses logical --maxprocesses 8 --dist worksteal
	$(BIN)/python -m pytest -m "$(EVERYWHERE) and alone"

# Tests of what runs on a GPU; without one each says that it was skipped.
test-gpu: $(STAMPS)/installed $(STAMPS)/developer
	$(BIN)/python -m pytest -m gpu -rs $(ARGS)

bench: $(STAMPS)/installed
	@$(BIN)/python -m c_envs.bench
	@$(BIN)/perx-tui bench $(ARGS)

# Proofs that take too long for every change; each ends with what it found, and with an error where that was a fault.
soak resizes ssh fuzz: $(STAMPS)/installed $(STAMPS)/developer
	@$(BIN)/python -m tests.measure.$@ $(ARGS)

sanitize:
	$(MAKE) --no-print-directory -C c_envs sanitize $(ARGS)

setup: $(STAMPS)/installed $(STAMPS)/developer

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -f c_envs/*.so engine/*.so
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	$(MAKE) --no-print-directory -C c_envs clean

# A Debian without python3-venv has no ensurepip: the second way borrows the interpreter's own pip.
$(STAMPS)/venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "perx-tui needs Python 3.11 or newer, and '$(PYTHON)' is not that: make run PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' || \
	  { echo "The headers of '$(PYTHON)' are missing (Debian, Ubuntu: apt install python3-dev)" >&2; exit 1; }
	@echo "making the virtual environment $(VENV)"
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || \
	  { $(PYTHON) -m venv --without-pip $(VENV) && $(PYTHON) -m pip --python $(BIN)/python -qq install pip; }
	@mkdir -p $(STAMPS) && touch $@

# PyTorch comes first and by its exact version: what is installed already is kept, and nothing newer is fetched instead.
$(STAMPS)/torch: $(STAMPS)/venv
	@$(BIN)/python -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("torch") is None)' || \
	  { echo "installing PyTorch (once; a large download)"; $(PIP) '$(TORCH)'; }
	@touch $@

$(STAMPS)/installed: $(STAMPS)/torch $(SOURCES)
	@echo "installing perx-tui and building its C code"
	@$(PIP) --editable .
	@touch $@

$(STAMPS)/developer: pyproject.toml | $(STAMPS)/installed
	@echo "installing the development tools"
	@$(BIN)/python -c 'import tomllib; \
	  extras = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]; \
	  print(*extras["dev"], sep="\n")' > $(STAMPS)/dev-requirements.txt
	@$(PIP) --requirement $(STAMPS)/dev-requirements.txt
	@touch $@
