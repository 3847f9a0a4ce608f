# `make test` and `make demo` work from a bare clone: Python 3.11-3.13, g++ and make are all they need.
.DEFAULT_GOAL := help
.PHONY: help demo test test-slow lint format bench peers sanitize build clean
SHELL := /bin/bash

# A Python of the right version that has venv and its C headers.
FIT := import ensurepip, os, sys, sysconfig; \
	h = os.path.join(sysconfig.get_path('include'), 'Python.h'); \
	sys.exit(not ((3, 11) <= sys.version_info[:2] <= (3, 13) and os.path.exists(h)))
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c "$(FIT)" 2>/dev/null && echo $$p && break; done)

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
NATIVE := $(shell find csrc tests/native tests/cuda -regex '.*\.\(h\|cc\|cuh?\)' 2>/dev/null)
# Arguments for pytest or the demo: make test ARGS="-k gaussian_kl", make demo ARGS="--epochs 5".
ARGS ?=
# Each test process imports TensorFlow: seconds and half a gigabyte. Its tests are neighbours, which
# share what their module makes, until it takes some of another's.
WORKERS ?= -n auto --maxprocesses 4 --dist worksteal

help:
	@echo "make demo       train the VAE and the GAN of the book, of stock Keras and ours"
	@echo "make test       all tests but the slow ones; make test-slow: the slow ones"
	@echo "make lint       ruff and clang-format; make format: mend what they can"
	@echo "make bench      time every kernel against its peers and write the report"
	@echo "make peers      install PyTorch and JAX, so that make bench includes them"
	@echo "make sanitize   the kernels' C++ tests under AddressSanitizer, UBSan and ThreadSanitizer"
	@echo "make build      compile what changed; make clean: remove everything that was made"

demo: build
	$(BIN)/fastgen demo $(ARGS)

test: build
	$(BIN)/python -m pytest $(WORKERS) $(ARGS)

test-slow: build
	$(BIN)/python -m pytest -m slow $(ARGS)

bench: build
	$(BIN)/python -m pytest --benchmark-only $(ARGS)
	$(BIN)/python benchmarks/report.py

lint: $(VENV)/.requirements
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/clang-format --dry-run --Werror $(NATIVE)

format: $(VENV)/.requirements
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/clang-format -i $(NATIVE)

sanitize: $(VENV)/.requirements
	$(BIN)/python tests/native/run.py --sanitize $(ARGS)

build: $(VENV)/.fastgen
	@$(BIN)/python setup.py --quiet build_ext --inplace

peers: $(VENV)/.requirements
	$(PIP) --constraint requirements.txt torch==2.13.0 jax==0.10.2

$(VENV)/.python:
	@test -n "$(PYTHON)" || { echo "No Python 3.11-3.13 with venv and headers found; name one: \
	make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

# pip would compile to bytecode on one core, which takes as long as all its unpacking.
$(VENV)/.requirements: $(VENV)/.python requirements.txt
	@echo "Installing the pinned requirements (TensorFlow among them, 2 GB unpacked) into $(VENV)"
	@$(PIP) --no-compile --requirement requirements.txt
	@$(BIN)/python -m compileall -q -j 0 $(VENV)/lib >/dev/null || true
	@touch $@

# Compiles where the progress can be seen, then links the checkout into .venv.
$(VENV)/.fastgen: $(VENV)/.requirements pyproject.toml
	@echo "Compiling the kernels"
	@$(BIN)/python setup.py --quiet build_ext --inplace
	@$(PIP) --no-build-isolation --no-deps --editable .
	@touch $@

clean:
	rm -rf $(VENV) build dist fastgen/lib fastgen/*.so *.egg-info
