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


def stage_rate(report: object, stage: str) -> float | None:
    """Images a second, by a report of bgdet bench."""
    if not isinstance(report, dict):
        return None
    stages = {part["name"]: part for part in report.get("stages", [])}
    return (stages.get(stage) or report.get(stage) or {}).get("median")


def best(timings: dict, network: str, stage: str) -> tuple[float, str] | None:
    """The fastest that was measured of it, and how: f16 as it is, or with plans chosen by timing."""
    found = [(rate, way or "as it is") for way in ("", "tuned")
             if (rate := stage_rate(timings.get("-".join(filter(None, (way, network)))), stage))]
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
    reports = [report for name in ("tuned-default", "default") if isinstance(report := timings.get(name), dict)]
    whole = max((report.get("end_to_end", {}) for report in reports), key=lambda end: end.get("median", 0), default={})
    found = None
    if "median" in whole:
        report = next(report for report in reports if report.get("end_to_end") is whole)
        slowest = min(report["stages"], key=lambda stage: stage["median"])
        found = (f"{whole['median']:,.0f}/s: {100 * whole['median'] / slowest['median']:.0f} % of its slowest stage alone "
                 f"({slowest['name']}), {100 * whole.get('share', 0):.0f} % of what all allow together")
    rows.append(line("cards, end to end", f"{CARDS:,}/s", found, whole.get("median", 0) >= CARDS))
    return rows


def stages(timings: dict) -> list[tuple[str, str, str]]:
    """Each report of bgdet bench: its stages, the slowest first; each network of a roofline, and its share of it."""
    rows = []
    for name, report in timings.items():
        if not isinstance(report, dict):
            continue
        parts = sorted(report.get("stages", []), key=lambda part: part.get("median", 0))
        if parts:
            rows.append((name, "cards/s, slowest first", ", ".join(f"{p['name']} {p.get('median', 0):,.0f}" for p in parts)))
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
