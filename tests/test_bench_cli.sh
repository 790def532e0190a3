#!/usr/bin/env bash
# `bgdet bench` as a user meets it: the report in its three forms, cards and options that are wrong, a run that is ended. How fast
# anything is, is no claim.
#   tests/test_bench_cli.sh BGDET DEVICE          BGDET is the program, DEVICE what it takes by itself: onednn or cuda
set -u
bgdet=$(realpath "$1")
device=$2
root=$(cd "$(dirname "$0")/.." && pwd)
model=$root/weights/resnet18-60x80.bgd
# shellcheck source=tests/claims.sh
. "$root/tests/claims.sh"
[ "$device" = cuda ] || export CUDA_VISIBLE_DEVICES=-1
mkdir cards tmp empty
{ printf '\0\0\2\0\0\0\0\0\0\0\0\0\20\0\14\0\30\40'; head -c 576 "$model"; } >small.tga # 16x12: a sanitizer counts each pixel
cp "$root"/samples/cards/{clean_mug.jpg,not_white_room_lamp.jpg,clean_chair.webp} cards
export TMPDIR=$folder/tmp

n=2 lanes=2 # threads, and cards in a batch; an emulated device is slow, and has three lanes whatever the threads are
[ "$device" = cuda ] && n=1 lanes=3

# bench OPTION...: as short as it can be
bench() { "$bgdet" bench -m "$model" --seconds 0.01 --batch $n --threads $n "$@"; }

# ---------------------------------------------------------------- the command line
for wrong in 0 -1 x 3601 nan; do
    claim "--seconds $wrong is refused" 64 "$bgdet" bench --seconds "$wrong"; says err '--seconds .*: expected seconds, more than 0'
done
for wrong in 1 1, 0,1 1,0 -1,1 1,1x inf,1; do
    claim "--ceilings $wrong is refused" 64 "$bgdet" bench --roofline --ceilings "$wrong"; says err '--ceilings .*: expected GB/s,TFLOP/s'
done
claim "--ceilings needs --roofline" 64 "$bgdet" bench --ceilings 100,1; says err '--ceilings needs --roofline'
claim "a model needs --roofline" 64 "$bgdet" bench "$model"; says err 'is a model file: --roofline takes such'
claim "cards and models exclude each other" 64 "$bgdet" bench --roofline "$model" cards; says err 'expected cards or model files'
claim "so do models and a pipeline" 64 "$bgdet" bench --roofline -m "$model" "$model"; says err 'instead of a --pipeline'
claim "a device that is not here judges no card" 64 "$bgdet" bench --roofline --ceilings 100,1 cards; says err 'found cards'
claim "nor is it swept" 64 "$bgdet" bench --roofline --ceilings 100,1 --sweep; says err '--sweep needs cards'
claim "an unknown device is named" 64 bench --device abacus cards; says err 'abacus'
claim "an output over a card is refused" 64 bench --json cards/clean_mug.jpg cards/clean_mug.jpg; says err 'clean_mug.jpg is an input'
claim "an output in no folder is refused before the work" 64 bench --svg nowhere/x.svg cards; says err 'nowhere'
claim "an output over a folder, too" 64 bench --json empty cards; says err 'empty is a folder'
claim "one file cannot be both" 64 bench --json x --svg x cards; says err 'both'

# ---------------------------------------------------------------- cards
claim "a missing card is named" 66 bench gone.jpg; says err '^bgdet: gone.jpg: '
claim "a folder without cards" 66 bench empty; says err 'no card'
head -c 3000 cards/clean_mug.jpg >cut.jpg
claim "a damaged card is named" 65 bench cards cut.jpg; says err '^bgdet: cut.jpg: '
claim "a missing pipeline" 66 "$bgdet" bench -p gone.json cards; says err 'gone.json'
mkdir -p elsewhere/bin && cp "$bgdet" elsewhere/bin/bgdet
claim "where no samples are installed it says so" 66 elsewhere/bin/bgdet bench -m "$model"
says err 'samples/cards is neither installed nor'; check "more than one line" test "$(wc -l <err)" -eq 1

# ---------------------------------------------------------------- the report
claim "stages, sweeps and rooflines" 0 bench --sweep --roofline --json r.json --svg r.svg cards
says out "^device +$device: .*; $lanes lanes, batches of $n$" '^pipeline +resnet18, [0-9a-f]{32}$' \
    '^cards +3: 2 jpeg \([0-2] progressive\), 1 webp; median [0-9.]+ megapixels' \
    '^end to end [0-9.]+ cards/s, [0-9.]+ of the [0-9.]+ that its stages allow' '^batch .*resnet18' '^threads .*decode .*end to end' \
    '^ceilings: ' "^resnet18: .* batches of $n$"
for stage in read decode feed classify evidence write; do says out "^$stage .* [0-9.]+ .*%"; done
check "a stage that the pipeline does not have" test "$(grep -c '^segment' out)" -eq 0
check "it speaks without a terminal: $(cat err)" test -z "$(grep -v '^bgdet: on the CPU' err)"
says r.svg '<svg xmlns="http://www.w3.org/2000/svg"' '>decode<' '>end to end<' '>classify<'
check "temporary files are left: $(ls tmp)" test -z "$(ls tmp)"
if command -v xmllint >/dev/null; then check "the SVG is no XML" xmllint --noout r.svg; fi
if command -v python3 >/dev/null; then
    commit="" # of a source tree that is no checkout
    if [ -e "$root/.git" ]; then commit='[0-9a-f]{12,}(-dirty)?'; fi
    cat >look.py <<'PY'
