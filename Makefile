# The commands of this project; `make help` lists them. Each works from a bare clone: what it needs is installed first.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup demo demo-server quick test test-toolchain test-all bench bench-server lint format docs requirements clean

BIN := .venv/bin

help: ## List these commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F '|' '{ printf "%-22s %s\n", $$1, $$2 }'

setup: .venv/.installed ## Virtual environment, dependencies, and a PKCS#11 module where there is none
	@scripts/pkcs11-module.sh

.venv/.dependencies: requirements/dev.txt
	@scripts/virtual-environment.sh
	@touch $@

# The version stands in kvstack/__init__.py, the entry point in pyproject.toml.
.venv/.installed: .venv/.dependencies pyproject.toml kvstack/__init__.py
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## The whole story on real data: plan, apply, drift, an HSM key at work, purge protection, a year with its events
	@scripts/demo.sh

demo-server: setup ## The vault over HTTPS: a program written for Azure's clients reads a secret and signs with a key
	@scripts/demo-server.sh

quick: setup ## The tests one runs without thinking
	@$(BIN)/python -m pytest -q -n auto -m "not slow and not toolchain"

test: setup ## The whole suite, as far as Python packages and the HSM module allow; names what it left out
	@$(BIN)/python -m pytest -q -n auto -m "not toolchain"

# pytest answers 5 where it found no test to run.
test-toolchain: setup ## Only the tests that need other toolchains (Go, Node, Java, a browser, az)
	@$(BIN)/python -m pytest -q -m toolchain || { status=$$?; [ $$status -eq 5 ] || exit $$status; }

test-all: setup ## Everything, with the tests that need other toolchains
	@$(BIN)/python -m pytest -q -n auto

bench: setup ## Measure, next to terraform and tofu where they are on the PATH; writes benchmarks/RESULTS.md
	@$(BIN)/python -m benchmarks $(BENCH)

bench-server: setup ## Measure `kvstack serve` over TLS, by wrk; BENCH_BESIDE names other servers to be asked in the same run
	@$(BIN)/python -m benchmarks.server $(BENCH)

lint: setup ## ruff, mypy --strict, and the layers of the design
	@$(BIN)/ruff format --quiet --diff .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@scripts/quietly.sh $(BIN)/lint-imports

format: setup ## Format, and mend what ruff can mend
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix .

docs: setup ## Write the reference pages that follow from code: docs/resources/, docs/cli.md
	@$(BIN)/python scripts/generate_docs.py

requirements: ## Pin the dependencies anew, with their hashes
	@scripts/requirements.sh

clean: ## Remove what was made here: the virtual environment, caches, builds
	@rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
