# Everything from a fresh clone: `make demo`, `make test`, `make test-slow`, `make test-lowest`, `make check`,
# `make coverage`, `make docs`, `make speed`, `make reference`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOWEST := $(VENV)-lowest
INSTALLED := $(VENV)/installed
TREE := .mypy_cache/tree
REFERENCE_MODELS := demo

.PHONY: install demo test test-slow test-lowest check types coverage docs speed reference clean

# How the methods fare on the built-in world, and a page to look at it.
demo: $(INSTALLED)
	$(BIN)/attrib bench -O runs/demo
	$(BIN)/attrib report runs/demo

# Python keeps the bytecode of tests and package for the next time, whatever the environment says.
test: $(INSTALLED)
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n $${WORKERS:-2} --dist loadfile -m "not slow" $(ARGS)

# What starts whole processes, browsers, installs or trainings.
test-slow: $(INSTALLED)
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n $${WORKERS:-2} --dist loadfile -m slow $(ARGS)

# The quick tests with the oldest versions that setup.cfg allows, in an environment of their own (about 6 GB).
test-lowest: $(LOWEST)/installed
	PYTHONDONTWRITEBYTECODE= $(LOWEST)/bin/python -m pytest -n $${WORKERS:-2} --dist loadfile -m "not slow" $(ARGS)

$(LOWEST)/installed: setup.cfg
	test -x $(LOWEST)/bin/python || $(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --disable-pip-version-check --quiet uv
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct --editable ".[lowest]"
	touch $@

# Lines that the suite runs in this process and its workers; what subprocesses run does not count.
coverage: $(INSTALLED)
	$(BIN)/pytest -n $${WORKERS:-2} --dist loadfile --cov --cov-report=term:skip-covered $(ARGS)

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m tools.check_docstrings
	$(MAKE) types

# mypy does not follow attrib.__path__: give it links in the layout of the installed package.
types: $(INSTALLED)
	rm -rf $(TREE)
	mkdir -p $(TREE)/attrib
	ln -s $(CURDIR)/attrib/* $(CURDIR)/methods $(CURDIR)/benchmarks $(CURDIR)/configs $(TREE)/attrib/
	ln -s $(CURDIR)/tools $(TREE)/
	cd $(TREE) && $(CURDIR)/$(BIN)/mypy --config-file $(CURDIR)/pyproject.toml --cache-dir $(CURDIR)/.mypy_cache/cache

# The documentation site, into site/; a broken link, a page without a place or a warning is an error.
docs: $(INSTALLED)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable ".[docs]"
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

speed: $(INSTALLED)
	$(BIN)/python -m tools.speed
	$(BIN)/python -m tools.speed.evaluation

# The published numbers: results/reference/ and docs/results.md, after hours on two cores. A rerun goes on where this one
# stopped. Failed maps (exit code 1) are counted on the page; anything else stops.
reference: $(INSTALLED)
	for model in $(REFERENCE_MODELS); do \
		$(BIN)/attrib bench reference -O runs/reference-$$model --set model.name=$$model || test $$? -eq 1 || exit 1; \
	done
	$(BIN)/python -m tools.reference $(REFERENCE_MODELS:%=runs/reference-%)
	$(BIN)/python -m tools.readme_table

install:
	rm -f $(INSTALLED)
	$(MAKE) $(INSTALLED)

clean:
	rm -rf $(VENV) $(LOWEST) build dist runs site *.egg-info .coverage .pytest_cache .mypy_cache .ruff_cache

# Installed again when the packaging changes: entry points and dependencies live there.
$(INSTALLED): setup.cfg pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable ".[app,dev]"
	touch $@
