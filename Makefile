# Every command of the project; `make help` lists them. Each does its own set-up in .venv/.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
KILTED := .venv-kilted
SOURCES := $(shell find src launch config resource -type f -not -path '*/__pycache__/*' -not -path '*.egg-info/*') setup.py setup.cfg package.xml
PHOTO ?=
LOOP ?= closed
VIEW ?=
IMAGES ?=
# A cell on this machine is seen by this machine only, and finds its own share folder.
export ROS_AUTOMATIC_DISCOVERY_RANGE ?= LOCALHOST
export AMENT_PREFIX_PATH := $(abspath $(VENV))
# A native ROS 2 that the shell has sourced must not mix with the one in .venv.
unexport PYTHONPATH LD_LIBRARY_PATH RMW_IMPLEMENTATION
# Not by its own first line: that names where the clone was when it was set up.
COLCON = PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python $(BIN)/colcon
WITH_VIEW := $(filter-out 0 no false,$(VIEW))

.DEFAULT_GOAL := help
.PHONY: help demo figures test test-kilted lint format nodes-page bench colcon train lock clean

help: ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

demo: $(VENV)/.compiled $(if $(WITH_VIEW),$(VENV)/.view) ## Draw a photo on the simulated toy: make demo [PHOTO=my.jpg] [LOOP=open] [VIEW=1]
	@$(BIN)/python -m sketch_cell demo $(if $(PHOTO),"$(PHOTO)") --loop $(LOOP) $(if $(WITH_VIEW),--view)

figures: $(VENV)/.compiled ## Make the figures of README.md and doc/ (those of doc/benchmarks/ are make bench): draws three times
	@$(BIN)/python doc/make_explained.py
	@$(BIN)/python doc/make_figures.py output/figures

test: lint colcon $(VENV)/.view ## Check style and types, build with colcon, run all tests
	@$(BIN)/python -m pytest

test-kilted: $(KILTED)/.test ## Run all tests on the wheels of ROS 2 Kilted
	@PYTHONPATH=src AMENT_PREFIX_PATH=$(abspath $(KILTED)) $(KILTED)/bin/python -m pytest -p no:cacheprovider

lint: $(VENV)/.test $(VENV)/.installed ## Check style (ruff) and types (mypy)
	@$(BIN)/python -m ruff check . && $(BIN)/python -m ruff format --check . && $(BIN)/python -m mypy

format: $(VENV)/.test ## Format the code
	@$(BIN)/python -m ruff check --fix . ; $(BIN)/python -m ruff format .

colcon: $(VENV)/.test $(VENV)/.installed ## Build as a ROS 2 package with colcon, here in the pip environment
	@$(COLCON) list | grep -q 'ros.ament_python' \
	  || { echo 'colcon does not see a ros.ament_python package: check package.xml.'; exit 1; }
	@$(COLCON) --log-base $(VENV)/colcon/log build --build-base $(VENV)/colcon/build \
	  --install-base $(VENV)/colcon/install > $(VENV)/colcon.log 2>&1 \
	  || { cat $(VENV)/colcon.log; exit 1; }

bench: $(VENV)/.test $(VENV)/.installed ## Measure against peers: make bench [IMAGES=folder]; writes doc/benchmarks/
	@for script in bench/*.py; do echo "== $$script"; $(BIN)/python $$script $(if $(IMAGES),--images "$(IMAGES)") || exit 1; done

nodes-page: $(VENV)/.test $(VENV)/.installed ## Write doc/nodes.md and the security policy from the nodes
	@$(BIN)/python doc/make_nodes.py
	@$(BIN)/python doc/make_policy.py

train: $(VENV)/.test $(VENV)/.installed ## Train the deblocking network (hours; resumes where it stopped)
	@nice -n 19 $(BIN)/python -m sketch_cell.picture.train_deblock

lock: ## Pin every version anew in requirements*.txt (needs uv)
	uv pip compile -q --universal --python-version 3.10 --no-emit-index-url --no-annotate --no-header \
	  requirements-test.in -o requirements-test.txt
	uv pip compile -q --universal --python-version 3.10 --no-emit-index-url --no-annotate --no-header \
	  -c requirements-test.txt requirements.in -o requirements.txt
	uv pip compile -q --universal --python-version 3.10 --no-emit-index-url --no-annotate --no-header \
	  -c requirements-test.txt requirements-view.in -o requirements-view.txt

clean: ## Remove the environment and what was built (not output/)
	rm -rf $(VENV) $(KILTED) build install log src/*.egg-info

$(VENV)/.environment: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	  || { echo 'Python 3.10 to 3.13 is needed: install it, then name it, as in make PYTHON=python3.12 demo.'; exit 2; }
	@test "$$(uname -sm)" = "Linux x86_64" \
	  || { echo 'ROS 2 from PyPI exists for Linux on x86-64 only: use native ROS 2 here (see README.md).'; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo 'The venv module is missing: apt-get install python3-venv, then run make again.'; exit 2; }
	@echo 'Setting up .venv (once, about a minute) ...'
	@$(BIN)/python -c 'import pip' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo '.venv has another Python than 3.10 to 3.13: run make clean first.'; exit 2; }
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.test: requirements-test.txt requirements-torch.txt $(VENV)/.environment
	@echo 'Adding the test tools to .venv (once) ...'
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -r requirements-test.txt -r requirements-torch.txt
	@touch $@

$(VENV)/.view: requirements-view.txt $(VENV)/.environment
	@echo 'Adding the live view (rerun, 220 MB to fetch) to .venv (once) ...'
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -r requirements-view.txt
	@$(BIN)/python -c 'import rerun' 2>/dev/null || echo 'The live view needs Python 3.11 or later: it is left out.'
	@touch $@

$(KILTED)/.test: requirements-kilted.txt requirements-test.txt requirements-torch.txt
	@echo 'Setting up $(KILTED) (once, a minute or two) ...'
	@$(KILTED)/bin/python -c 'import pip' 2>/dev/null || $(PYTHON) -m venv --clear $(KILTED)
	@grep -v '^ros-' requirements-test.txt > $(KILTED)/others.txt
	@$(KILTED)/bin/python -m pip install -qq --disable-pip-version-check \
	  -r requirements-kilted.txt -r $(KILTED)/others.txt -r requirements-torch.txt
	@touch $@

$(VENV)/.compiled: $(VENV)/.installed
	@echo 'Compiling the inner loops (once, under a minute) ...'
	@$(BIN)/python -m sketch_cell.warm_up
	@touch $@

$(VENV)/.installed: $(VENV)/.environment $(SOURCES)
	@rm -rf build
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --force-reinstall .
	@rm -rf build src/*.egg-info
	@touch $@
