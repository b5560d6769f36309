# A clone needs Python 3.11+ and make, nothing else. Every target sets up ./.venv first: a minute or two
# the first time, nothing to do the next. Options: PYTHON=python3.12 picks the interpreter of a new
# .venv, ARGS="-k ground" goes on to pytest.

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help setup demo test check test-model test-integrations test-lowest test-pythons \
        bench docs format lock clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1: /p' Makefile | while IFS=: read -r name does; do \
	    printf '  make %-18s%s\n' "$$name" "$$does"; done

setup: ## make ./.venv, with the b2ner command, the embedded model and the tools
	@sh scripts/set-up .venv embedded,dev

demo: setup ## find entities in two texts, English and Chinese
	@sh scripts/demo $(BIN)/b2ner

test: setup ## the tests, those that take long apart
	@$(PYTEST) $(ARGS)

check: setup ## formatting, lint, types, import layers, generated docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/cli_reference.py --check

test-model: setup ## the tests that run the embedded model for long
	@$(PYTEST) -m model $(ARGS)

test-integrations: setup ## the tests that need other environments, servers or browsers
	@$(PYTEST) -m integration $(ARGS)

test-lowest: ## the tests on the lower bounds of pyproject.toml, in .venv-lowest
	@sh scripts/set-up .venv-lowest embedded,dev lowest
	@.venv-lowest/bin/python -m pytest $(ARGS)

test-pythons: ## the torch-free tests on Python 3.12 and 3.13, where those are there
	@sh scripts/test-pythons $(ARGS)

bench: setup ## documents a second, against plain generation: ARGS="--data DIR"
	@$(BIN)/python benchmarks/throughput.py $(ARGS)

docs: setup ## write docs/reference/cli.md from the commands
	@$(BIN)/python scripts/cli_reference.py

format: setup ## put the code into the house form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: ## write constraints.txt from what pip finds today
	@sh scripts/lock

clean: ## remove environments, caches and builds; the model cache stays (b2ner cache clear)
	rm -rf .venv .venv-* build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis \
	    .import_linter_cache
	find src tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +
