# Everything runs in the project's own .venv; `make demo` and `make test` need nothing else. The demo runs on what a
# user installs: what the tests need beside it makes every process start slower.
PYTHON ?= python3
BIN := .venv/bin
export OMP_NUM_THREADS ?= 2

.PHONY: demo demo-captions demo-images test test-all lint format bench bench-scale bench-gpu bench-truth bench-yield bench-writer figures docs api clean

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

.venv/usable: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) .
	touch $@

.venv/ready: .venv/usable
	$(PIP) '.[dev]'
	touch $@

demo: .venv/usable
	$(BIN)/pairforge

# From captions to shards: the mini world's language model writes caption pairs first.
demo-captions: .venv/usable
	$(BIN)/pairforge captions=from_captions pairs.captions=miniworld_captions out=outputs/captions

# From photographs to shards: 24 drawn ones, each edited in place.
demo-images: .venv/usable
	$(BIN)/python -m miniworld.write_photographs outputs/photographs
	$(BIN)/pairforge captions=jsonl captions.path=outputs/photographs/pairs.jsonl out=outputs/images sheet.pairs=24 unit_pairs=4

# Three tests at once, of one thread each: most wait for processes that start. In the order of tests/conftest.py.
test: .venv/ready
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

test-all: .venv/ready
	$(BIN)/python -m pytest --hypothesis-profile=drawn -m 'long or not long'

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/ready
	$(BIN)/python -m benchmarks.speed.sweep_speed
	$(BIN)/python -m benchmarks.speed.sweep_speed --self-gain 0.5 --edits 9 --steps 50
	$(BIN)/python -m benchmarks.speed.sweep_speed --sd15 runs/sd15-256 --edits 5 --steps 4 --repeats 1

bench-scale: .venv/ready
	$(BIN)/python -m benchmarks.scale.large_runs

bench-gpu: .venv/ready
	$(BIN)/python -m benchmarks.speed.gpu_utilisation

# The first time it makes what it looks at: some quarter of an hour on one core.
bench-truth: .venv/ready
	$(BIN)/python -m benchmarks.truth.filter_precision

# Hours on one core with all 200 pairs; it goes on where it was cut short.
bench-yield: .venv/ready
	$(BIN)/python -m benchmarks.yields.rows_per_kept --write

# Fine-tunes three times, some five minutes on one core; the first time a quarter of an hour of pre-training before.
bench-writer: .venv/ready
	test -d runs/miniworld/writer || $(BIN)/python -m miniworld.train writer
	$(BIN)/python -m benchmarks.truth.caption_writer

figures: .venv/ready
	$(BIN)/python -m benchmarks.figures.paper_figures
	test -d out/data || $(BIN)/pairforge
	$(BIN)/python -m benchmarks.figures.method_figures
	$(BIN)/python -m benchmarks.truth.background_preservation

docs: .venv/ready
	$(BIN)/python -m conf.reference > docs/configuration.md

api: .venv/ready
	PYTHONPATH=. $(BIN)/python -W ignore docs/api.py site

format: .venv/ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv out
