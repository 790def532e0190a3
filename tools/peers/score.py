#!/usr/bin/python3
"""bgdet score beside what a user would write instead: Pillow, torchvision's ResNet, a DataLoader.

    tools/peers/score.py [--cards DIR] [--count 2000] [--rounds 5] [--json FILE]

The same cards, weights and cores, in turn, round by round. Peers in their fastest honest form: frozen TorchScript,
a DataLoader worker per core, Pillow with and without its own DCT scaling (draft). Their clocks start after imports,
loading and a warm-up batch; bgdet's is that of the whole process. Outputs are compared before anything is timed.
Needs Debian's python3-torch, python3-torchvision, python3-pil (tools/packages train).
"""
from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PEERS = {"pillow": "Pillow (every pixel) + frozen torchvision", "draft": "Pillow with draft + frozen torchvision"}


def peer(kind: str, model_path: Path, list_path: Path, threads: int) -> None:
    """One timed run in this process: prints seconds and every card's P(defective)."""
    import numpy as np
    import torch
    from PIL import Image

    import modelfile

    network, meta = modelfile.network(model_path)
    mean = np.array(meta["input"]["mean"], np.float32)
    std = np.array(meta["input"]["std"], np.float32)
    size = (meta["input"]["width"], meta["input"]["height"])
    calibration = meta.get("calibration", {}).get("defective", {"slope": 1, "offset": 0})

    class Cards(torch.utils.data.Dataset):
        def __init__(self, names: list[str]) -> None:
            self.names = names

        def __len__(self) -> int:
            return len(self.names)

        def __getitem__(self, index: int) -> np.ndarray:
            image = Image.open(self.names[index])
            if kind == "draft":
                image.draft("RGB", size)
            if "A" in image.getbands() or "transparency" in image.info:
                rgba = image.convert("RGBA")
                image = Image.new("RGB", rgba.size, (255, 255, 255))
                image.paste(rgba, mask=rgba.getchannel("A"))
            pixels = np.asarray(image.convert("RGB").resize(size, Image.BILINEAR), np.float32) / 255
            return ((pixels - mean) / std).transpose(2, 0, 1)

    torch.set_num_threads(threads)
    names = list_path.read_text().splitlines()
    with torch.inference_mode():
        frozen = torch.jit.freeze(torch.jit.trace(network, torch.zeros(64, 3, size[1], size[0])))
        for _ in range(3):
            frozen(torch.zeros(64, 3, size[1], size[0]))
        start, scores = time.perf_counter(), []
        loader = torch.utils.data.DataLoader(Cards(names), batch_size=64, num_workers=threads)
        for batch in loader:
            logits = frozen(batch)[:, meta["labels"].index("defective")]
            scores += torch.sigmoid(logits * calibration["slope"] + calibration["offset"]).tolist()
        seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "scores": scores}))


def run_peer(kind: str, args: argparse.Namespace, names: Path) -> dict:
    command = [sys.executable, __file__, "--peer", kind, "--model", args.model, "--list", names, "--threads", str(args.threads)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def run_bgdet(args: argparse.Namespace, names: Path, *options: str) -> dict:
    command = [args.bgdet, "score", "-q", "-m", args.model, "--threads", str(args.threads), "--files-from", names, *options]
    start = time.perf_counter()
    rows = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "scores": [json.loads(row)["score"] for row in rows.splitlines()]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cards", type=Path, default=ROOT / "samples/cards")
    parser.add_argument("--count", type=int, default=2000, help="names in the list; the cards are repeated")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--model", type=Path, default=ROOT / "weights/resnet18-60x80.bgd")
    parser.add_argument("--bgdet", type=Path, default=ROOT / "build/release/bgdet")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--peer", choices=PEERS, help=argparse.SUPPRESS)
    parser.add_argument("--list", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        peer(args.peer, args.model, args.list, args.threads)
        return

    cards = sorted(str(path.resolve()) for path in args.cards.rglob("*") if path.is_file())
    names = Path("/tmp") / f"bgdet-peers-{os.getpid()}.txt"
    names.write_text("\n".join((cards * (args.count // len(cards) + 1))[:args.count]) + "\n")
    runs = {"bgdet": lambda: run_bgdet(args, names), "bgdet --decode exact": lambda: run_bgdet(args, names, "--decode", "exact")}
    runs |= {text: (lambda kind=kind: run_peer(kind, args, names)) for kind, text in PEERS.items()}

    first = {name: run()["scores"] for name, run in runs.items()}  # the warm-up: files into the cache, outputs compared
    exact = first["bgdet --decode exact"]
    print(f"{args.count} names of {len(cards)} cards in {args.cards}, {args.threads} threads, {args.rounds} rounds\n")
    for name, scores in first.items():
        flips = sum((a >= 0.5) != (b >= 0.5) for a, b in zip(scores, exact))
        print(f"  {name:44s} scores within {max(abs(a - b) for a, b in zip(scores, exact)):.4f} of --decode exact, {flips} flips")
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(args.rounds):
        for name, run in runs.items():
            rates[name].append(args.count / run()["seconds"])
    names.unlink()
    print(f"\n  {'':44s} {'cards/s':>8s}   bgdet is faster by (min, median, max)")
    result = {}
    for name, values in rates.items():
        ratios = sorted(a / b for a, b in zip(rates["bgdet"], values))
        result[name] = {"cards_per_second": [round(v, 1) for v in values], "ratio": [round(r, 3) for r in ratios]}
        print(f"  {name:44s} {statistics.median(values):8.0f}   {ratios[0]:.2f} {statistics.median(ratios):.2f} {ratios[-1]:.2f}")
    if args.json:
        import PIL
        import torch
        import torchvision
        cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
        args.json.write_text(json.dumps({
            "date": datetime.date.today().isoformat(), "command": "tools/peers/score.py " + " ".join(sys.argv[1:]), "cpu": cpu,
            "threads": args.threads, "cards": len(cards), "count": args.count,
            "versions": {"bgdet": subprocess.run([args.bgdet, "--version"], capture_output=True, text=True).stdout.strip(),
                         "torch": torch.__version__, "torchvision": torchvision.__version__, "pillow": PIL.__version__},
            "runs": result}, indent=2) + "\n")


if __name__ == "__main__":
    main()