import json, re, sys
report = json.load(open(sys.argv[1]))
n = int(sys.argv[3])
commit = sys.argv[4]
def rate(r):
    assert 0 < r["p10"] <= r["median"] <= r["p90"] < float("inf") and r["repetitions"] >= 5, r
host = {"read", "decode", "evidence", "write"}
on = {s["name"]: s["on"] for s in report["stages"]}
assert list(on) == ["read", "decode", "feed", "classify", "evidence", "write"], on
assert report["device"]["name"] == sys.argv[2] and report["device"]["own_memory"] == (sys.argv[2] == "cuda")
assert all((on[stage] == "device") == (sys.argv[2] == "cuda" and stage not in host) for stage in on), on
for stage in report["stages"]: rate(stage)
whole = report["end_to_end"]
rate(whole)
sides = [sum(s["part"] / s["median"] for s in report["stages"] if s["on"] == side) for side in ("host", "device")]
alone = max(1 / s["median"] for s in report["stages"])
assert abs(whole["allowed"] * max(*sides, alone) - 1) < 1e-9, (whole, sides)
assert abs(whole["share"] - whole["median"] / whole["allowed"]) < 1e-9
cards = report["cards"]
assert cards["count"] == 3 and cards["formats"]["jpeg"] == 2 and cards["formats"]["webp"] == 1
assert cards["median_pixels"] > 10000 and cards["median_bytes"] > 1000
assert report["version"] and re.fullmatch(commit, report["commit"]) and report["date"] and report["processors"] >= 1 and report["threads"] == n and report["batch"] == n
for over, names in ("batch", ["resnet18"]), ("threads", ["decode", "end to end"]):
    assert [c["name"] for c in report["sweep"][over]] == names
    for curve in report["sweep"][over]:
        assert [p["at"] for p in curve["points"]] == list(range(1, n + 1))
        for point in curve["points"]: rate(point)
networks = report["roofline"]["networks"]
assert [network["name"] for network in networks] == ["resnet18"] and networks[0]["batch"] == n
assert abs(networks[0]["measured"] * sum(s["seconds"] for s in networks[0]["steps"]) - 1) < 1e-6
for how in "unfused", "as_run", "fused":
    assert 0 < networks[0][how]["stepwise"] <= networks[0][how]["overall"] * (1 + 1e-9), how
PY
    claim "the JSON is whole, and every rate a number above 0" 0 python3 look.py r.json "$device" $n "$commit"
else
    echo "skipped: the JSON's content: python3 is not there"
fi

if [ "$device" = onednn ]; then # which judges the rest in seconds
    claim "a segmenter is a stage" 0 bench -p "$root/pipelines/founders.json" --batch 1 --threads 1 small.tga
    says out '^segment ' '^cards +1: 1 tga'
    claim "the samples are the cards where none are named, and -q prints the table" 0 bench -q; says out '^cards +24: 15 jpeg' '^classify '
    claim "every pixel is decoded if told so" 0 bench --decode exact small.tga; says out 'decoded in full$'
fi

# ---------------------------------------------------------------- models
claim "--roofline of the models that ship names each" 0 "$bgdet" bench -q --roofline --ceilings 4800,989 --precision f16 \
    --json all.json "$root"/weights/*.bgd
for file in "$root"/weights/*.bgd; do says out "${file##*/}: [0-9.]+ million"; says all.json "${file##*/}"; done
says out '^ceilings: 4800 GB/s copied, 989 TFLOP/s, 2 bytes an element'
check "a device was used" test "$(grep -c '^device' out)" -eq 0
claim "f8 keeps values in two bytes" 0 "$bgdet" bench -q --roofline --ceilings 4800,989 --precision f8 "$model"
says out '2 bytes an element'
claim "a pipeline's networks by given ceilings" 0 "$bgdet" bench --roofline --ceilings 100,1 -p "$root/pipelines/default.json" --svg all.svg
says out '^tracer-te0: ' '^resnet18: ' '4 bytes an element'; says all.svg '>tracer-te0<'
claim "a model on this device" 0 "$bgdet" bench --seconds 0.01 --roofline --batch $n "$model"; says out "^device +$device: " '60x80.bgd: '
if [ "$device" = onednn ] && "$bgdet" --version | grep -q cuda; then says err '^bgdet: on the CPU \(onednn\), since CUDA: '; fi
claim "a missing model is named" 66 "$bgdet" bench --roofline gone.bgd; says err 'gone.bgd'
echo "not a model" >bad.bgd
claim "a file that is no model is refused" 65 "$bgdet" bench --roofline bad.bgd; says err 'bad.bgd'

# ---------------------------------------------------------------- a run that is ended
what="a signal ends it in good order"
"$bgdet" bench -m "$model" --seconds 300 --batch $n --threads $n --json never.json cards >out 2>err & run=$!
for _ in $(seq 300); do compgen -G "tmp/*" >/dev/null && break; sleep 0.1; done
kill -TERM $run; wait $run; code=$?
check "exit $code" test $code -eq 75
says err 'stopped by a signal'
check "a report, or temporary files: $(ls tmp)" test ! -s out -a ! -e never.json -a -z "$(ls tmp)"

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
