#!/usr/bin/env bash
# make_libcuda.sh STUB FOLDER: makes FOLDER/libcuda.so.1, a stand-in for NVIDIA's driver (libcuda.c). STUB is the toolkit's
# lib64/stubs/libcuda.so, whose list of functions is all that is taken from it.
set -euo pipefail
stub=$1 folder=$2
here=$(dirname "$0")

symbols() {
    nm --defined-only "$@" | awk '$2 == "T" { sub(/@.*/, "", $3); print $3 }' | sort -u
}

cc -std=c17 -O1 -fPIC -c "$here/libcuda.c" -o "$folder/libcuda.o"
comm -23 <(symbols -D "$stub") <(symbols "$folder/libcuda.o") | sed 's/.*/-Wl,--defsym=&=unavailable/' >"$folder/libcuda.args"
cc -shared -Wl,-soname,libcuda.so.1 "$folder/libcuda.o" "@$folder/libcuda.args" -ldl -o "$folder/libcuda.so.1"
