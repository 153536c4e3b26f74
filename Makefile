# Two commands: `make demo` runs the whole path on this machine, `make test` checks it.
# Both make .venv and install the locked dependencies the first time only.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test lint unit browser test-containers bench lock clean

demo: .venv/demo
	@$(BIN)/kedge demo $(ARGS)

test: lint unit

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: .venv/dev
	$(BIN)/python -m pytest -n 2 --dist loadfile --durations=20 $(ARGS)

# Debian's Chromium, in which the playground's page is tested; without it those tests are skipped.
browser:
	apt-get update --quiet=2
	apt-get install --quiet=2 --yes --no-install-recommends chromium

# The images and the compose stack, in containers. PYTHON_IMAGE names another base image where none can be
# pulled; an engine script beside the checkout starts an engine and prints such a base.
ENGINE := ../shared/tools/container-engine

test-containers: .venv/dev
	PYTHON_IMAGE="$${PYTHON_IMAGE:-$$(test ! -x $(ENGINE) || $(ENGINE))}" \
	  $(BIN)/python -m pytest tests/containers $(ARGS)

# Needs h2load and wrk (Debian's nghttp2-client and wrk). ARGS="--server all" compares with the peers, each installed
# once into .bench.
bench: .venv/dev
	@$(BIN)/python -m benchmarks.serving $(ARGS)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"kedge needs Python 3.11 or later; {sys.executable} is {v[0]}.{v[1]}: name another with make PYTHON=...")'
	$(PYTHON) -m venv .venv

.venv/demo: locks/demo.txt pyproject.toml | $(BIN)/python
	@echo "installing the locked dependencies into .venv (a few minutes, once)"
	$(INSTALL) --require-hashes -r locks/demo.txt
	$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

# What the tests need is all that the demo needs, and more.
.venv/dev: locks/dev.txt pyproject.toml | $(BIN)/python
	@echo "installing the locked dependencies into .venv (a few minutes, once)"
	$(INSTALL) --require-hashes -r locks/dev.txt
	$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@ .venv/demo

# One resolution for all: the smaller locks are cut from dev.txt, so no two images differ in a version.
lock: .venv/dev
	$(BIN)/python locks/compile.py

clean:
	rm -rf .venv build dist ./*.egg-info
