# Every target sets up what it needs: `make demo` works in a fresh clone.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
PG15 := /usr/lib/postgresql/15/bin
# Each process of pytest has a Postgres of its own; much of the time goes by in waiting.
PARALLEL := --numprocesses auto

.DEFAULT_GOAL := help
.PHONY: help setup demo dev test test-all check bench package lock

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Make the environment .venv

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "Python 3.11 or newer is needed; name it by: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python's venv module is missing; on Debian: apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

demo: $(READY) ## Watch an inserted row become a film (embedded Postgres, no set-up)
	@$(BIN)/listener demo

dev: $(READY) ## Run the service with an embedded Postgres that is kept
	$(BIN)/listener dev --preset supabase_shim --preset export_jobs

test: $(READY) ## Run the tests; needs nothing but this checkout
	$(BIN)/pytest --quiet $(PARALLEL)

test-all: $(READY) ## Also run them on Debian's Postgres and ffmpeg, and longer
	@test -x $(PG15)/postgres && test -x /usr/bin/ffmpeg && test -x /usr/bin/strace && \
	  test -x /usr/bin/chromedriver && command -v npm >/dev/null || \
	  { echo "Something is missing; on Debian: apt install postgresql-15 ffmpeg strace npm chromium chromium-driver"; exit 1; }
	@# What needs the system's packages mostly waits: it goes on beside the rest, and is shown at the end.
	log=$$(mktemp); $(BIN)/pytest --quiet -m system >$$log 2>&1 & system=$$!; \
	LISTENER_FFMPEG= $(BIN)/pytest --quiet $(PARALLEL); all=$$?; \
	LISTENER_TEST_PG_BIN=$(PG15) LISTENER_FFMPEG=/usr/bin/ffmpeg HYPOTHESIS_PROFILE=thorough $(BIN)/pytest --quiet \
	  $(PARALLEL) tests/store tests/sql tests/isolation tests/properties tests/engine tests/kit tests/export; old=$$?; \
	wait $$system; waited=$$?; cat $$log; rm $$log; exit $$((all | old | waited))

check: $(READY) ## Lint, check types, layers and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/squawk --config .squawk.toml sql/migrations/*.sql

bench: $(READY) ## Measure, as ratios within one run
	$(BIN)/listener bench

package: $(READY) ## Build the wheel and the source distribution into dist/
	$(BIN)/python -m build --no-isolation

lock: $(READY) ## Resolve the dependencies anew into requirements.lock (needs uv)
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  --python-version 3.11 --extra embedded --extra dev pyproject.toml --output-file requirements.lock
