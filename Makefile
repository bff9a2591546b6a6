# `make demo` and `make test` set up what they need in .venv; a second call starts at once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export HF_HUB_OFFLINE ?= 1
export HF_HUB_DISABLE_TELEMETRY ?= 1
export GRADIO_ANALYTICS_ENABLED ?= False

.PHONY: help demo live test quick test-all lint explorer check-results evaluate render flagship seven fast lock audit docs sbom clean

help:            ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/ —/'

demo: $(VENV)/.installed            ## open the Gradio demo at http://127.0.0.1:7860
	$(BIN)/gimefive demo

live: $(VENV)/.installed            ## build the browser's own reader (needs npm) and serve it at http://127.0.0.1:7870
	$(BIN)/python -m spaces.build_live --serve

explorer: $(VENV)/.installed            ## open the Streamlit explorer at http://127.0.0.1:8501
	$(BIN)/gimefive explorer

# Two processes, which share no fixture: each takes half of the files in their order, so that few are set up twice.
PYTEST := $(BIN)/python -m pytest -n 2 --dist worksteal
test: $(VENV)/.installed-test lint            ## lint, types and the default tests (under six minutes on two cores)
	$(PYTEST) -m "not slow"

QUICK := folders/test_tables evaluation/test_metrics evaluation/test_results explain/test_regions model/test_image_processing faces/test_tracking training/test_train_parts model/test_golden_networks
quick: $(VENV)/.installed-test            ## a selection that answers within a minute, for whoever edits one file
	$(BIN)/ruff check .
	$(BIN)/python -m pytest -m "not slow" -k "not every_stored_figure" $(QUICK:%=tests/%.py)

test-all: $(VENV)/.installed-test lint            ## the same and the slow tests
	$(PYTEST)

lint: $(VENV)/.installed-test            ## ruff, mypy, and which package may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check-results: $(VENV)/.installed-test            ## recompute every stored figure and table from the stored predictions
	$(BIN)/python -m evaluation.check_results
	$(BIN)/python -m evaluation.cards.render --check
	$(BIN)/python -m evaluation.cards.readme_output --check

MODEL := gimefive
evaluate: $(VENV)/.installed-test            ## score MODEL=gimefive on the corpora in DATA=DIR, explain it, fill README and cards
	$(BIN)/python -m training.measuring.evaluate --model $(MODEL) --data $(DATA) --full
	$(BIN)/python -m training.measuring.attention --model $(MODEL) --data $(DATA)
	$(BIN)/python -m training.measuring.failures --model $(MODEL) --data $(DATA)
	$(BIN)/python -m evaluation.cards.render

render: $(VENV)/.installed-test            ## fill README and cards from the results
	$(BIN)/python -m evaluation.cards.render

# Each step goes on where a killed one stopped, so the whole may be called again.
RUN := runs/flagship
FACE_API_VERSION := 1.7.15
FACE_API_FILE := vladmandic-face-api-$(FACE_API_VERSION).tgz
FACE_API_SHA512 := 5833262b709f34ba3c8f2956a8ca1081fe2722cb773347f3c7576769cf7ac2ffddbcc4cde03c42fcfab50c6b5db83935964b426a64373080d7167beb7474d70f
TRAIN := $(BIN)/python -m training.train --data $(DATA)
SIX := happiness surprise sadness anger disgust fear
flagship: $(VENV)/.installed            ## train the flagship from the corpora in DATA=DIR: two runs, a teacher, the taught network, calibration, bundle
	@$(BIN)/python -c 'import torch; print("The whole takes half an hour on one H100: there is a GPU here" if torch.cuda.is_available() else "There is no GPU here. On two cores the first two runs take about 4 hours, teacher and student weeks: take the bundled weights, or give --steps")'
	test -d runs/package/model || (mkdir -p runs && cd runs && npm pack @vladmandic/face-api@$(FACE_API_VERSION) && echo "$(FACE_API_SHA512)  $(FACE_API_FILE)" | sha512sum --check && tar xzf $(FACE_API_FILE))
	$(TRAIN) --recipe flagship --identity runs/package/model --out $(RUN)-first
	$(TRAIN) --recipe flagship-second --weights $(RUN)-first/model --out $(RUN)-second
	$(TRAIN) --recipe teacher-widened --weights $(RUN)-second/model --out $(RUN)-teacher
	$(TRAIN) --recipe flagship-taught --weights $(RUN)-second/model --teacher $(RUN)-teacher/model $(RUN)-second/model --out $(RUN)
	$(BIN)/python -m training.checkpoints.calibrate --checkpoint $(RUN)/model --data $(DATA) --flip-average
	$(BIN)/python -m training.checkpoints.bundle $(RUN)/model --name gimefive --onnx

