# Needs Python 3.11 or later, make and a package index; everything else goes into .venv.
#
#   make setup           .venv with the pinned versions
#   make check           format, lint, types, the arrows between the packages, what is declared
#   make test            all tests; ARGS="tests/unit -k name" for some
#   make installs        wheel and sdist in empty environments, one for each extra; INTO=python3.13
#   make test-lowest     unit and contract tests with the lowest versions that pyproject.toml allows
#   make demo FILE=path  a job from end to end; without FILE a sample
#   make bench           speed, next to other tools
#   make peers SUITES=DIR  the b2 tool's and b2sdk's own tests, cloned into DIR, on the local B2
#   make docs            write the README's table of settings anew
#   make audit           known holes in what is locked (asks pypi.org)
#   make sbom            build/sbom.json: what the image's packages are, from the lock
#   make lock            resolve the dependencies anew
#
# With another Python, beside the first: make test PYTHON=python3.13 VENV=.venv-3.13

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INTO ?=
FILE ?=
ARGS ?=
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command "make lock" pyproject.toml

# What the image's OTEL=1 adds, in versions that go with the rest.
OTEL := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command "make lock" --constraint requirements.txt --constraint requirements-dev.txt

# Every process of a test starts Python anew: compiling 700 modules each time would cost it seconds.
export PYTHONDONTWRITEBYTECODE :=

DEPTRY = $(BIN)/deptry --no-ansi --optional-dependencies-dev-groups


SUITES ?=
.PHONY: setup check types style arrows declared test installs test-lowest peers demo bench docs audit sbom lock clean

setup: $(VENV)/ready

$(VENV)/ready: requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "b2jobs needs Python 3.11 or later; try: make $(MAKECMDGOALS) PYTHON=python3.13" >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Each by itself, so that `make -j4 check` takes as long as the types do.
check: types style arrows declared

types: setup
	$(BIN)/mypy

style: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

arrows: setup
	$(BIN)/lint-imports --no-logo

declared: setup
	$(BIN)/deptry --no-ansi tasks worker emulator console
	$(DEPTRY) worker,stores,emulator,console,tls,local tasks
	$(DEPTRY) emulator,console,tls,local --ignore DEP002 worker
	$(DEPTRY) worker,stores,console,local --ignore DEP002 emulator
	$(DEPTRY) worker,stores,emulator,tls,local --ignore DEP002 console

test: setup
	$(BIN)/pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

# Not one of `make test`, beside which it may run: it asks the package index.
installs: setup
	B2JOBS_TEST_PYTHON="$(INTO)" $(BIN)/pytest -p no:cacheprovider tests/installs $(ARGS)

# What users may have is at its lowest, the tools are as they are locked.
LOWEST := build/lowest
test-lowest: setup
	mkdir -p $(LOWEST)
	$(BIN)/uv pip compile --quiet --python-version 3.11 --resolution lowest-direct --all-extras \
		--no-header --output-file $(LOWEST)/ours.txt pyproject.toml
	sed -i.all '/^opentelemetry/d' $(LOWEST)/ours.txt  # its SDK, a tool of ours, wants the API of its release
	cp requirements-dev.txt $(LOWEST)/all.txt
	$(BIN)/uv pip compile --quiet --python-version 3.11 --all-extras --group dev \
		--constraint $(LOWEST)/ours.txt --output-file $(LOWEST)/all.txt pyproject.toml
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(LOWEST)/venv
	$(BIN)/uv pip sync --quiet --python $(LOWEST)/venv $(LOWEST)/all.txt
	$(BIN)/uv pip install --quiet --python $(LOWEST)/venv --no-deps --no-build-isolation --editable .
	$(LOWEST)/venv/bin/pytest --numprocesses 4 --dist loadfile tests/unit tests/contract $(ARGS)

# Whoever wrote these tests has never seen our code. What they need is installed beside .venv.
PEERS := build/peers
peers: setup
	@test -n "$(SUITES)" || { echo "make peers SUITES=DIR: clones of github.com/Backblaze/B2_Command_Line_Tool and /b2-sdk-python in DIR" >&2; exit 2; }
	$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python $(PEERS)
	$(BIN)/uv pip install --quiet --python $(PEERS) --constraint requirements-dev.txt "b2[license]" b2sdk \
		--group $(SUITES)/B2_Command_Line_Tool/pyproject.toml:test \
		--group $(SUITES)/b2-sdk-python/pyproject.toml:test
	$(BIN)/python -m tests.contract.emulator_suite.peers $(SUITES) $(PEERS)/bin/python $(ARGS)

demo: setup
	$(BIN)/b2jobs demo $(if $(FILE),"$(FILE)")

bench: setup
	$(BIN)/python -m bench $(ARGS)

docs: setup
	PYTHONPATH=tests $(BIN)/python -m support.settings_table

audit: setup
	$(BIN)/uv tool run pip-audit==2.10.1 --strict --require-hashes --disable-pip --requirement requirements.txt \
		|| { echo "There is a known hole, or pypi.org could not be reached: see above." >&2; exit 1; }

sbom: setup
	mkdir -p build
	$(BIN)/uv tool run --from cyclonedx-bom==7.5.0 cyclonedx-py requirements \
		--output-reproducible --output-file build/sbom.json requirements.txt

lock: setup
	$(COMPILE) --upgrade --extra worker --extra emulator --extra stores --extra console --output-file requirements.txt
	$(COMPILE) --upgrade --all-extras --group dev --output-file requirements-dev.txt
	$(OTEL) --upgrade --output-file docker/otel.txt docker/otel.in

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
