#!/usr/bin/env python3
"""What tools/gpu-check found: tables, gpu-check.json, and 1 if a check has failed.

    gpu_report.py WORK JSON         WORK: results (lines of name, status, text), gpu, cudnn, describe, date, revision, and as JSON
                                    check-*.json of bgdet-gpu-check, time-*.json of bgdet bench, time-peers.json of peers/gpu
"""
from __future__ import annotations

import json
import sys
from pathlib import Path

# What was promised: the share of a rate that a network's roofline allows on an H200 (4.3 TB/s, 790 TFLOP/s), with values kept in
# two bytes and all that can be fused with a convolution fused.
NETWORKS = [  # text, timing, stage, images/s that the roofline allows, the share promised
    ("TE0@320x320", "te0", "segment", 54_000, 0.65),
    ("TE7@640x640", "te7", "segment", 2_854, 0.65),
    ("ResNet-18@60x80", "resnet18", "classify", 1_890_000, 0.50),
]
COMPILE = 2.0  # times torch.compile, TE0@320x320
CARDS = 20_000  # a second, end to end
PEER = "random-te0-320x320"


def read(path: Path) -> object:
    """JSON, or the text that it ought to be, or None."""
    if not path.exists():
        return None
    text = path.read_text().strip()
    try:
        return json.loads(text)
    except ValueError:
        return text or None


def rates(report: object) -> dict[str, float]:
    """Images a second of each stage, by a report of bgdet bench, and of "end_to_end": those that were measured."""
    if not isinstance(report, dict):
        return {}
    parts = [(part["name"], part.get("median")) for part in report.get("stages", [])]
    parts.append(("end_to_end", report.get("end_to_end", {}).get("median")))
    return {name: rate for name, rate in parts if rate}


def best(timings: dict, network: str, stage: str) -> tuple[float, str] | None:
    """The fastest that was measured of it, and how: f16 as it is, or with plans chosen by timing."""
    found = [(rate, way or "as it is") for way in ("", "tuned")
             if (rate := rates(timings.get("-".join(filter(None, (way, network))))).get(stage))]
    return max(found, default=None)


def line(name: str, wanted: str, found: str | None, reached: bool = False) -> tuple[str, str, str]:
    return name, wanted, "not measured" if found is None else f"{found}  {'reached' if reached else 'NOT REACHED'}"


def targets(timings: dict) -> list[tuple[str, str, str]]:
    """Name, what was promised, what was found."""
    rows = []
    for name, network, stage, allowed, share in NETWORKS:
        rate = best(timings, network, stage)
        found = rate and f"{rate[0]:,.0f}/s ({rate[1]}): {100 * rate[0] / allowed:.0f} %"
        rows.append(line(f"{name} of its roofline", f"{100 * share:.0f} % of {allowed:,}/s", found,
                         bool(rate) and rate[0] >= share * allowed))
    peers = timings.get("peers") if isinstance(timings.get("peers"), dict) else {}
    ratios = {row["form"]: row["ratio"] for row in peers.get("lines", []) if row.get("ratio") and row["subject"] == PEER
              and row["precision"] == "f16" and row["form"] in ("compile", "max-autotune")}
    form = min(ratios, key=ratios.get, default=None)  # the peer's best
    rows.append(line("TE0@320x320 to torch.compile", f"{COMPILE:.1f} x", form and f"{ratios[form]:.2f} x ({form})",
                     form is not None and ratios[form] >= COMPILE))
    found, cards = None, 0
    for name in ("default", "tuned-default"):
        measured = rates(timings.get(name))
        if measured.get("end_to_end", 0) > cards:
            cards = measured.pop("end_to_end")
            slowest = min(measured, key=measured.get)
            found = (f"{cards:,.0f}/s: {100 * cards / measured[slowest]:.0f} % of its slowest stage alone ({slowest}), "
                     f"{100 * timings[name]['end_to_end'].get('share', 0):.0f} % of what all allow together")
    rows.append(line("cards, end to end", f"{CARDS:,}/s", found, cards >= CARDS))
    return rows


def stages(timings: dict) -> list[tuple[str, str, str]]:
    """Each report of bgdet bench: its stages, the slowest first; each network of a roofline, and its share of it."""
    rows = []
    for name, report in timings.items():
        if not isinstance(report, dict):
            continue
        parts = sorted((rate, stage) for stage, rate in rates(report).items() if stage != "end_to_end")
        if parts:
            rows.append((name, "cards/s, slowest first", ", ".join(f"{stage} {rate:,.0f}" for rate, stage in parts)))
        for network in report.get("roofline", {}).get("networks", []):
            measured, allowed = network.get("measured"), network.get("fused", {}).get("stepwise")
            if measured and allowed:
                rows.append((name, network["name"], f"{measured:,.0f}/s, {100 * measured / allowed:.0f} % of its roofline, fused"))
    return rows


def show(rows: list[tuple]) -> None:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    for row in rows:
        print("  ".join([f"{cell:{width}}" for cell, width in zip(row, widths)] + [row[-1]]))
    print()


def main(work: Path, target: Path) -> int:
    results = [tuple(text.split("\t")) for text in (work / "results").read_text().splitlines()]
    found = {name: read(work / name) for name in ("date", "gpu", "cudnn", "describe", "revision")}
    timings = {path.stem.removeprefix("time-"): read(path) for path in sorted(work.glob("time-*.json"))}
    promised = targets(timings)
    target.write_text(json.dumps({
        **found, "results": [dict(zip(("name", "status", "text"), result)) for result in results],
        "checks": {path.stem: read(path) for path in sorted(work.glob("check-*.json"))}, "timings": timings,
        "targets": [dict(zip(("name", "promised", "found"), row)) for row in promised]}, indent=1) + "\n")
    print(f"\n{found['gpu'] or 'no GPU'}, cuDNN {found['cudnn']}, {found['date']}\n")
    show(results)
    if rows := stages(timings):
        show(rows)
    show(promised)
    failed = sum(result[1] == "FAIL" for result in results)
    print(f"{failed} of {len(results)} failed; {target}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
