# The daily commands. `make` alone lists them.
PYTHON ?= python3
STORE ?=
SEED ?= 7
LAB ?=
NOTEBOOKS ?=
SEARCH ?= --schedules 1000000 --seconds 36000 --jobs 2
OUT ?=
NEWEST ?= python3.13
ALLOW_MISSING ?=
SOLUTIONS ?=
BIN := .venv/bin
LEFT_OUT := cli cli_hostile mutants pages project readme troubleshooting wheel your_own_aggregate
CORE := tests/payload tests/operations $(filter-out $(LEFT_OUT:%=tests/test_%.py),$(wildcard tests/test_*.py))

.DEFAULT_GOAL := help
.PHONY: help venv run test newest full lab check format lock clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: .venv/installed ## create .venv from requirements.lock

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Expected Python 3.11 or newer, found $$($(PYTHON) --version 2>&1) as $(PYTHON)." >&2; \
		echo "Name another one: make venv PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: venv ## execute the notebooks and write reports to build/reports (NOTEBOOKS=, SOLUTIONS=1, STORE=, SEED=, ALLOW_MISSING=1)
	$(BIN)/eslab run $(NOTEBOOKS) $(if $(SOLUTIONS),--solutions) --seed $(SEED) $(if $(STORE),--store '$(STORE)') $(if $(OUT),--out '$(OUT)') \
		$(if $(ALLOW_MISSING),--allow-missing)

test: venv ## run the quick tests
	$(BIN)/python -m tests.support.suites -m "not full"

# pyenv hides a version that nobody chose, so it is chosen here.
newest: venv ## run the quick tests of core, bytes and operations on NEWEST=python3.13, if it is installed
	@if PYENV_VERSION=3.13 $(NEWEST) -c pass 2>/dev/null; then $(MAKE) --no-print-directory .venv-newest/installed && \
		.venv-newest/bin/python -m pytest -m "not full and not cassandra" -o cache_dir=.pytest_cache/newest $(CORE); \
	else echo "$(NEWEST) is not installed: left out."; fi

.venv-newest/installed: requirements.lock pyproject.toml
	$(BIN)/uv venv --quiet --clear --python "$$(PYENV_VERSION=3.13 $(NEWEST) -c 'import sys; print(sys.executable)')" .venv-newest
	VIRTUAL_ENV=.venv-newest $(BIN)/uv pip install --quiet --require-hashes -r requirements.lock
	VIRTUAL_ENV=.venv-newest $(BIN)/uv pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

full: venv ## run all tests, with a browser, real Cassandra and long runs, beside a long search (SEARCH=)
	$(BIN)/python -m tests.support.suites --search '$(SEARCH)'

lab: venv ## open JupyterLab on your copies of the lessons, lab/ (LAB=options, such as --no-browser)
	@$(BIN)/eslab lessons copy lab
	JUPYTER_CONFIG_PATH="$(CURDIR)/.jupyter:$$JUPYTER_CONFIG_PATH" $(BIN)/jupyter lab lab/00_start_here.ipynb $(LAB)

check: venv ## check style, types and imports (ruff, pyright, import-linter)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports --no-logo

format: venv ## format the code and fix what ruff can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: venv ## update requirements.lock to the newest dependencies
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --no-annotate --upgrade --quiet -o requirements.lock

clean: ## remove build output; .venv stays
	rm -rf build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
