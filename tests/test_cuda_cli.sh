#!/usr/bin/env bash
# The command line with an emulated CUDA device: when it is taken, when not, and what is left of a run in which it fails.
#   tests/test_cuda_cli.sh BGDET          BGDET is the program (bgdet_emulated_program)
set -u
bgdet=$(realpath "$1")
root=$(cd "$(dirname "$0")/.." && pwd)
model=$root/weights/resnet18-60x80.bgd
# shellcheck source=tests/claims.sh
. "$root/tests/claims.sh"
cards=("$root"/samples/cards/{clean_mug.jpg,clean_teapot_alpha.png,cropped_sneaker.jpg,not_white_room_lamp.jpg,text_badge_tube.jpg,text_not_white_tube.webp})

# score OPTION...: the cards, two at once
score() { "$bgdet" score -m "$model" --batch 2 --threads 2 "$@" "${cards[@]}"; }
verdicts() { grep -o '"verdict":"[a-z]*"' "$1"; }
# near A B BOUND: the same rows, but for scores that differ by no more than that
near() {
    paste -d '\n' "$1" "$2" | tr '":,{}' '     ' | awk -v bound="$3" '
        NR % 2 { n = split($0, a); next }
        { if (split($0, b) != n) exit 1
          for (i = 1; i <= n; i++) {
              if (a[i] == b[i]) continue
              d = a[i] - b[i]
              if (a[i] !~ /^[01]\.[0-9]+$/ || b[i] !~ /^[01]\.[0-9]+$/ || d > bound || -d > bound) exit 1 } }
        END { if (NR == 0 || NR % 2) exit 1 }'
}

claim "a CUDA device is taken by itself" 0 score
says err '6 cards in .* resnet18 on cuda, 2 threads: .*, 0 errors'
check "it says something else, too: $(grep -v -e ' cards in ' -e '^  ' err)" test "$(grep -cE '^bgdet:' err)" -eq 0
cp out cuda.jsonl
claim "the CPU, for comparison" 0 score -q --device onednn
cp out onednn.jsonl
claim "f16 by itself" 0 score -q --precision f16; check "rows differ" cmp -s out cuda.jsonl
check "the verdicts are not the CPU's" test "$(verdicts cuda.jsonl)" = "$(verdicts onednn.jsonl)"
check "the scores are not near the CPU's" near cuda.jsonl onednn.jsonl 0.01
check "the scores are the CPU's, to the last digit" test "$(cat cuda.jsonl)" != "$(cat onednn.jsonl)"
claim "bf16" 0 score -q --precision bf16; check "rows are as in f16" test "$(cat out)" != "$(cat cuda.jsonl)"
claim "f8" 0 score -q --precision f8; check "rows differ from f16's, though no convolution is large" cmp -s out cuda.jsonl
claim "a CPU has no f8" 64 score --precision f8 --device onednn; says err 'onednn.*f32'
claim "f32 is the CPU's f32" 0 score -q --precision f32; check "rows are further than 0.0001 apart" near out onednn.jsonl 0.0001
claim "plans that are timed" 0 score -q --autotune; check "rows differ, though there is one plan alone" cmp -s out cuda.jsonl
claim "a CPU has no plans" 64 score --autotune --device onednn; says err 'autotune: a CPU has no plans'
claim "a CPU has no f16" 64 score --precision f16 --device onednn; says err 'onednn.*f32'

export BGDET_EMULATED_DEVICES=0
claim "without a device the CPU does it" 0 score
says err '^bgdet: on the CPU \(onednn\), since CUDA: .*no CUDA-capable device' ' on onednn, '
check "rows are not the CPU's" cmp -s out onednn.jsonl
claim "without a device, -q says nothing" 0 score -q; check "it speaks" test ! -s err
claim "a benchmark of a model says so, too" 0 "$bgdet" bench --roofline --seconds 0.01 --batch 1 "$model"
says err '^bgdet: on the CPU \(onednn\), since CUDA: .*no CUDA-capable device'
claim "a device that was asked for must be there" 75 score --device cuda -o gone.jsonl
says err '^bgdet: CUDA: .*no CUDA-capable device'; check "rows by no device" test ! -e gone.jsonl -a ! -e gone.jsonl.part
unset BGDET_EMULATED_DEVICES

export BGDET_EMULATED_MEMORY=$((72 << 20)) # weights of 6 MB, pixels of 64
claim "a batch that does not fit is halved" 0 score --threads 1 --batch 32
says err "^bgdet: the device's memory holds batches of (2|4|8|16), not more$" ' on cuda, '
check "it says so $(grep -c '^bgdet:' err) times" test "$(grep -c '^bgdet:' err)" -eq 1
check "the verdicts change" test "$(verdicts out)" = "$(verdicts cuda.jsonl)"
BGDET_EMULATED_MEMORY=1000000
claim "no memory for a single card" 75 score; says err '^bgdet: resnet18: GPU 0: CUDA: .*out of memory'; check "rows" test ! -s out
BGDET_EMULATED_MEMORY=$((226 << 20))
claim "eight threads have three lanes" 0 score --threads 8
check "there was no memory for the lanes: $(head -1 err)" test "$(grep -c '^bgdet:' err)" -eq 0
check "rows depend on the threads" cmp -s out cuda.jsonl
unset BGDET_EMULATED_MEMORY

