# Every target sets up what it needs: `make demo` works in a fresh clone.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
PG15 := /usr/lib/postgresql/15/bin
# Each process of pytest starts its own Postgres; tests mostly wait, so they run in parallel.
PARALLEL := --numprocesses auto

.DEFAULT_GOAL := help
.PHONY: help setup demo dev test test-all coverage check wording bench package lock

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Create the environment .venv

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "Python 3.11 or newer is needed. Name its command, for example: make setup PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python's venv module is missing. On Debian, install it with: apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

demo: $(READY) ## Show how an inserted row becomes a film; needs no set-up
	@$(BIN)/listener demo

dev: $(READY) ## Run the service with an embedded Postgres that keeps its data
	$(BIN)/listener dev --preset supabase_shim --preset export_jobs

test: $(READY) ## Run the tests; needs only this checkout
	$(BIN)/pytest --quiet $(PARALLEL)

test-all: $(READY) ## Run the tests, and again on Debian's Postgres and ffmpeg
	@test -x $(PG15)/postgres && test -x /usr/bin/ffmpeg && test -x /usr/bin/strace && test -x /usr/sbin/nginx && \
	  test -x /usr/bin/chromedriver && command -v npm >/dev/null && \
	  test -x /usr/sbin/pgbouncer && test -x /usr/bin/promtool || \
	  { echo "A program is missing. On Debian, install all with: apt install postgresql-15 ffmpeg strace nginx npm chromium chromium-driver pgbouncer prometheus"; exit 1; }
	@# The system tests mostly wait, so they run beside the others. Their output is printed at the end.
	log=$$(mktemp); $(BIN)/pytest --quiet -m system >$$log 2>&1 & system=$$!; \
	LISTENER_FFMPEG= $(BIN)/pytest --quiet $(PARALLEL); all=$$?; \
	LISTENER_TEST_PG_BIN=$(PG15) LISTENER_FFMPEG=/usr/bin/ffmpeg HYPOTHESIS_PROFILE=thorough $(BIN)/pytest --quiet \
	  $(PARALLEL) tests/store tests/sql tests/isolation tests/properties tests/engine tests/kit tests/export; old=$$?; \
	wait $$system; waited=$$?; cat $$log; rm $$log; exit $$((all | old | waited))

coverage: $(READY) ## Run the tests, or TESTS=FOLDER, and show which share of the lines they run
	@$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest --quiet $(PARALLEL) $(TESTS); status=$$?; \
	$(BIN)/coverage combine --quiet && $(BIN)/coverage json --quiet -o - | $(BIN)/python tools/show_coverage.py; exit $$status

check: $(READY) ## Check lint, types, layers, formatting and wording
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/check_public_types.py
	$(BIN)/squawk --config .squawk.toml sql/migrations/*.sql
	@$(MAKE) --no-print-directory wording

wording: $(READY) ## Find phrases that are hard to read
	$(BIN)/python tools/check_wording.py

bench: $(READY) ## Run the benchmarks
	$(BIN)/listener bench

package: $(READY) ## Build the wheel and the source distribution into dist/
	$(BIN)/python -m build --no-isolation

lock: $(READY) ## Resolve the dependencies into requirements.lock; needs uv
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  --python-version 3.11 --extra embedded --extra dev pyproject.toml --output-file requirements.lock
