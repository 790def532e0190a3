#!/usr/bin/env bash
# test_plans.sh PROGRAM DEVICE.json FILE...: has cuDNN a plan for every convolution of the tables and models, on a device that is
# not here? A stand-in for the driver is made. Plans are built and kept, then loaded: the files must be the same, not written
# again.
# Exits with 77 (skipped) where the CUDA toolkit or cuDNN is missing. CUDA_HOME says where they are.
set -euo pipefail
program=$1
device=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
cuda=${CUDA_HOME:-/usr/local/cuda}
libraries=$cuda/lib64

for needed in stubs/libcuda.so libcudnn_graph.so.9; do
    if [ ! -e "$libraries/$needed" ]; then
        echo "skipped: $libraries/$needed is missing"
        exit 77
    fi
done

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$here/make_libcuda.sh" "$libraries/stubs/libcuda.so" "$folder"

# No leak check in a sanitizer's build: cuDNN loads and unloads NVRTC for each plan, which leaves memory of its own behind.
plans() {
    ASAN_OPTIONS=detect_leaks=0 LD_LIBRARY_PATH="$folder:$libraries" "$program" --cache "$folder/cache" "$device" "$@"
}
without_seconds() {
    sed -E 's/ +[0-9.]+ s / /' "$1"
}
kept() {
    find "$folder/cache" -type f -printf '%p %i %T@\n' | sort
}

plans "$@" | tee "$folder/built"
before=$(kept)
plans "$@" >"$folder/loaded"
diff <(without_seconds "$folder/built") <(without_seconds "$folder/loaded")
diff <(echo "$before") <(kept)
