# Every target creates what it needs; only python3.11 (or newer) and make have to be there.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
PYTEST := $(BIN)/python -m pytest -p no:cacheprovider
# One thread a process: tiny models on contended threads are hundreds of times slower.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1
export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM ?= false
export RAY_USAGE_STATS_ENABLED ?= 0
# uv does not read pip's setting of a local wheel folder by itself.
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)

BENCHMARKS := "speed --out benchmarks/RESULTS.md" conventions conventions_of_boxes guarantees drift metrics scoring scene_graphs graph_scenes graph_certificates propagation packing querying chat \
	precision sentences vocabulary bag_streams verification_cost vilu_training csp_evidence classification worlds "where_it_goes --device cpu --small --rounds 2 --images 4" "vsr_live --dry-run"

.PHONY: setup demo test test-slow check bench docs clean
setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt overrides.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "uv>=0.5"
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt \
		--overrides overrides.txt xgboost-cpu -e ".[hf,ray,ros,rerun,xlsx,csp,report,dev]"
	$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true
	touch $@

demo: $(STAMP)
	@echo "== claims with boxes, in: data/claims.jsonl (a rendered world with known truth)"
	$(BIN)/spatialtrust verify data/claims.jsonl --out out/demo/verdicts.parquet --explain
	@echo "== how good the verdicts are (the shipped model never saw this world)"
	$(BIN)/spatialtrust eval out/demo/verdicts.parquet --resamples 200 > out/demo/evaluation.json
	@echo "== scene graphs of the sample images"
	$(BIN)/spatialtrust graph data/still_lifes --detections data/still_lifes/boxes.json \
		--asker none --out out/demo/graphs
	@echo "== the same live: tiny models of the real architectures look at rendered scenes"
	$(BIN)/spatialtrust graph data/tabletop --vocabulary data/tabletop/objects.txt \
		--detector tabletop:grounding-dino --asker tabletop:blip2 --out out/demo/live
	@echo "== fresh scenes with known truth: how far can each asker be trusted, and by what?"
	$(BIN)/spatialtrust demo --out out/demo/tabletop > out/demo/demo.json
	@echo "== done: graphs in out/demo/*/graphs and out/demo/tabletop/*/graphs, pictures beside them"
	@echo "   in overlays; coverage curves in out/demo/tabletop/curves.png"

test: $(STAMP)
	$(PYTEST) -m "not slow" -n 2 --dist loadfile
	$(MAKE) --no-print-directory check

test-slow: $(STAMP)
	$(PYTEST) -m slow --timeout=1800

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(PYTEST) -q --doctest-modules spatialtrust -n 2

bench: $(STAMP)
	for name in $(BENCHMARKS); do \
		echo "== python -m benchmarks.$$name"; $(BIN)/python -m benchmarks.$$name || exit 1; done
	@for name in crossval_vsr answerers box_noise promises; do echo "== python -m benchmarks.$$name"; \
	if [ -n "$$SPATIALTRUST_SHARED_DATA" ]; then $(BIN)/python -m benchmarks.$$name \
		"$$SPATIALTRUST_SHARED_DATA/vsr_boxes/statements.jsonl.gz" || exit 1; \
	else echo "left out: it needs labelled statements, see CONTRIBUTING.md"; fi; done
	@echo "== python -m benchmarks.graph_photos"; \
	if [ -n "$$SPATIALTRUST_SHARED_DATA" ]; then \
		$(BIN)/python -m benchmarks.graph_photos "$$SPATIALTRUST_SHARED_DATA/photos"; \
	else echo "left out: it needs annotated photos, see CONTRIBUTING.md"; fi

docs: $(STAMP)
	$(PYTEST) -q tests/test_docs.py

clean:
	rm -rf $(VENV) out build dist
