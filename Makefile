# The one door: `make up`, `make test`, `make check`, … CI calls the same verbs.
.DEFAULT_GOAL := help
BIN := .venv/bin

.PHONY: help
help: ## show the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The first Python that works and is 3.11 to 3.13 makes the environment; the lock decides what is in it.
SUITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
  "$$p" -c '$(SUITS)' >/dev/null 2>&1 && { echo "$$p"; break; }; done)
UV_VERSION := $(shell sed -n '/^name = "uv"$$/{n;s/version = "\(.*\)"/\1/p;}' uv.lock)

.venv: .venv/.installed

.venv/.installed: uv.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 to 3.13 is needed: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; }
	@test -x $(BIN)/uv || $(PYTHON) -m venv .venv || { echo "Python's venv module is missing: install python3-venv." >&2; exit 1; }
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@echo "installing the locked packages"
	@UV_COMPILE_BYTECODE=1 $(BIN)/uv sync --frozen --quiet
	@touch $@

.PHONY: up
up: .venv ## start everything and run each operation once through Airflow
	@$(BIN)/python -m deploy.embedded up

.PHONY: down
down: .venv ## stop everything
	@$(BIN)/python -m deploy.embedded down

.PHONY: status
status: .venv ## what runs, whether it is healthy, and its memory
	@$(BIN)/python -m deploy.embedded status

.PHONY: check
check: .venv ## format, lint, types, import rules, migrations: seconds
	$(BIN)/ruff format --check -q .
	$(BIN)/ruff check -q .
	$(BIN)/mypy --no-error-summary
	PYTHONPATH=include/django_app:plugins $(BIN)/lint-imports --no-logo >/dev/null || PYTHONPATH=include/django_app:plugins $(BIN)/lint-imports
	DJANGO_SETTINGS_MODULE=config.offline $(BIN)/python -W ignore include/django_app/manage.py makemigrations --check --dry-run

.PHONY: test
test: .venv ## every test: units on real servers, DAG policies, end to end on a stack of its own
	$(BIN)/pytest -q

.PHONY: docs
docs: .venv ## write what is generated: docs/dags.md and requirements.txt
	$(BIN)/python docs/generate_dags.py
	$(BIN)/uv export --frozen --no-default-groups --no-header --no-annotate --quiet --output-file requirements.txt

.PHONY: bench-parse
bench-parse: .venv ## parse all DAG files beside as many trivial ones
	@$(BIN)/python tests/bench/parse.py
