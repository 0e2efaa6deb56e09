# Each target makes or updates .venv with what it needs and no more, and says what it is doing.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= data
BUNDLE ?=
ROUNDS ?= 500
SEED ?= 0
STARTER := out/starter
CHECKED := bundle scoring synthetic training export service benchmarks tests vitreid/*.py

# faiss and onnxruntime come for the CPU or for NVIDIA GPUs, never both.
COMPUTE := $(if $(shell nvidia-smi -L 2>/dev/null),gpu,cpu)

.PHONY: help demo serve test test-fast coverage crash check docs bench starter docker-test clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | awk -F'|' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: $(VENV)/service ## draw people, index them, serve on 127.0.0.1:8000 and answer a first query
	@$(BIN)/vitreid demo

serve: $(VENV)/service ## serve the galleries in DATA (default ./data) with BUNDLE (default: the starter)
	@$(BIN)/vitreid serve --data $(DATA) $(if $(BUNDLE),--bundle $(BUNDLE))

test-fast: $(VENV)/dev ## run the tests that take under a second: the loop while working
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal -m "not slow"

test: $(VENV)/dev ## run all tests, in as many processes as there are cores
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal

coverage: $(VENV)/dev ## run all tests and list the lines that none reaches; fails below the floor in pyproject.toml
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal --cov --cov-report=term

crash: $(VENV)/dev ## kill the process of a gallery at random in ROUNDS (default 500) rounds from SEED on, and compare
	@CRASH_ROUNDS=$(ROUNDS) CRASH_SEED=$(SEED) $(BIN)/python -m pytest tests/service/crash/test_kill.py

check: $(VENV)/dev ## lint, format and types
	@$(BIN)/ruff check $(CHECKED)
	@$(BIN)/ruff format --check $(CHECKED)
	@$(BIN)/mypy

docs: $(VENV)/service ## write docs/api.md from the API's own description
	@$(BIN)/python -m vitreid.service.api.openapi.reference docs/api.md

bench: $(VENV)/dev ## measure and write benchmarks/RESULTS.md
	@$(BIN)/python -m benchmarks.run

starter: $(VENV)/train ## train the starter bundle again, on drawn people, and score and calibrate it on others
	$(BIN)/vitreid synth $(STARTER)/train --identities 500 --train 500 --cameras 64 --images 1 --seed 1
	$(BIN)/vitreid synth $(STARTER)/test --identities 200 --cameras 6 --images 2 --seed 2
	rm -rf $(STARTER)/run
	$(BIN)/vitreid train starter --data $(STARTER)/train --out $(STARTER)/run
	$(BIN)/vitreid export onnx $(STARTER)/run --out service/starter --name starter --images $(STARTER)/test/query
	$(BIN)/vitreid evaluate service/starter --data $(STARTER)/test
	$(BIN)/vitreid synth $(STARTER)/drawn-people --identities 400 --cameras 6 --images 2 --seed 3
	$(BIN)/vitreid export calibrate service/starter --data $(STARTER)/drawn-people

docker-test: ## build the image, index, query, restart, and look whether the gallery is still there
	@docker/test.sh

clean: ## remove .venv and caches
	@rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

# ---- environments: a file in .venv tells which extras it has; a newer pyproject.toml or constraints.txt renews it

SOURCES := pyproject.toml constraints.txt

define install
	@echo "== .venv: installing vitreid[$(1)]$(2)"
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV) || { \
		echo "make: $(PYTHON) cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "make: vitreid needs Python 3.11 or newer; say PYTHON=python3.12 and run make clean first" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[$(1)]'
	@touch $@
endef

$(VENV)/service: $(SOURCES)
	$(call install,$(COMPUTE), (half a minute))

$(VENV)/train: $(SOURCES)
	$(call install,$(COMPUTE)$(COMMA)train, (torch is 5.5 GB: some minutes))
	@touch $(VENV)/service

$(VENV)/dev: $(SOURCES)
	$(call install,$(COMPUTE)$(COMMA)train$(COMMA)openvino$(COMMA)dev, (torch is 5.5 GB: some minutes))
	@touch $(VENV)/service $(VENV)/train

COMMA := ,
