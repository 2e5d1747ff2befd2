# Every command of the README. PYTHON=python3.13 chooses another Python than the first that fits.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

FITS := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c '$(FITS)' 2>/dev/null && echo $$p && break; done || echo python3)
ACTIVE := . .venv/bin/activate &&

.PHONY: help setup up down lint test test-all test-current-docker bench clean

help: ## print this
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 24

setup: ## install, build or start what is missing on this machine
	@$(PYTHON) -m toolchain setup
	@$(if $(filter setup,$(MAKECMDGOALS)),echo "Next: . .venv/bin/activate && muster init")

up: setup ## set up, start a local forge, hire the demo crew, wait for its pull request
	@$(ACTIVE) python -m toolchain demo up

down: ## remove all that `make up` made
	@$(ACTIVE) python -m toolchain demo down

lint: setup ## check style, types and spelling
	@$(ACTIVE) ruff format --check .
	@$(ACTIVE) ruff check .
	@$(ACTIVE) mypy
	@$(ACTIVE) codespell

test: lint ## set up, check style and types, run the tests (15 minutes on 2 cores)
	@$(ACTIVE) pytest --numprocesses 2 --dist worksteal

test-all: lint ## the same, and the slow combinations: faults at work, kills, moves, adoption
	@$(ACTIVE) pytest --numprocesses 2 --dist worksteal -m ""

test-current-docker: setup ## build a current Docker engine, and run tests against it (root)
	@$(ACTIVE) python -m toolchain.current_docker

bench: setup ## measure, against a floor of plain API calls and container starts
	@$(ACTIVE) python -m bench

clean: ## remove caches and the virtual environment; stacks and their passphrase stay
	@rm -rf .venv .muster/{build,log,pulumi,stamps} .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -prune -exec rm -rf {} +
