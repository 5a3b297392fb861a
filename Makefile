# Everything one does here. `make` alone lists it.
PYTHON ?= python3
STORE ?=
SEED ?= 7
LAB ?=
NOTEBOOKS ?=
OUT ?=
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help venv run test full lab check format lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: .venv/installed ## make .venv from requirements.lock

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Expected Python 3.11 or newer, found $$($(PYTHON) --version 2>&1) as $(PYTHON)." >&2; \
		echo "Name another one: make venv PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: venv ## execute every notebook, or NOTEBOOKS=some, into build/reports (STORE=url or cassandra, SEED=number)
	$(BIN)/eslab run $(NOTEBOOKS) --seed $(SEED) $(if $(STORE),--store '$(STORE)') $(if $(OUT),--out '$(OUT)')

test: venv ## the quick test suite
	$(BIN)/python -m tests.support.suites -m "not full"

full: venv ## every test, with browser, real Cassandra and long runs
	$(BIN)/python -m tests.support.suites

lab: venv ## open JupyterLab on the first lesson (LAB=options, such as --no-browser)
	JUPYTER_CONFIG_PATH="$(CURDIR)/.jupyter:$$JUPYTER_CONFIG_PATH" $(BIN)/jupyter lab notebooks/00_start_here.ipynb $(LAB)

check: venv ## ruff, pyright and the rules of import
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports --no-logo

format: venv ## put the code into its form
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: venv ## resolve the dependencies anew into requirements.lock
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --no-annotate --upgrade --quiet -o requirements.lock

clean: ## remove what was built; .venv stays
	rm -rf build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
