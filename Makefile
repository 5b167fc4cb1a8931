# Two commands need nothing but Python 3.11+ and make: `make demo` and `make test`.

VENV ?= .venv
BIN = $(VENV)/bin
NEW_ENOUGH = import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(firstword $(foreach python,python3 python3.13 python3.12 python3.11,\
	$(shell $(python) -c '$(NEW_ENOUGH)' >/dev/null 2>&1 && echo $(python))))
GATEWAY = tests/gateway
HAS_NODE = node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' 2>/dev/null && npm --version >/dev/null 2>&1

.PHONY: demo example example-code test lint types tests coverage torture gateway messages lock bench clean

demo: $(VENV)/installed
	@$(BIN)/logmonitor demo

# The two bots of examples/alice_bob, by configuration or as code, each with a gateway of its own.
example: $(VENV)/installed gateway
	@$(BIN)/python examples/alice_bob/start.py

example-code: $(VENV)/installed gateway
	@$(BIN)/python examples/alice_bob/start.py --code

test: lint types tests

lint: $(VENV)/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/installed
	$(BIN)/mypy

# Many tests wait for processes and disks: there are more workers than cores. Whatever the shell says of bytecode, it is
# written: without it every program that a test starts would compile all modules again.
WORKERS ?= $(shell $(BIN)/python -c 'import os; print(-(-len(os.sched_getaffinity(0)) * 3 // 2))')
PYTEST = PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest

tests: $(VENV)/installed gateway
	$(PYTEST) --numprocesses $(WORKERS) --dist worksteal

# What of the code the tests run through, and which ways they do not take; tracing all of it doubles the time.
coverage: $(VENV)/installed gateway
	$(PYTEST) --numprocesses $(WORKERS) --dist worksteal --cov --cov-report=term:skip-covered

# What the suite runs for seconds, for minutes: every rotation and failure, 100 bots, 10 million lines.
torture: $(VENV)/installed gateway
	TORTURE=full MODEL_EXAMPLES=5000 $(PYTEST) --timeout 3600 tests/torture tests/test_follower_model.py

$(VENV)/installed: pyproject.toml requirements.lock
	@$(if $(PYTHON),,echo 'logmonitor needs Python 3.11 or newer; none was found. Name one: make PYTHON=/path/to/python3' >&2; exit 1)
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV) || { \
		echo 'Python cannot make a virtual environment here. On Debian and Ubuntu: apt install python3-venv' >&2; exit 1; }
	@echo 'Installing into $(VENV) ...'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# A real Wechaty gateway without any account, for tests and the example.
gateway:
	@if $(HAS_NODE); then $(MAKE) --silent $(GATEWAY)/node_modules/installed; else \
		echo 'Whatever needs a real Wechaty gateway is left out, tests too: install Node 18 or newer with npm'; fi

$(GATEWAY)/node_modules/installed: $(GATEWAY)/package.json $(GATEWAY)/package-lock.json $(GATEWAY)/.npmrc
	@echo 'Installing into $(GATEWAY)/node_modules ...'
	@cd $(GATEWAY) && npm ci --loglevel=error >/dev/null
	@touch $@

# The Chinese catalogue, after an edit of its .po file.
messages: $(VENV)/installed
	$(BIN)/pybabel compile --domain logmonitor --directory logmonitor/locale

# Pins every dependency for every platform and Python; needs uv.
lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --group dev \
		--output-file requirements.lock pyproject.toml

clean:
	rm -rf .venv .venv-* .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache $(GATEWAY)/node_modules
