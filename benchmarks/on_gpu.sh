#!/bin/sh
# On a machine with a GPU, in under eight minutes: the tables of docs/scale.md again.
#   benchmarks/on_gpu.sh [PYTHON]
# Needs the extra hf. Weights are random in the shapes of the published models and are made here:
# nothing is downloaded. A step that takes too long is cut off, and the others go on.
set -u
python=${1:-.venv/bin/python}
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
cd "$(dirname "$0")/.." || exit 2
# Weights of true size are written and read at once: in memory, where there is room for 20 GB.
room=$(df -k --output=avail /dev/shm 2>/dev/null | tail -1)
[ "${room:-0}" -gt 20000000 ] && export TMPDIR=/dev/shm
status=0
step() {
    seconds=$1
    shift
    echo "== python -m $*"
    timeout "$seconds" "$python" -m "$@" || { echo "-- stopped or failed: $?"; status=1; }
}
step 150 benchmarks.where_it_goes --device cuda
step 60 benchmarks.on_both_devices
step 170 benchmarks.querying --device cuda --dtype bfloat16 --true-size --models clip blip2 llava qwen2-vl --repeats 1 --images 32
step 50 benchmarks.precision --device cuda
step 40 benchmarks.scoring --claims 4000000
exit $status
