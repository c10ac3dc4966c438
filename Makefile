# Two commands do everything on a bare machine with Python 3.11 or newer: make demo, make test.
PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python
# For another build of torch, for example: make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
# The suite runs in this many processes; each uses one thread.
JOBS ?= 2
DEMO ?= work_dirs/demo
# DRAW=--force replaces synthetic tissue that was drawn with other settings or changed since.
DRAW ?=

.PHONY: help setup demo test test-all lint format clean

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.installed ## make .venv and install the pinned requirements (safe to repeat)

$(VENV)/.installed: requirements.txt setup.cfg pyproject.toml
	@echo "[setup] Python environment in $(VENV), pinned packages; several minutes the first time"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "[setup] $(PYTHON) is older than Python 3.11; name a newer one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@# a set-up that was killed half way leaves a python without pip: begin again
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -r requirements.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@
	@echo "[setup] done"

demo: setup ## draw tissue, train all stages, test: a table and pictures in under 10 minutes on two cores
	@echo "[demo] 1/2: drawing synthetic tissue into data/synthetic"
	@$(PY) tools/dataset_converters/synthetic.py --out data/synthetic $(DRAW) || \
		{ echo "[demo] to draw it anew: make demo DRAW=--force"; exit 1; }
	@echo "[demo] 2/2: classifier, pseudo masks, three networks, test"
	@$(PY) tools/train.py configs/arml_tiny_synthetic.py --resume --work-dir $(DEMO)

test: setup ## the default tests (under 12 minutes on two cores)
	@echo "[test] the default tests; slow and GPU tests are left out"
	@OMP_NUM_THREADS=1 $(PY) -m pytest -n $(JOBS) --dist worksteal -m 'not slow and not gpu' $(ARGS)

test-all: setup ## every test that this machine can run
	@OMP_NUM_THREADS=1 $(PY) -m pytest -n $(JOBS) $(ARGS)

lint: setup ## style and errors, without changing anything
	@$(PY) -m ruff check . && $(PY) -m ruff format --check .

format: setup ## bring the code into the house style
	@$(PY) -m ruff check --fix . && $(PY) -m ruff format .

clean: ## remove results and caches, not data and not the environment
	rm -rf work_dirs .pytest_cache .ruff_cache build *.egg-info
