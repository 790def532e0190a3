#!/usr/bin/python3
"""How right bgdet itself is on the real pictures of evaluate.py: the shipped weights, its own decoding and resizing.

    evaluate_bgdet.py --data DIR [--pipeline FILE] [--bgdet PROGRAM] [--decode exact]
"""
from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path

import numpy as np

from evaluate import binary, real_rows

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT / "../shared/data")
    parser.add_argument("--pipeline", type=Path, default=ROOT / "pipelines/default.json")
    parser.add_argument("--bgdet", type=Path, default=ROOT / "build/release/bgdet")
    parser.add_argument("--decode", choices=("scaled", "exact"), default="scaled")
    args = parser.parse_args()
    rows = real_rows(args.data)
    command = [args.bgdet, "score", "-q", "-f", "jsonl", "-p", args.pipeline, "--decode", args.decode, "--files-from", "-"]
    names = "".join(f"{path}\n" for path, _, _ in rows)
    lines = subprocess.run(command, input=names, check=True, capture_output=True, text=True).stdout.splitlines()
    scores = np.array([json.loads(line)["score"] for line in lines])
    print(json.dumps(binary(np.array([defective for _, defective, _ in rows]), scores), indent=2))


if __name__ == "__main__":
    main()
