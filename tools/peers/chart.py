"""Ratios of tools/peers/cpu as an SVG: how many times faster bgdet is than each peer, with the spread of the rounds."""
from __future__ import annotations

import itertools
import math
import statistics
from html import escape

# Colours of src/page/style.h. The page's own background is drawn, so that no other shines through.
STYLE = """svg{color-scheme:light dark;--page:#fff;--ink:#1b1f24;--soft:#5c6670;--line:#d8dde2;--bar0:#0072b2;--bar1:#d55e00}
@media (prefers-color-scheme:dark){svg{--page:#15181b;--ink:#e4e7ea;--soft:#9aa4ad;--line:#333a41;--bar0:#4aa3df;--bar1:#f0813a}}
text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,'Noto Sans',sans-serif;fill:var(--soft)}
.title{fill:var(--ink);font-size:17px;font-weight:600}.heading{fill:var(--ink);font-size:13.5px;font-weight:600}
.number{fill:var(--ink)}.number,.heading{stroke:var(--page);stroke-width:4px;paint-order:stroke}.page{fill:var(--page)}.bar0{fill:var(--bar0)}.bar1{fill:var(--bar1)}
line{stroke:var(--line)}.same{stroke:var(--ink);stroke-dasharray:4 3}.whisker{stroke:var(--ink);stroke-width:1.4}"""
WIDTH, MARGIN, NAMES, NUMBERS = 880, 24, 170, 150
BAR, GAP, HEADING = 13, 10, 34  # heights: of a bar, between peers, of a heading
WORDS = {"segment": "the network alone", "classify": "the network alone", "decoding": "decoding to its thumbnails",
         "whole pipeline": "all of it, from files"}


def text(kind: str, x: float, y: float, words: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def bar(y: float, scale: float, row: dict, colour: int) -> list[str]:
    left, middle, ratio = MARGIN + NAMES, y + BAR / 2, row["ratio"]
    ends = [left + scale * ratio[p] for p in ("p10", "p90")]
    return [f'<rect class="bar{colour}" x="{left}" y="{y + 1:.1f}" width="{scale * ratio["median"]:.1f}" height="{BAR - 2}"/>',
            line("whisker", ends[0], middle, ends[1], middle),
            *(line("whisker", x, middle - 3, x, middle + 3) for x in ends),
            text("number", max(ends[1], left + scale * ratio["median"]) + 8, middle + 4,
                 f"{ratio['median']:.2f}  ({statistics.median(row['theirs']):,.0f}/s)")]


def draw(results: dict) -> str:
    rows = [row for row in results["lines"] if "ratio" in row]
    cores = sorted({row["cores"] for row in rows})
    most = max([1.0, *(max(row["ratio"]["p90"], row["ratio"]["median"]) for row in rows)])
    left, scale = MARGIN + NAMES, (WIDTH - 2 * MARGIN - NAMES - NUMBERS) / most
    parts, y = [], 84.0
    by_place = sorted(rows, key=lambda row: [(r["pipeline"], r["what"]) for r in rows].index((row["pipeline"], row["what"])))
    top = y
    for (pipeline, what), group in itertools.groupby(by_place, lambda row: (row["pipeline"], row["what"])):
        group = list(group)
        parts.append(text("heading", MARGIN, y + HEADING - 12, f"{group[0]['network'] or pipeline}: {WORDS[what]}"))
        y += HEADING
        for peer in dict.fromkeys(row["peer"] for row in group):
            bars = [row for row in group if row["peer"] == peer]
            parts.append(text("name", left - 8, y + BAR * len(bars) / 2 + 4, peer, "end"))
            for row in bars:
                parts += bar(y, scale, row, cores.index(row["cores"]) % 2)
                y += BAR
            y += GAP
    step = next(step for step in (0.5, 1, 2, 5, 10, 20, 50, 100) if most / step <= 10 or step == 100)
    grid = [at * step for at in range(math.floor(most / step) + 1)]
    axis = [line("grid", left + scale * at, top, left + scale * at, y) for at in grid]
    axis += [text("tick", left + scale * at, y + 16, f"{at:g}", "middle") for at in grid]
    axis.append(line("same", left + scale, top, left + scale, y))
    legend = []
    for i, n in enumerate(cores):
        legend += [f'<rect class="bar{i % 2}" x="{MARGIN + 90 * i}" y="62" width="12" height="12"/>',
                   text("key", MARGIN + 90 * i + 18, 72, f"{n} core{'s' * (n > 1)}")]
    head = [text("title", MARGIN, 34, "How many times faster bgdet is on a CPU"),
            text("about", MARGIN, 52, f"{results['cpu']}, {results['date'][:10]}, f32, batches of {results['batch']}. "
                 "Left of the dashed line it is slower. In brackets: the peer's images/s."),
            text("about", MARGIN, y + 40, f"Whiskers: 10th to 90th percentile of {results['rounds']} rounds.")]
    height = y + 56
    size = f'width="{WIDTH}" height="{height:.0f}"'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {WIDTH} {height:.0f}">',
                      f"<style>{STYLE}</style>", f'<rect class="page" {size}/>', *head, *legend, *axis, *parts, "</svg>\n"])