export BGDET_EMULATED_DEVICES=3
claim "one of three GPUs" 0 score --gpus 2
says err ' on cuda \(GPU 2\), 2 threads'; check "rows depend on the GPU" cmp -s out cuda.jsonl
claim "two GPUs share the work" 0 score --gpus 0,1 --batch 1
says err ' on cuda \(GPUs 0, 1\), 2 threads'; check "rows depend on the number of GPUs" cmp -s out cuda.jsonl
claim "all GPUs" 0 score --gpus all --threads 1 --batch 1
says err ' on cuda \(GPUs 0, 1, 2\), 1 thread:'; check "rows depend on the number of GPUs" cmp -s out cuda.jsonl
claim "a GPU that is not there" 64 score --gpus 0,3; says err '^bgdet: GPU 3: there are 3, from 0 on$'
for list in '' , 0, ,0 0,,1 0,0 -1 64 0-1 1x all,0 0x1 ' 0'; do
    claim "--gpus '$list'" 64 score --gpus "$list"; says err '--gpus .*expected numbers below 64, each once, as in 0,1, or all'
done
claim "a CPU has no GPUs" 64 score --gpus 0 --device onednn; says err 'the device "onednn" is a CPU'
claim "a folder of rows, by one GPU" 0 score -q --gpus 0 --out one
claim "the same, by two" 0 score -q --gpus 0,1 --out two
check "other rows, or another run.json" diff -r one two
claim "what one GPU began two go on with" 0 score --gpus 0,1 --out one; says err '1 shard was there already'
BGDET_EMULATED_FAIL_AT=300 claim "GPUs that fail" 75 score -q --gpus 0,1 --batch 1 -o gone.jsonl
says err '^bgdet: .*GPU [01]: .*illegal memory access'; rm -f gone.jsonl.part
BGDET_EMULATED_DEVICES=0
claim "no CPU does what GPUs were asked to do" 75 score --gpus 0; says err 'no CUDA-capable device'
unset BGDET_EMULATED_DEVICES

# The device fails for good at call `at`: before the first row from `low` on, after the last from `high` on. The one between is sought.
low=0 high=512
while [ $((high - low)) -gt 1 ]; do
    at=$(((low + high) / 2))
    rm -f lost.jsonl lost.jsonl.part
    BGDET_EMULATED_FAIL_AT=$at score -q --batch 1 --threads 1 -o lost.jsonl 2>err
    code=$?
    if [ $code -eq 0 ]; then high=$at; elif [ ! -s lost.jsonl.part ]; then low=$at; else break; fi
done
what="a device lost in the middle of a run"
check "exit $code at call $at" test $code -eq 75
says err 'cudaErrorIllegalAddress' 'the rows of the first [1-5] cards stand in lost.jsonl.part'
rows=$(wc -l <lost.jsonl.part)
check "$rows rows of 6, or lost.jsonl" test "$rows" -ge 1 -a "$rows" -lt 6 -a ! -e lost.jsonl
check "rows that are not those of a good run" cmp -s lost.jsonl.part <(head -n "$rows" cuda.jsonl)
claim "the same run again" 0 score -q --batch 1 --threads 1 -o lost.jsonl
check "other rows, or half a file" cmp -s lost.jsonl cuda.jsonl
check "lost.jsonl.part" test ! -e lost.jsonl.part

export BGDET_EMULATED_CLOCK="us/picture=100 GB/s=55 us/call=5"
claim "a device with a clock judges nothing" 0 score
says err '^emulation: .*the rows are meaningless' '^6 cards in .* on cuda' '^emulation: the device computed for [0-9.]+ s .*; [0-9]+ calls'
check "$(wc -l <out) rows of 6" test "$(grep -c '"status":"ok"' out)" -eq 6
check "a network has run" test "$(grep -c '"score":0.000000' out)" -eq 6
claim "it says so with -q, too" 0 score -q; says err 'meaningless'
BGDET_EMULATED_CLOCK="52500 cards/s"
claim "a clock that is none" 64 score; says err 'BGDET_EMULATED_CLOCK is "52500 cards/s", expected "us/picture='
unset BGDET_EMULATED_CLOCK

claim "a pipeline with a segmenter" 0 "$bgdet" score -q -p "$root/pipelines/default.json" --batch 1 --threads 1 "${cards[4]}"
says out '"verdict":"defective"'

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
