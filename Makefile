# `make demo` and `make test` set up what they need in .venv; a second call starts at once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export HF_HUB_OFFLINE ?= 1
export HF_HUB_DISABLE_TELEMETRY ?= 1
export GRADIO_ANALYTICS_ENABLED ?= False

.PHONY: help demo test test-all lint explorer check-results evaluate render flagship fast clean

help:            ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/ —/'

demo: $(VENV)/.installed            ## open the Gradio demo at http://127.0.0.1:7860
	$(BIN)/gimefive demo

explorer: $(VENV)/.installed            ## open the Streamlit explorer at http://127.0.0.1:8501
	$(BIN)/gimefive explorer

test: $(VENV)/.installed-test lint            ## lint, types and the default tests (under six minutes on two cores)
	$(BIN)/python -m pytest -m "not slow"

test-all: $(VENV)/.installed-test lint            ## the same and the slow tests
	$(BIN)/python -m pytest

lint: $(VENV)/.installed-test            ## ruff, mypy, and which package may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check-results: $(VENV)/.installed-test            ## recompute every stored figure and table from the stored predictions
	$(BIN)/python -m training.check_results
	$(BIN)/python -m training.render --check

MODEL := gimefive
evaluate: $(VENV)/.installed-test            ## score MODEL=gimefive on the corpora in DATA=DIR, explain it, fill README and cards
	$(BIN)/python -m training.evaluate --model $(MODEL) --data $(DATA) --full
	$(BIN)/python -m training.attention --model $(MODEL) --data $(DATA)
	$(BIN)/python -m training.failures --model $(MODEL) --data $(DATA)
	$(BIN)/python -m training.render

render: $(VENV)/.installed-test            ## fill README and cards from the results
	$(BIN)/python -m training.render

# Each step goes on where a killed one stopped, so the whole may be called again.
RUN := runs/flagship
flagship: $(VENV)/.installed            ## train the flagship from the corpora in DATA=DIR: two runs, calibration, bundle
	test -d runs/package/model || (mkdir -p runs && cd runs && npm pack @vladmandic/face-api@1.7.15 && tar xzf vladmandic-face-api-1.7.15.tgz)
	$(BIN)/python -m training.train --recipe flagship --data $(DATA) --identity runs/package/model --out $(RUN)-first
	$(BIN)/python -m training.train --recipe flagship-second --data $(DATA) --weights $(RUN)-first/model --out $(RUN)
	$(BIN)/python -m training.calibrate --checkpoint $(RUN)/model --data $(DATA) --flip-average --zoom-average 1.1 0.9
	$(BIN)/python -m training.bundle $(RUN)/model --name gimefive --onnx

fast: $(VENV)/.installed            ## train gimefive-fast, after the flagship, from the corpora in DATA=DIR
	$(BIN)/python -m training.train --recipe flagship-64px --data $(DATA) --weights $(RUN)/model --teacher $(RUN)/model --out $(RUN)-64px
	$(BIN)/python -m training.train --recipe gimefive-fast --data $(DATA) --weights $(RUN)-64px/model --teacher $(RUN)/model --out $(RUN)-fast-first
	$(BIN)/python -m training.train --recipe gimefive-fast-second --data $(DATA) --weights $(RUN)-fast-first/model --teacher $(RUN)/model --out runs/gimefive-fast
	$(BIN)/python -m training.calibrate --checkpoint runs/gimefive-fast/model --data $(DATA)
	$(BIN)/python -m training.bundle runs/gimefive-fast/model --name gimefive-fast --int8 --data $(DATA)

$(VENV)/.python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv $(VENV)
	touch $@

# One call of pip for everything: packages installed one after the other undo each other's bounds.
$(VENV)/.installed: $(VENV)/.python requirements.txt pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -e .
	touch $@

$(VENV)/.installed-test: $(VENV)/.python requirements.txt requirements-test.txt pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -r requirements-test.txt -e .
	touch $@ $(VENV)/.installed

clean:            ## remove the virtual environment and caches
	rm -rf $(VENV) .ruff_cache .mypy_cache build *.egg-info
