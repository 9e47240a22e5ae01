# One command each; `make help` lists them. PYTHON and VENV may be given: make demo PYTHON=python3.12
PYTHON ?= python3
VENV ?= .venv
DEMO ?= out/demo

BIN := $(VENV)/bin
# Compiling every file of every package costs more than compiling the imported ones on first use.
INSTALL := $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt

.PHONY: help demo test test-slow check bench clean
.DEFAULT_GOAL := help

help:  ## Lists these targets.
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.installed  ## Maps a simulated flood scene with the shipped weights, from nothing.
	@$(BIN)/flora demo --out $(DEMO)

test: $(VENV)/.installed-dev  ## Runs the quick tests (about ten minutes on 2 cores).
	$(BIN)/python -m pytest -q

test-slow: $(VENV)/.installed-dev  ## Runs every test, the slow ones too.
	$(BIN)/python -m pytest -q -m 'slow or not slow'

check: $(VENV)/.installed-dev  ## Checks style, types and the direction of imports.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.installed-dev  ## Measures speed; one JSON a benchmark, under out/benchmarks.
	@mkdir -p out/benchmarks
	@for script in benchmarks/*.py; do \
	  echo "$$script" && $(BIN)/python "$$script" --out "out/benchmarks/$$(basename "$$script" .py).json" || exit 1; \
	done

clean:  ## Removes what tests and demos wrote; the environment stays.
	rm -rf out .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find flora tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps keep a second run from asking pip again; they age with the files that decide what is installed.
$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else 1)' \
	  || { echo "$(PYTHON) is older than 3.11; name a newer one: make demo PYTHON=python3.12" >&2; exit 1; }
	@echo "Creating $(VENV)" && $(PYTHON) -m venv $(VENV) && touch $@

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/.created
	@echo "Installing FLoRA and what predicting needs (minutes, once)" && $(INSTALL) -e . && touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(VENV)/.created
	@echo "Installing what the tests need as well (minutes, once)" && $(INSTALL) -e '.[dev]' && touch $@ $(VENV)/.installed
