# Every target sets up what it needs; `make venv` does only that. PYTHON=... picks an interpreter (3.11 or newer).
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
EXAMPLES := $(patsubst %/pyproject.toml,%,$(wildcard examples/*/pyproject.toml))
FORMATTED := kroma_core plugins tests bench peers examples
RECORDING := tests/vectors/data/op-chains/blobs-jovian.json.xz

.PHONY: run venv test test-slow test-all peers test-peers lint format bench clean

run: $(STAMP)
	@$(BIN)/kroma replay $(RECORDING)

venv: $(STAMP)

$(STAMP): requirements.txt constraints.txt pyproject.toml $(wildcard plugins/*/pyproject.toml)
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or newer found; say PYTHON=/path/to/python" >&2; exit 1; }
	@echo "making $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) hatchling editables
	@$(PIP) --no-build-isolation --requirement requirements.txt
	@touch $@

test: $(STAMP)
	$(BIN)/pytest
	@echo "not run: tests against real peers (make test-peers) and those marked slow (make test-all)"

test-slow: $(STAMP)
	$(BIN)/pytest --all -m slow

test-all: test test-slow

peers: $(STAMP)
	@$(BIN)/python peers/build.py

test-peers: peers
	$(BIN)/pytest -m peers

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check $(FORMATTED)
	$(BIN)/mypy
	@for example in $(EXAMPLES); do \
		echo "mypy $$example"; MYPYPATH=$$example:$$example/tests $(BIN)/mypy $$example || exit 1; done

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format $(FORMATTED)

bench: $(STAMP)
	$(BIN)/python -m bench.run

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
