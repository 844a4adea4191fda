# Every target sets up what it needs; `make help` lists them.
PYTHON ?= python3.11
STEPS ?=
VIDEOS ?=
WORKDIR ?=

BIN := .venv/bin
PARITY := .venv-parity/bin
TPU := .venv-tpu/bin
LOCKS := requirements.lock requirements-nodeps.lock
PIP_INSTALL := -m pip --disable-pip-version-check install -qq
# Two workers, a file at a time, so that its fixtures are made once.
SPREAD := -n 2 --dist loadfile
# Compiling for the CPU is most of the tests' time: LLVM's optimisations are half of it, and MLIR's
# passes over each fusion half of what remains.
QUICK_COMPILE := JAX_DISABLE_MOST_OPTIMIZATIONS=1 XLA_FLAGS=--xla_cpu_use_fusion_emitters=false
EDITABLE := --no-deps --no-build-isolation --editable .
COMPILE := .venv-lock/bin/pip-compile setup.py --upgrade --quiet --allow-unsafe \
	--strip-extras --no-annotate --no-header \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help quickstart test test-all soak lint format setup setup-parity setup-tpu lock clean \
	python

help:  ## this list
	@grep -E '^[a-z-]+:.*  ## ' Makefile | sed -E 's/^([a-z-]+):.*  ## /\1\t/' \
		| awk -F '\t' '{printf "make %-14s %s\n", $$1, $$2}'

quickstart: .venv/installed  ## real videos -> latents -> training -> samples -> report (STEPS= VIDEOS= WORKDIR=)
	$(BIN)/python -m launch.quickstart $(if $(STEPS),"--steps=$(STEPS)") \
		$(if $(VIDEOS),"--videos=$(VIDEOS)") $(if $(WORKDIR),"--workdir=$(WORKDIR)")

test: lint  ## lint, then every quick test (27 minutes on two cores)
	$(QUICK_COMPILE) $(BIN)/python -m pytest $(SPREAD) -m "not slow and not parity and not tpu and not gpu"

test-all: .venv/installed .venv-parity/installed .venv-tpu/installed  ## the slow tests, compiles for TPUs, then parity with PyTorch (40 minutes)
	$(QUICK_COMPILE) $(BIN)/python -m pytest $(SPREAD) --timeout=900 -m "slow and not parity and not tpu"
	JAX_PLATFORMS=cpu $(TPU)/python -m pytest $(SPREAD:loadfile=worksteal) --timeout=900 -m tpu
	$(QUICK_COMPILE) $(PARITY)/python -m pytest $(SPREAD) -m parity

soak: .venv/installed  ## kill -9 each data phase 20 times: the same bytes in the end (20 minutes)
	VIDEOGEN_KILLS=20 $(BIN)/python -m pytest tests/data_pipelines/test_kill.py -m slow

lint: .venv/installed  ## ruff (rules and format) and pyright
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

format: .venv/installed  ## let ruff rewrite the sources
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

setup: .venv/installed  ## only the environment, .venv
setup-parity: .venv-parity/installed  ## only .venv-parity: .venv's packages and PyTorch
setup-tpu: .venv-tpu/installed  ## only .venv-tpu: .venv's packages, libtpu, kernels to compare with

# The stamps: an environment is made again when a lock or setup.py changes.
.venv/installed: $(LOCKS) setup.py | python
	@echo "setting up .venv (a few minutes the first time, mostly downloads)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python $(PIP_INSTALL) -r requirements.lock
	@$(BIN)/python $(PIP_INSTALL) --no-deps -r requirements-nodeps.lock
	@$(BIN)/python $(PIP_INSTALL) $(EDITABLE)
	@touch $@

# torch goes first, so that the rest is resolved around the build that was found for it.
.venv-parity/installed: $(LOCKS) requirements-parity.lock setup.py | python
	@echo "setting up .venv-parity (PyTorch: several minutes the first time)"
	@$(PYTHON) -m venv .venv-parity
	@$(PARITY)/python $(PIP_INSTALL) "$$(grep '^torch==' requirements-parity.lock)"
	@$(PARITY)/python $(PIP_INSTALL) -r requirements.lock -r requirements-parity.lock
	@$(PARITY)/python $(PIP_INSTALL) --no-deps -r requirements-nodeps.lock
	@$(PARITY)/python $(PIP_INSTALL) $(EDITABLE)
	@touch $@

.venv-tpu/installed: $(LOCKS) requirements-tpu.lock requirements-benchmarks.lock setup.py | python
	@echo "setting up .venv-tpu (libtpu: a few minutes the first time)"
	@$(PYTHON) -m venv .venv-tpu
	@$(TPU)/python $(PIP_INSTALL) -r requirements.lock -r requirements-tpu.lock \
		-r requirements-benchmarks.lock
	@$(TPU)/python $(PIP_INSTALL) --no-deps -r requirements-nodeps.lock
	@$(TPU)/python $(PIP_INSTALL) $(EDITABLE)
	@touch $@

python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "error: PYTHON=$(PYTHON) is absent or older than 3.11:" \
			"install Python 3.11, or name one with make PYTHON=/path/to/python3.11"; \
		exit 1; }

lock: | python  ## resolve setup.py anew into the lock files
	@$(PYTHON) -m venv .venv-lock
	@.venv-lock/bin/python $(PIP_INSTALL) "pip-tools>=7.5"
	$(COMPILE) --extra pipelines --extra eval --extra dev --all-build-deps \
		--output-file .venv-lock/all
	@{ grep '^#' requirements.lock; grep '^[^#]' .venv-lock/all; } > .venv-lock/new
	@mv .venv-lock/new requirements.lock
	@set -e; for extra in parity tpu benchmarks; do \
		lock=requirements-$$extra.lock; \
		$(COMPILE) --extra $$extra --constraint .venv-lock/all \
			--output-file .venv-lock/$$extra; \
		{ grep '^#' $$lock; grep '^[^#]' .venv-lock/$$extra \
			| grep -vxFf .venv-lock/all | sed 's/+cpu$$//'; } > .venv-lock/new; \
		mv .venv-lock/new $$lock; \
	done

clean:  ## remove the environments and caches, never runs/
	rm -rf .venv .venv-parity .venv-tpu .venv-lock build dist *.egg-info \
		.pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
