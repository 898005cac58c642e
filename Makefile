# One entry point for people and machines. `make demo` and `make test` set everything up by themselves.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?=
ONLY ?=
# What is particular to a machine, such as `export DIFFREC_DATA := FOLDER`; git leaves it alone.
-include local.mk
# The environment of this folder is used whatever environment the caller has activated.
unexport VIRTUAL_ENV
# Every process imports torch, and compiles all of it each time where nothing may be kept.
unexport PYTHONDONTWRITEBYTECODE

RUST_NEEDED := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
RUST := $(wildcard rust/*.rs rust/*/*.rs) Cargo.toml $(wildcard Cargo.lock)

# What wheels are built for by `make wheels`, and what else Rust is checked for; each needs `rustup target add`.
LINUX := x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu x86_64-unknown-linux-musl aarch64-unknown-linux-musl
ELSEWHERE := x86_64-apple-darwin aarch64-apple-darwin x86_64-pc-windows-msvc aarch64-pc-windows-msvc

.PHONY: all setup demo test test-all docs lint format bench bench-compare licenses lock audit sanitize fuzz wheel sdist \
	check-wheel wheel-free-threaded wheels targets check-elsewhere sbom clean

all: lint test docs check-wheel

setup: $(VENV)/.built

$(BIN)/python:
	@printf '%s\n' $(RUST_NEEDED) "$$(rustc --version 2>/dev/null | cut -d' ' -f2)" | sort -C -V || \
		{ echo "Rust $(RUST_NEEDED) or newer is needed to build diffrec: see https://rustup.rs"; exit 1; }
	@if command -v uv >/dev/null; then uv venv --quiet --python $(PYTHON) $(VENV); else $(PYTHON) -m venv $(VENV); fi

# uv is taken from the machine when it is there, otherwise from the environment itself.
UV = $$(command -v uv || echo $(BIN)/uv)

# `make setup LOCKED=1` installs exactly what the lock file names, by its hashes, into an environment that has others,
# too; otherwise the newest there is.
LOCK := .ci/requirements.lock
INSTALL = command -v uv >/dev/null || $(BIN)/python -m pip install --quiet uv; $(UV) pip install --quiet --python $(BIN)/python

$(VENV)/.locked: pyproject.toml $(LOCK) | $(BIN)/python
	$(INSTALL) --require-hashes -r $(LOCK)
	@touch $(VENV)/.installed $@

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@rm -f $(VENV)/.locked
	$(INSTALL) --group dev -r pyproject.toml
	@touch $@

$(VENV)/.built: $(VENV)/$(if $(LOCKED),.locked,.installed) $(RUST)
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/maturin develop --uv --release --quiet
	@touch $@

demo: setup
	$(BIN)/python -m diffrec.demo $(DATA)

# A process per processor, each with one thread in torch: files are parted, for their fixtures are dear.
test: setup
	cargo test --quiet
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist loadfile -p no:benchmark

test-all: setup
	cargo test --quiet
	HYPOTHESIS_PROFILE=thorough $(BIN)/python -m pytest -q -m "long or not long"

# Runs the code of every page: a block that fails, like any warning, ends it.
docs: setup
	$(BIN)/sphinx-build --quiet --fresh-env --fail-on-warning --keep-going docs docs/_build/html
	@echo "docs/_build/html/index.html"

lint: setup
	cargo fmt --check
	cargo clippy --quiet --all-targets -- -D warnings
	cargo clippy --quiet --all-targets --features python -- -D warnings
	cargo check --quiet --locked --manifest-path fuzz/Cargo.toml --no-default-features
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python .ci/fit_types.py --check
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest diffrec._core --mypy-config-file pyproject.toml
	$(BIN)/lint-imports

format: setup
	cargo fmt
	$(BIN)/python .ci/fit_types.py
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# `make bench ONLY=topk` runs the benchmarks whose names have that in them, as pytest's -k.
bench: setup
	$(BIN)/python -m pytest benches/bench_*.py --benchmark-only --benchmark-quiet -q $(if $(ONLY),-k "$(ONLY)") \
		--benchmark-autosave --benchmark-storage=.benchmarks

bench-compare: setup
	$(BIN)/python -m benches.table --compare

# The licences of the Rust crates that are compiled in, from their sources.
licenses: setup
	$(BIN)/python .ci/third_party.py

# The Python packages anew, after a change of pyproject.toml or for newer ones; Cargo.lock is the crates'.
lock: setup
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
		--custom-compile-command "make lock" --group dev pyproject.toml -o $(LOCK)

# Known vulnerabilities, licences and sources of all that is depended on. Needs a network, and cargo-deny, whose settings
# are in deny.toml; a vulnerability of a Python package that does not concern us is left out by --ignore-vuln here, with
# the reason.
audit: setup
	cargo deny --locked check
	$(UV) tool run pip-audit --strict --disable-pip --require-hashes --requirement $(LOCK)

# The Rust tests under Miri, AddressSanitizer and ThreadSanitizer; needs a nightly toolchain, see the script.
sanitize:
	.ci/sanitize miri address thread

# Every fuzz target for ten minutes; `make fuzz SECONDS_EACH=60 ONLY=top_k` shorter, and some of them.
fuzz:
	.ci/sanitize fuzz

# One wheel for every Python from the oldest supported on; it may need no library but the system's.
wheel: setup
	$(BIN)/maturin build --release --locked --quiet --auditwheel check --out dist

sdist: setup
	$(BIN)/maturin sdist --out dist

# Installs what the two above built where nothing else is, with the oldest and the newest dependencies, and tries it.
check-wheel: wheel sdist
	$(BIN)/python .ci/third_party.py --check
	$(BIN)/python .ci/check_wheel.py

# The stable ABI has no free-threading before Python 3.15: a wheel for one version, which that Python need not be here
# for. `make check-wheel` imports it where it is.
FREE_THREADED ?= python3.14t
wheel-free-threaded: setup
	$(BIN)/maturin build --release --locked --quiet --auditwheel check --interpreter $(FREE_THREADED) --out dist

# For old and new systems, with the C library of GNU or musl, on both processors. zig, from the package index, links for
# all of them on any Linux.
wheels: $(LINUX:%=wheel-%)
	$(BIN)/python .ci/check_wheel.py --contents

ZIG = $(UV) tool run --quiet --with ziglang 'maturin>=1.9,<2' build --release --locked --quiet --zig \
	--auditwheel check --out dist
wheel-%-gnu: setup
	$(ZIG) --target $*-gnu --compatibility manylinux_2_17
wheel-%-musl: setup
	$(ZIG) --target $*-musl --compatibility musllinux_1_2

targets:
	@echo $(LINUX)

# What cannot be linked here can be compiled.
check-elsewhere: $(ELSEWHERE:%=check-%)
check-%:
	cargo check --quiet --locked --features python --target $*

# What an installer brings along besides the wheel, which names its crates itself (in .dist-info/sboms).
sbom: setup
	@mkdir -p dist target
	$(UV) pip compile --quiet --python-version 3.11 --constraints $(LOCK) --output-file target/requirements.txt pyproject.toml
	$(UV) tool run --quiet --from cyclonedx-bom cyclonedx-py requirements --pyproject pyproject.toml \
		--output-reproducible --output-format JSON --output-file dist/diffrec-python.cdx.json target/requirements.txt

clean:
	rm -rf $(VENV) target dist docs/_build docs/api docs/figures
