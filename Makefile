# One command each. `make demo` and `make test` make .venv themselves.
#
#   PYTHON       the interpreter for .venv: any 3.11 or 3.12 (found by itself)
#   TORCH_INDEX  where a CPU torch comes from when pip knows none on disk (default: PyTorch's CPU index)
#   GPU          1 or 0: install for CUDA or for the CPU (default: 1 where nvidia-smi works)
#   FLASH_ATTN   with GPU=1: `wheel` (default) of verl's index, else built here; `build`; or a wheel's address or file
#   QUICK        1: `make demo` for a quick look, on too few rows and steps to teach
#   RECIPE       what `make demo` builds and trains

VENV   ?= .venv
QUICK  ?=
RECIPE ?= curricula/recipes/demo$(if $(filter 1,$(QUICK)),_quick).yaml
NAMES  ?=
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# Two files of tests at a time, in the order that tests/conftest.py gives: what a file's tests share is made once.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
EVAL   := .venv-eval
# An engine of docs/engines.md that is tried here has a list of its environment's packages.
ENGINES := $(patsubst constraints-engines-%.txt,%,$(wildcard constraints-engines-*.txt))
export PYTHON TORCH_INDEX GPU FLASH_ATTN
# Each process of a test would else compile the package anew.
unexport PYTHONDONTWRITEBYTECODE
SHELL  := /bin/bash

.PHONY: demo test check static bench clean install lock review-server eval-venv test-eval engine-venvs test-engines
.DEFAULT_GOAL := demo

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt constraints-gpu.txt constraints-hub2.txt tools/install.sh
	tools/install.sh $(VENV)
	@touch $@

# From captioned images to a model trained through three stages. Run it again after an interruption: it goes on.
demo:
	@$(if $(filter 1,$(QUICK)),echo "QUICK=1 shows the road; its rows and steps are too few to teach. make demo teaches.")
	@tools/timed.sh install $(MAKE) --no-print-directory install
	@tools/timed.sh build $(BIN)/capcurriculum build $(RECIPE)
	@tools/timed.sh train $(BIN)/capcurriculum train $(RECIPE)
	@tools/timed.sh measure $(BIN)/python -m evaluation.heldout $(RECIPE) --every-question --at-most 250 --rollouts 3
	@$(if $(filter 1,$(QUICK)),echo "These are too few rows and steps to teach and too few rows to tell: take no gain from them.")

# Everything, the slow tests too. The tests run even when lint or types fail, so that pytest's line is always the last.
test: $(STAMP)
	@static=0; $(MAKE) --no-print-directory static || static=1; \
	 if [ $$static = 1 ]; then echo "static checks FAILED (see above)"; fi; \
	 $(PYTEST); tests=$$?; exit $$(( tests ? tests : static ))

# What to run before every commit.
check: static
	$(PYTEST) -q -m "not slow"

# All four, even when one finds something.
static: $(STAMP)
	@failed=0; for step in "ruff check ." "ruff format --check ." mypy lint-imports; do \
	    echo "== $$step"; $(BIN)/$$step || failed=1; \
	 done; exit $$failed

# Argilla with everything it needs on this machine, in .venv-argilla: for trying out `capcurriculum review push`.
review-server: $(STAMP)
	$(BIN)/python -m tools.review_server

# VLMEvalKit and lmms-eval in .venv-eval, where `capcurriculum evaluate --engine ...` looks for them.
eval-venv: $(EVAL)/.installed

$(EVAL)/.installed: constraints-eval.txt tools/pinned_venv.sh
	tools/pinned_venv.sh constraints-eval.txt $(EVAL)
	@touch $@

# The tests that drive the evaluation kits, which `make test` skips where they are not installed.
test-eval: $(STAMP) eval-venv
	$(BIN)/python -m pytest tests/evaluation/test_vlmevalkit.py tests/evaluation/test_lmmseval.py

# Engines that read the published sets, each in .venv-engine-NAME; `make .venv-engine-trl/.installed` makes one.
engine-venvs: $(ENGINES:%=.venv-engine-%/.installed)

.venv-engine-%/.installed: constraints-engines-%.txt tools/engine_venv.sh tools/pinned_venv.sh
	tools/engine_venv.sh $*
	@touch $@

# The tests that train and score in those engines, which `make test` skips where they are not installed.
test-engines: $(STAMP) engine-venvs
	$(BIN)/python -m pytest tests/engines

bench: $(STAMP)
	$(BIN)/python -m benchmarks $(NAMES)

# Rewrites constraints.txt from what .venv holds, after you have upgraded something in it and `make test` passes.
lock: $(STAMP)
	$(BIN)/python -m tools.lock > constraints.txt.new && mv constraints.txt.new constraints.txt

clean:
	rm -rf $(VENV) .venv-argilla $(EVAL) .venv-engine-* build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
