# Everything a developer types. Each target sets up what it needs; a second run costs nothing.
.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin
export MAKE_GOAL = $(MAKECMDGOALS)

.PHONY: help set-up run test lint audit bench pictures lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

set-up:
	@.ci/bootstrap

run: set-up ## set up, then run healthd against an emulated production on this machine
	@exec $(BIN)/healthd sandbox start

test: set-up ## install the servers the tests need (as root) and run the whole suite
	@.ci/servers
	@.ci/kube-apiserver
	@.ci/kubernetes-tools
	@# bytecode is kept, whatever the environment says: every process of the suite starts faster for it
	@exec env -u PYTHONDONTWRITEBYTECODE $(BIN)/pytest -n 3 --dist loadgroup $(ARGS)

lint: set-up ## ruff, mypy --strict, and which package may import which
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

audit: set-up ## hold the shipped dependencies against known vulnerabilities
	@exec .ci/audit

bench: set-up ## measure; prints the table that the README quotes
	@exec $(BIN)/python -m tests.benchmarks $(ARGS)

pictures: set-up ## take the pictures in the documentation again
	@exec $(BIN)/python -m tests.pictures $(ARGS)

lock: ## resolve the dependencies again into uv.lock (ARGS=--upgrade for the newest)
	@.ci/lock $(ARGS)

clean: ## remove everything that is not source
	rm -rf .venv .cache .sandbox .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