seven: $(VENV)/.installed            ## train gimefive-7, after the flagship, from the corpora in DATA=DIR
	$(TRAIN) --recipe gimefive-7 --weights $(RUN)/model --teacher $(RUN)-teacher/model $(RUN)-second/model --out runs/gimefive-7-first
	$(BIN)/python -m training.detected_crops --data $(DATA) --out runs/detected
	$(TRAIN) --recipe gimefive-7-second --weights runs/gimefive-7-first/model --teacher $(RUN)-teacher/model $(RUN)-second/model --detected runs/detected --out runs/gimefive-7-second
	$(BIN)/python -m training.checkpoints.average_weights runs/gimefive-7-second/model runs/gimefive-7-first/model --shares 0.7 0.3 --neutral 0.3 --out runs/gimefive-7/model
	$(BIN)/python -m training.checkpoints.calibrate --checkpoint runs/gimefive-7/model --data $(DATA) --flip-average
	$(BIN)/python -m training.checkpoints.bundle runs/gimefive-7/model --name gimefive-7 --onnx

fast: $(VENV)/.installed            ## train gimefive-fast, after the flagship, from the corpora in DATA=DIR, with neutral and without
	$(TRAIN) --recipe flagship-64px --weights $(RUN)/model --teacher $(RUN)/model --out $(RUN)-64px
	$(TRAIN) --recipe gimefive-fast --weights $(RUN)-64px/model --teacher $(RUN)/model --out $(RUN)-fast-first
	$(TRAIN) --recipe gimefive-fast-second --weights $(RUN)-fast-first/model --teacher $(RUN)/model --out $(RUN)-fast-second
	$(TRAIN) --recipe gimefive-fast-7 --weights $(RUN)-fast-second/model --teacher $(RUN)-teacher/model $(RUN)-second/model --out runs/gimefive-fast-7-first
	$(BIN)/python -m training.detected_crops --data $(DATA) --out runs/detected
	$(TRAIN) --recipe gimefive-fast-7-second --weights runs/gimefive-fast-7-first/model --teacher $(RUN)-teacher/model $(RUN)-second/model --detected runs/detected --out runs/gimefive-fast-7-second
	$(BIN)/python -m training.checkpoints.average_weights runs/gimefive-fast-7-second/model runs/gimefive-fast-7-first/model --shares 0.7 0.3 --neutral 0.3 --out runs/gimefive-fast-7/model
	$(BIN)/python -m training.checkpoints.keep_classes runs/gimefive-fast-7/model runs/gimefive-fast/model --classes $(SIX)
	for name in gimefive-fast-7 gimefive-fast; do \
	  $(BIN)/python -m training.checkpoints.calibrate --checkpoint runs/$$name/model --data $(DATA) && \
	  $(BIN)/python -m training.checkpoints.bundle runs/$$name/model --name $$name --int8 --data $(DATA) || exit 1; done

$(VENV)/.python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv $(VENV)
	touch $@

# One call of pip for everything, because packages installed one after the other undo each other's bounds; every file
# must have the digest that the lock names. The package itself then needs nothing more, not even to build it.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
$(VENV)/.installed: $(VENV)/.python requirements.lock pyproject.toml
	$(INSTALL) --require-hashes -r requirements.lock
	$(INSTALL) --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/.installed-test: $(VENV)/.python requirements-test.lock pyproject.toml
	$(INSTALL) --require-hashes -r requirements-test.lock
	$(INSTALL) --no-deps --no-build-isolation -e .
	touch $@ $(VENV)/.installed

# For every platform and Python from 3.11 on; uv comes by `pip install uv`.
LOCK := uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet
lock:            ## write the lock files anew, after requirements.txt or requirements-test.txt was changed
	$(LOCK) requirements.txt -o requirements.lock
	$(LOCK) requirements.txt requirements-test.txt -c requirements.lock -o requirements-test.lock

audit: $(VENV)/.installed-test            ## known vulnerabilities of the locked packages, where their database can be had
	$(BIN)/python .ci/audit.py requirements-test.lock

docs: $(VENV)/.installed-test            ## the documentation with the API reference, into build/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

sbom: $(VENV)/.installed-test            ## build/sbom.json: what the locked set consists of, in CycloneDX
	mkdir -p build
	$(BIN)/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml --of JSON -o build/sbom.json

clean:            ## remove the virtual environment and caches
	rm -rf spaces/live/node_modules $(VENV) .ruff_cache .mypy_cache build *.egg-info
