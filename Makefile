# Verbs: demo, test, lint, bench, clean. Each builds .venv first and installs the project into it.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
SOURCES := $(shell git ls-files --cached --others --exclude-standard 2>/dev/null -- '*.py' '*.toml' '*.json' '*.onnx' '*.safetensors')

.PHONY: demo test lint bench clean

$(VENV)/.dependencies: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	rm -rf build
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet ".[dev]"
	touch $@

$(VENV)/.installed: $(VENV)/.dependencies $(SOURCES)
	rm -rf build
	$(BIN)/python -m pip install --quiet --no-deps --force-reinstall .
	rm -rf build
	touch $@

demo: $(VENV)/.installed
ifdef AUDIO
	$(BIN)/covoguard scan --exit-zero "$(AUDIO)"
else
	$(BIN)/covoguard demo
endif

test: $(VENV)/.installed
	$(BIN)/python -m pytest

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd $(VENV) && bin/mypy --config-file ../pyproject.toml -p covoguard

bench: $(VENV)/.installed
ifdef AUDIO
	$(BIN)/python benchmarks/scan_speed.py "$(AUDIO)"
else
	@echo "Give a folder of real recordings: make bench AUDIO=path/to/folder"
endif

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
