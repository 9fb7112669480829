SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
# The first of these that is new enough creates the virtual environment.
PYTHON ?= python3.11 python3.12 python3.13 python3
SOURCES := services gateway engine parley bench examples tools tests
# Installs the locked packages, then Parley itself in place, with its generated code.
DEPENDENCIES := $(VENV)/.dependencies
INSTALLED := $(VENV)/.installed
# What renders and validates deploy/: large, and of no use to those who only run Parley.
DEPLOY_TOOLS := $(VENV)/.deploy-tools

# An environment works where venv made it, by a Python that is still there; else it is made anew.
# Of one that another tool made, nothing is known.
HERE := $(CURDIR)/$(VENV)
MADE_AT := $(shell sed -n 's/^command = .* -m venv \(--[^ ]* \)*//p' $(VENV)/pyvenv.cfg 2>/dev/null)
RUNS := $(shell test -x $(BIN)/python && echo yes)
ifneq ($(RUNS) $(or $(MADE_AT),$(HERE)),yes $(HERE))
.PHONY: $(BIN)/python $(DEPENDENCIES) $(INSTALLED) $(DEPLOY_TOOLS)
endif

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: up
up: $(INSTALLED) ## Install, download the models, start everything and print the address
	@$(BIN)/parley models pull
	@exec $(BIN)/parley up

.PHONY: install
install: $(INSTALLED) ## Create the virtual environment and the generated code

.PHONY: check
check: $(INSTALLED) $(DEPLOY_TOOLS) ## Check style, types, imports, contracts and the compose files
	$(BIN)/ruff check $(SOURCES) hatch_build.py
	$(BIN)/ruff format --check $(SOURCES) hatch_build.py
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code
	$(BIN)/buf breaking protos --against protos/released.txtpb
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml \
	  deploy/compose.yml

# Tests use real recognition, chat and synthesis, with the small language model. Many of them wait
# most of the time: seven at once keep two cores busy.
.PHONY: test
test: export PARLEY_LLM := small
# Each worker loads all tests, and each process the code that it runs: compiled once, not each time.
test: export PYTHONDONTWRITEBYTECODE :=
test: $(INSTALLED) $(DEPLOY_TOOLS) browser ## Run all tests, as CI does
	@$(BIN)/parley models pull
	$(BIN)/pytest --numprocesses 7 --dist loadscope --no-loadscope-reorder

# Each client is built with its language's own tools; what a machine has no tools for is skipped and
# named at the end, but with CI=true it fails.
.PHONY: test-clients
test-clients: export PARLEY_LLM := small
test-clients: $(INSTALLED) browser firefox ## Build the clients of all languages, and run them on a real stack
	@$(BIN)/parley models pull
	$(BIN)/pytest tests/clients

# No process ends, but calls to the journal and to the cloud fail, some after their effect.
.PHONY: test-unfaithful
test-unfaithful: export PARLEY_LLM := small
test-unfaithful: $(INSTALLED) ## Run the end-to-end tests on dependencies that fail, on both databases
	$(BIN)/pytest tests/e2e --unfaithful
	$(BIN)/pytest tests/e2e --unfaithful --journal postgres

# Each prints JSON; docs/benchmarks.md explains it.
.PHONY: bench
bench: export GRPC_VERBOSITY := ERROR
bench: $(INSTALLED) ## Measure conversations, on an otherwise idle machine
	$(BIN)/python -m bench.conversation talk
	$(BIN)/python -m bench.conversation talk --sessions 50
	$(BIN)/python -m bench.conversation talk --sessions 100 --one-core
	$(BIN)/python -m bench.conversation barge-in
	$(BIN)/python -m bench.conversation first-sound --sessions 4 --times 10
	$(BIN)/python -m bench.conversation idle
	$(BIN)/python -m bench.conversation leaks --sessions 40 --times 2000
	$(BIN)/python -m bench.journal
	$(BIN)/python -m bench.scale

# `make test` has them say and hear a share of it.
.PHONY: eval
eval: export PARLEY_LLM := small
eval: $(INSTALLED) ## Evaluate speech recognition and synthesis on the whole corpus
	@$(BIN)/parley models pull
	$(BIN)/pytest tests/models --thorough
	$(BIN)/python -m bench.spoken_numbers
	$(BIN)/python -m bench.two_languages
	$(BIN)/python -m bench.heard

# Each run takes some minutes, prints JSON, and fails where anything was violated.
.PHONY: chaos
chaos: export GRPC_VERBOSITY := ERROR
chaos: $(INSTALLED) ## Kill, pause and restart processes under load, and check what users saw
	$(BIN)/python -m bench.chaos --kills 300
	$(BIN)/python -m bench.chaos --kills 300 --database postgres --replicas 2
	$(BIN)/python -m bench.chaos --rolling 10 --database postgres --replicas 2
	$(BIN)/python -m bench.chaos --unfaithful 5
	$(BIN)/python -m bench.chaos --unfaithful 5 --database postgres

# Prints JSON, and fails where anything was violated; takes about ten minutes. Of operations that take
# nothing there is one request only, so that the inputs become a few less.
.PHONY: fuzz
fuzz: export GRPC_VERBOSITY := ERROR
fuzz: $(INSTALLED) ## Send all processes 100,000 hostile inputs, and check that none does harm
	$(BIN)/python -m bench.fuzz --inputs 101000

.PHONY: browser
browser: ## Install the Chromium that the browser tests drive
	@bash tools/install_browser.sh chromium

# One of the tests of clients opens a page in it.
.PHONY: firefox
firefox:
	@bash tools/install_browser.sh firefox

.PHONY: gen
gen: $(DEPENDENCIES) ## Regenerate gen/ from protos/
	$(BIN)/python -m tools.gen_protos

.PHONY: protos-bundle
protos-bundle: $(DEPENDENCIES) ## Pack the protos for other languages: dist/parley-protos-VERSION.tar.gz
	@$(BIN)/python -m tools.protos_bundle

.PHONY: web
web: $(INSTALLED) ## Rebuild OpenAPI and what browsers load: clients/js from it, gateway/web/dist, the widget in it
	$(BIN)/python -m tools.openapi
	npm --prefix clients ci
	npm --prefix clients run --workspace js contract
	npm --prefix clients run --workspace js build
	npm --prefix gateway/web ci
	npm --prefix gateway/web run build
	npm --prefix clients run --workspace widget script

.PHONY: docs
docs: $(INSTALLED) ## Regenerate docs/errors.md, docs/vendors.md, the kinds in docs/providers.md, .env.example
	$(BIN)/python -m tools.errors_page
	$(BIN)/python -m tools.providers_page
	$(BIN)/python -m tools.env_example
	$(BIN)/python -m tools.conformance_table

.PHONY: release
release: $(DEPENDENCIES) ## Declare this state the release that later ones must work beside
	$(BIN)/buf build protos --exclude-source-info -o protos/released.txtpb
	$(BIN)/python -m tools.released_task_service

.PHONY: lock
lock: $(DEPENDENCIES) ## Update the pinned dependencies
	$(BIN)/uv pip compile pyproject.toml --extra dev --extra console --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-annotate --no-header -o requirements.lock
	$(BIN)/uv pip compile --group pyproject.toml:deploy --constraints requirements.lock --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
	  -o deploy/requirements.lock
	$(BIN)/uv pip compile pyproject.toml --constraints requirements.lock --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
	  -o deploy/image.lock

# Asks the OSV database about each locked package. Without a network it says that it did not.
.PHONY: audit
audit: $(INSTALLED) ## Look for known vulnerabilities in the locked packages
	$(BIN)/python -m tools.audit requirements.lock deploy/requirements.lock \
	  $(wildcard clients/package-lock.json clients/*/package-lock.json gateway/web/package-lock.json)

.PHONY: sbom
sbom: $(INSTALLED) ## Write sbom.cdx.json: what an image has of others, in CycloneDX
	$(BIN)/cyclonedx-py requirements deploy/image.lock --pyproject pyproject.toml \
	  --output-reproducible --output-file sbom.cdx.json

.PHONY: clean
clean: ## Remove everything that make created, except the models
	rm -rf $(VENV) gen .mypy_cache .ruff_cache .pytest_cache .hypothesis test-results

$(BIN)/python:
	@if [ -L $(VENV) ]; then \
	  echo "$(VENV) is a link to an environment that was not made here, or has no Python." >&2; \
	  echo "Remove the link, and make creates one for this checkout." >&2; \
	  exit 1; \
	fi
	@for name in $(PYTHON); do \
	  if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    "$$name" -m venv --clear $(VENV) && exit 0; \
	    rm -rf $(VENV); \
	    echo "$$name cannot create a virtual environment: install its venv package" >&2; \
	    exit 1; \
	  fi; \
	done; \
	echo "Parley needs Python 3.11 or newer, but found none of: $(PYTHON)." >&2; \
	echo "Install one, or specify it: make up PYTHON=/path/to/python3.11" >&2; \
	exit 1

$(DEPENDENCIES): requirements.lock tools/install_dependencies.py | $(BIN)/python
	@$(BIN)/python tools/install_dependencies.py requirements.lock
	@touch $@

$(DEPLOY_TOOLS): deploy/requirements.lock $(DEPENDENCIES)
	@$(BIN)/python tools/install_dependencies.py deploy/requirements.lock
	@touch $@

$(INSTALLED): $(DEPENDENCIES) pyproject.toml hatch_build.py tools/gen_protos.py \
		$(shell find protos third_party -name '*.proto')
	@echo "Generating code and installing Parley in place"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
	  --no-build-isolation --editable .
	@touch $@
