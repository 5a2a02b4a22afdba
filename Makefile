# Storyrelay from a fresh clone: `make demo` and `make test` install what they need into .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := service handlers tests deploy
# of tests at once: more than processors, for a third of their time they wait for other processes
JOBS ?= 3
# the tests start hundreds of processes, each of which would compile all of it anew
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo up test test-pages test-all test-places openapi lint format bench pins clean

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Storyrelay needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another with: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "Python's venv module is missing. On Debian or Ubuntu install it once with: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.python requirements.txt pyproject.toml
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

demo: $(VENV)/.installed ## run eight stories through everything, on this machine alone
	$(BIN)/storyrelay demo

up: $(VENV)/.installed ## start the whole service on this machine
	$(BIN)/storyrelay up

test: $(VENV)/.installed-dev ## run the tests
	$(BIN)/pytest -n $(JOBS) --dist worksteal tests --ignore tests/places --ignore tests/browser

test-pages: $(VENV)/.installed-dev ## walk through every page in Chromium, which apt-get installs (minutes)
	$(BIN)/python tests/parts/chromium.py
	$(BIN)/pytest tests/browser

test-all: test test-pages ## run both, on PostgreSQL also what pages, calls, commands and handlers do, and the slow tests (minutes)
	$(BIN)/pytest -n $(JOBS) --dist worksteal --everywhere -k postgresql tests/service/web/dashboard tests/service/web/api tests/service/cli tests/handlers
	$(BIN)/pytest --everywhere tests/e2e/test_crash.py tests/e2e/test_demo.py

test-places: $(VENV)/.installed-dev ## run the connectors against real servers that npm installs (minutes, the first time)
	$(BIN)/pytest tests/places

openapi: $(VENV)/.installed ## write the JSON API's document anew
	$(BIN)/python -m service.web.write_document > docs/openapi.json.new
	mv docs/openapi.json.new docs/openapi.json

lint: $(VENV)/.installed-dev ## check style, types and layers
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev ## put the sources into shape
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

bench: $(VENV)/.installed-dev ## measure, in ratios within one run
	$(BIN)/python -m tests.bench

pins: $(VENV)/.installed-dev ## pin every dependency anew, with hashes
	$(BIN)/uv pip compile -q --upgrade --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --extra install pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile -q --upgrade --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --extra install --extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt

clean: ## remove what was installed and built; var/ stays
	rm -rf $(VENV) *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
