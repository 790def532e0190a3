#!/usr/bin/env bash
# What tools/gpu-check makes of its results (tools/gpu_report.py), on results that are made up here.
#   tests/test_gpu_report.sh
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/claims.sh
. "$root/tests/claims.sh"
python=$(command -v python3) || { echo "skipped: no python3"; exit 77; }

report() { "$python" "$root/tools/gpu_report.py" . report.json; }
# bench NAME SEGMENT CLASSIFY WHOLE: as bgdet bench --json writes it, rates of cards a second
bench() {
    printf '{"stages":[{"name":"decode","median":25000},{"name":"segment","median":%s},{"name":"classify","median":%s}],
             "end_to_end":{"median":%s,"share":0.95}}\n' "$2" "$3" "$4" >"time-$1.json"
}

printf '%s\t%s\t%s\n' cuDNN PASS "91900 of the system" sweep SKIP "not done in time" >results
echo "a GPU" >gpu
claim "nothing was timed" 0 report
says out '^a GPU' '^cuDNN +PASS +91900' '^sweep +SKIP' '^TE0@320x320 of its roofline .* not measured$' \
    '^TE0@320x320 to torch.compile .* not measured$' '^cards, end to end .* not measured$' '^0 of 2 failed'

bench te0 30000 1000000 20000
bench tuned-te0 36000 1000000 20000
bench te7 1500 1000000 1400
bench resnet18 null 990000 10000
bench default 90000 200000 21000
echo '{"lines": [{"subject": "random-te0-320x320", "precision": "f16", "form": "eager", "ratio": 4.1},
                 {"subject": "random-te0-320x320", "precision": "f16", "form": "compile", "ratio": 2.2},
                 {"subject": "random-te0-320x320", "precision": "f16", "form": "max-autotune", "ratio": 1.9},
                 {"subject": "random-te0-320x320", "precision": "bf16", "form": "compile", "ratio": 1.5},
                 {"subject": "default", "precision": "f16", "form": "all", "skipped": "why"}]}' >time-peers.json
echo '{"roofline": {"networks": [{"name": "te0.bgd", "measured": 27000, "fused": {"stepwise": 54000}}]}}' >time-roofline.json
echo '{"cut' >time-sweep.json
claim "what was promised stands beside what was found" 0 report
says out '^TE0@320x320 of its roofline +65 % of 54,000/s +36,000/s \(tuned\): 67 %  reached' \
    '^TE7@640x640 of its roofline .* 1,500/s \(as it is\): 53 %  NOT REACHED' \
    '^ResNet-18@60x80 of its roofline .* 990,000/s \(as it is\): 52 %  reached' \
    '^TE0@320x320 to torch.compile +2.0 x +1.90 x \(max-autotune\)  NOT REACHED' \
    '^cards, end to end .* 21,000/s: 84 % of its slowest stage alone \(decode\), 95 % of what all allow together  reached' \
    '^roofline +te0.bgd +27,000/s, 50 % of its roofline' '^te7 +cards/s, slowest first +segment 1,500, decode 25,000'
claim "all of it is in the JSON" 0 "$python" -c '
import json
r = json.load(open("report.json"))
assert r["gpu"] == "a GPU" and r["timings"]["te7"]["stages"][1]["median"] == 1500 and len(r["targets"]) == 5
assert r["timings"]["sweep"] == "{\"cut"'

printf 'check-f16\tFAIL\t1 failed\n' >>results
claim "a check that failed" 1 report; says out '^check-f16 +FAIL' '^1 of 3 failed'

echo "$passed claims passed, $failed failed"
[ "$failed" -eq 0 ]
