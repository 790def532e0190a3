#!/usr/bin/env bash
# The chart of tools/peers/cpu (tools/peers/chart.py), of results that are made up here.
#   tests/test_peers_chart.sh
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/claims.sh
. "$root/tests/claims.sh"
python=$(command -v python3) || { echo "skipped: no python3"; exit 77; }
export PYTHONPATH=$root/tools/peers PYTHONDONTWRITEBYTECODE=1

claim "it has a bar for each peer that was timed, and none for others" 0 "$python" -c '
import xml.etree.ElementTree as xml
import chart
def row(peer, cores, ratio, **more):
    return {"pipeline": "default", "network": "a-net", "what": "segment", "peer": peer, "cores": cores, "theirs": [10.0, 20.0, 30.0],
            "ratio": {"median": ratio, "p10": ratio - 0.1, "p90": ratio + 0.1}, **more}
skipped = {"pipeline": "default", "network": "a-net", "what": "segment", "peer": "OpenVINO", "cores": 1, "skipped": "why"}
results = {"cpu": "A <CPU>", "date": "2026-12-01T00:00Z", "batch": 32, "rounds": 3,
           "lines": [row("PyTorch", 1, 1.5), skipped, row("PyTorch", 2, 2.5), row("ONNX Runtime", 1, 0.75)]}
svg = xml.fromstring(chart.draw(results))
at = "{http://www.w3.org/2000/svg}"
texts = [text.text for text in svg.iter(at + "text")]
bars = [float(bar.get("width")) for bar in svg.iter(at + "rect") if bar.get("height") == "11"]
assert len(bars) == 3 and abs(bars[0] / bars[2] - 2) < 0.01, bars
assert "a-net: the network alone" in texts and "1.50  (20/s)" in texts and "OpenVINO" not in texts, texts
assert any("A <CPU>" in text for text in texts)'
claim "and is one without any, too" 0 "$python" -c '
import xml.etree.ElementTree as xml
import chart
xml.fromstring(chart.draw({"cpu": "a CPU", "date": "2026-12-01T00:00Z", "batch": 1, "rounds": 3, "lines": []}))'

echo "$passed claims passed, $failed failed"
[ "$failed" -eq 0 ]
