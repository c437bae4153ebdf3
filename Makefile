# The one door: `make up`, `make test`, `make check`, … CI calls the same verbs.
.DEFAULT_GOAL := help
BIN := .venv/bin

.PHONY: help
help: ## show the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

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
docs: .venv ## write the generated pages of docs/
	$(BIN)/python docs/generate_dags.py

.PHONY: bench-parse
bench-parse: .venv ## parse all DAG files beside as many trivial ones
	$(BIN)/python tests/bench/parse.py
