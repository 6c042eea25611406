#!/bin/sh
# On a machine with a GPU, in under eight minutes: the tables of docs/scale.md again.
#   benchmarks/on_gpu.sh [PYTHON]
# Needs the extra hf. Weights are random in the shapes of the published models and are made here:
# nothing is downloaded. A step that takes too long is cut off, and the others go on.
set -u
python=${1:-.venv/bin/python}
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
cd "$(dirname "$0")/.." || exit 2
status=0
step() {
    seconds=$1
    shift
    echo "== python -m $*"
    timeout "$seconds" "$python" -m "$@" || { echo "-- stopped or failed: $?"; status=1; }
}
step 240 benchmarks.where_it_goes --device cuda
step 150 benchmarks.querying --device cuda --dtype bfloat16 --true-size --models clip blip2 llava qwen2-vl --repeats 1 --images 32
step 60 benchmarks.scoring --claims 2000000
exit $status
