# make demo   set-up and the main job: GPUs (real, or simulated where there are none) in a container
# make test   set-up and every test
# make check  the static checks and the fast tests alone
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: setup system-demo system-test assets demo test check unit real soak bench lock clean

setup: $(VENV)/.ready

$(VENV)/.ready: requirements/dev.txt pyproject.toml
	@PYTHON=$(PYTHON) tools/venv.sh $(VENV)
	@touch $@

system-demo:
	@tools/system.sh demo

system-test:
	@tools/system.sh test

demo: system-demo setup
	@$(BIN)/python tools/demo.py

test: system-test setup check real

assets: system-test setup
	@$(BIN)/python tools/test_assets.py

check: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tools/size_check.py
	$(BIN)/python -m pytest -q tests/unit -n 2

unit: setup
	$(BIN)/python -m pytest -q tests/unit -n 2

real: assets
	$(BIN)/python tools/real_tests.py

soak: assets
	$(BIN)/python -m pytest -v -m soak tests/real

bench: assets
	$(BIN)/python bench/cli.py
	$(BIN)/python bench/start.py
	$(BIN)/python bench/doctor.py
	$(BIN)/python bench/monitor.py
	$(BIN)/python bench/page.py

lock:
	tools/lock.sh

clean:
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache
