# Everything runs in .venv. The first target makes it; a target updates it when pyproject.toml
# changes. It needs only Python 3.11 or newer: no root, no Redis.
#
#   make test ARGS='-k cron'       pass arguments on
#   make test PYTHON=python3.13    choose the interpreter of a new .venv
#   make test VENV=.venv-3.13      keep several

VENV ?= .venv
PYTHON ?=
ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test lint format check simulated mutants bench bench-self notebooks plot chaos fuzz endurance soak many audit screenshots clean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.demo  ## Watch the engine work on a private server
	@$(BIN)/workkit demo $(ARGS)

test: $(VENV)/.test  ## Run the tests in parallel on private servers
	$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

lint: $(VENV)/.dev  ## Check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev  ## Format the code and apply automatic fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

check: lint test  ## Lint, then test

mutants: $(VENV)/.test  ## Break the engine in small ways and check that the simulator notices (ARGS=NAME...)
	$(BIN)/python -m tests.simulation.mutants $(ARGS)

simulated: $(VENV)/.test  ## Measure how much of the engine the simulation covers
	$(BIN)/python -m tests.simulation.measuring $(ARGS)

bench: $(VENV)/.bench  ## Compare workkit with other libraries (ORIGINAL=PROGRAM for the Go library)
	$(BIN)/python -m benchmarks.peers --write $(if $(ORIGINAL),--original $(ORIGINAL)) $(ARGS)

bench-self: $(VENV)/.bench  ## Measure workkit alone
	$(BIN)/python -m benchmarks --write $(ARGS)

chaos: $(VENV)/.test  ## Break workers, servers and networks under load, count lost jobs (minutes)
	@$(BIN)/python -m tests.system.chaos $(ARGS)

endurance: $(VENV)/.bench  ## Run jobs of all kinds for an hour, and check for growth
	$(BIN)/python -m tests.system.endurance.long $(ARGS)

soak: $(VENV)/.test  ## Ask for the health of workers under load; no check may fail (minutes)
	$(BIN)/python -m tests.system.alarms.soak $(ARGS)

many: $(VENV)/.test  ## Measure fifty pools on one server
	$(BIN)/python -m tests.system.endurance.many $(ARGS)

audit: $(VENV)/.audit  ## Check the installed packages for known vulnerabilities
	@$(BIN)/python .ci/audit

fuzz: $(VENV)/.fuzz  ## Throw a million mangled payloads at the codec and 50,000 at a server (minutes)
	$(BIN)/python -m tests.system.fuzz codec
	$(BIN)/python -m tests.system.fuzz coverage
	$(BIN)/python -m tests.system.fuzz live

notebooks: $(VENV)/.dev  ## Run the notebooks and save their output
	$(BIN)/python notebooks/execute.py

plot: $(VENV)/.dev  ## Draw the README's plot from the history of a demo
	$(BIN)/python -m benchmarks.demo_plot

screenshots: $(VENV)/.demo  ## Take the README's pictures of the console, from the demo
	$(BIN)/python docs/screenshots.py

clean:  ## Remove environments, caches and builds
	rm -rf .venv .venv-* benchmarks/.venvs build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .grimp_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each stamp records that .venv has the packages of its target; later stamps include earlier ones.

$(VENV)/.demo: pyproject.toml $(VENV)/.made
	@echo 'Installing workkit into $(VENV) ...' >&2
	@$(PIP) install -e '.[demo,tui]'
	@touch $@

$(VENV)/.test: pyproject.toml $(VENV)/.made
	@echo 'Installing workkit and the packages for its tests into $(VENV) ...' >&2
	@$(PIP) install -e '.[demo,metrics,notebook,reload,simulation,serve]' --group test
	@touch $(VENV)/.demo $@

$(VENV)/.dev: pyproject.toml $(VENV)/.made
	@echo 'Installing workkit and the packages for its developers into $(VENV) ...' >&2
	@$(PIP) install -e '.[demo,metrics,notebook,reload,simulation,serve]' --group dev
	@touch $(VENV)/.demo $(VENV)/.test $@

$(VENV)/.bench: pyproject.toml $(VENV)/.made
	@echo 'Installing workkit and the packages for its benchmarks into $(VENV) ...' >&2
	@$(PIP) install -e '.[demo,notebook]' --group bench
	@touch $(VENV)/.demo $@

$(VENV)/.audit: pyproject.toml $(VENV)/.dev
	@$(PIP) install --group audit
	@touch $@

$(VENV)/.fuzz: pyproject.toml $(VENV)/.made
	@echo 'Installing workkit and its fuzzers into $(VENV) ...' >&2
	@$(PIP) install -e '.[demo,simulation,tui]' --group fuzz
	@touch $@

# An environment depends on its folder and its interpreter. If it was copied or moved here, or its
# interpreter is gone, make it again.
ifneq ($(shell ($(BIN)/python -c 'print(open("$(VENV)/.made").read().strip())') 2>/dev/null),$(CURDIR))
.PHONY: $(VENV)/.made
endif

CANDIDATES := $(if $(PYTHON),$(PYTHON),python3 python3.13 python3.12 python3.11)
SUITABLE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))

# Dependency groups need pip 25.1; most interpreters include an older one.
$(VENV)/.made:
	@for python in $(CANDIDATES); do \
	    if "$$python" -c '$(SUITABLE)' >/dev/null 2>&1; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	    echo 'workkit needs Python 3.11 or newer with venv and pip; tried: $(CANDIDATES).' >&2; \
	    echo 'Debian and Ubuntu: apt install python3-venv. Elsewhere: make ... PYTHON=/path/to/python3' >&2; \
	    exit 1; \
	fi; \
	echo "Making $(VENV) with $$("$$found" --version) ..." >&2; \
	"$$found" -m venv --clear $(VENV)
	@$(PIP) install --upgrade 'pip>=25.1'
	@echo '$(CURDIR)' > $@
