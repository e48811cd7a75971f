# One command each: `make lab` to work, `make test` to check everything. Needs Python 3.11+ and its venv module.

SHELL := /bin/sh
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.nadg-setup
NOTEBOOK := notebooks/01_control_panel.ipynb
# Root, as in a container, has to tell JupyterLab that it means it.
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)
# Without a browser the URL that is printed is all there is: it leads to the notebook.
NO_BROWSER := $(if $(filter 1,$(NADG_NO_BROWSER)),--no-browser --LabApp.default_url=/lab/tree/$(notdir $(NOTEBOOK)))
SOURCES := nadg_kernel worker-node tests $(wildcard benchmarks)
PYTEST := $(BIN)/python -m pytest --durations=12
DAILY := not soak and not bench

LOWEST := .venv-lowest

.PHONY: help setup lab test test-lowest lint types soak bench sync-wire docs format clean screenshots

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

setup: $(STAMP) ## make .venv and install everything that the lock names

# An environment holds absolute paths: one that was moved, or whose Python is gone, is made anew.
WHOLE := $(shell test -x $(BIN)/python && test "$$(cat $(STAMP) 2>/dev/null)" = "$(CURDIR)" && echo yes)
ifneq ($(WHOLE),yes)
.PHONY: $(STAMP)
endif

# PYTHON=python3.13 chooses another interpreter.
$(STAMP): pyproject.toml uv.lock
	@set -eu; \
	usable() { "$$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }; \
	if test -s $(STAMP) && test "$$(cat $(STAMP))" != "$(CURDIR)"; then rm -rf $(VENV); fi; \
	if ! usable $(BIN)/python; then \
	  found=; \
	  for candidate in $(if $(PYTHON),"$(PYTHON)",python3 python3.13 python3.12 python3.11 python3.14 python); do \
	    if usable "$$candidate"; then found=$$candidate; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "NADG needs Python 3.11 or newer$(if $(PYTHON),; $(PYTHON) is not that)." >&2; \
	    echo "Install it (python.org, your package manager, or conda) or name one: make $(or $(MAKECMDGOALS),setup) PYTHON=/path/to/python3.12" >&2; \
	    exit 1; \
	  fi; \
	  if ! "$$found" -c 'import venv, ensurepip' 2>/dev/null; then \
	    echo "$$found has no venv module. On Debian and Ubuntu: apt-get install python3-venv" >&2; \
	    exit 1; \
	  fi; \
	  rm -rf $(VENV); \
	  "$$found" -m venv $(VENV); \
	fi; \
	if ! $(BIN)/uv --version >/dev/null 2>&1; then \
	  $(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip --default-pip >/dev/null; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check uv || { \
	    echo "Could not install uv: is the Python package index reachable from here?" >&2; exit 1; }; \
	fi; \
	env -u VIRTUAL_ENV UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT=$(VENV) \
	  $(BIN)/uv sync --quiet --locked --all-extras --inexact --python $(BIN)/python || { \
	    echo "Could not install the packages that uv.lock names (see above)." >&2; exit 1; }; \
	echo "$(CURDIR)" > $(STAMP)

lab: setup ## open JupyterLab on the control panel (NADG_NO_BROWSER=1 keeps the browser shut)
	$(BIN)/jupyter lab $(AS_ROOT) $(NO_BROWSER) $(NOTEBOOK)

# The tests that start many processes go first, in two groups. The others wait a lot (browsers, processes, patience): three
# at once keep two processors busy.
test: setup lint types ## lint, types, then every test, browser and notebooks too (NADG_TEST_STRICT=1: a skip fails)
	@if grep -rqs "mark\.serial" tests; then $(PYTEST) -n 2 --dist loadgroup -m "serial and $(DAILY)"; fi
	$(PYTEST) -n 3 --dist loadgroup -m "not serial and $(DAILY)" --nbmake --nbmake-kernel=python3 tests $(wildcard notebooks)

# The declared floors, as Colab or an old environment may have them; their deprecation warnings are not ours. The lowest
# ipywidgets says nothing about the browser's half of it: with another major version widgets stay blank.
test-lowest: setup ## the tests without browser and notebooks, on the lowest versions that pyproject.toml allows
	$(BIN)/python -m venv --clear $(LOWEST)
	echo "jupyterlab_widgets<2" > $(LOWEST)/fits.txt
	$(BIN)/uv pip compile --quiet --resolution lowest-direct --all-extras --constraints $(LOWEST)/fits.txt pyproject.toml \
	  --output-file $(LOWEST)/lowest.txt
	$(BIN)/uv pip install --quiet --python $(LOWEST)/bin/python uv --requirements $(LOWEST)/lowest.txt
	$(BIN)/uv pip install --quiet --python $(LOWEST)/bin/python --no-deps --editable .
	$(LOWEST)/bin/python -m pytest -q -n 2 --dist loadgroup -W default -m "not browser and not notebook and $(DAILY)" tests

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

# What came up with a seed comes again with it. SOAK="-k chaos" narrows it down.
SEED := $(or $(SEED),$(shell date +%s))

soak: setup ## chaos, long and large cases; their seeds are printed (SEED=7 repeats)
	@echo "make soak SEED=$(SEED) repeats what follows."
	NADG_TEST_SEED=$(SEED) $(PYTEST) -q -s -m soak --timeout 1800 --hypothesis-seed=$(SEED) $(SOAK) tests

# What is only compared with. ray is large and has a group of its own: BENCH_GROUPS="bench bench-ray".
BENCH_GROUPS := bench

bench: setup ## compare speeds on this machine (BENCH="worker --quick" narrows it down; see docs/benchmarks.md)
	env -u VIRTUAL_ENV UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT=$(VENV) \
	  $(BIN)/uv sync --quiet --locked --all-extras --inexact $(BENCH_GROUPS:%=--group %) --python $(BIN)/python || \
	  echo "not everything to compare with could be installed: the tables name what is missing"
	$(BIN)/python -m benchmarks $(BENCH)

screenshots: setup ## take the README's pictures of the panel, and all others into build/screenshots
	$(BIN)/python -m tests.browser.screenshots build/screenshots
	mkdir -p docs/images
	for look in light dark; do \
	  cp build/screenshots/2_review_$$look.png docs/images/review_$$look.png; \
	  cp build/screenshots/6_run_$$look.png docs/images/run_$$look.png; done

sync-wire: setup ## give the worker its copies of the protocol and the value formats, and its requirements
	cp nadg_kernel/wire.py worker-node/
	rm -rf worker-node/values && mkdir worker-node/values && cp nadg_kernel/values/*.py worker-node/values/
	$(BIN)/uv export --quiet --locked --only-group worker --no-hashes --no-annotate --no-header \
	  --output-file worker-node/requirements.txt
	$(BIN)/python tests/worker/readme_files.py

docs: setup ## write docs/reference.md from the docstrings
	$(BIN)/python -m tests.reference

format: setup ## format and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove caches and builds; .venv stays
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis $(STAMP)
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +
