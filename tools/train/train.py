#!/usr/bin/python3
"""Trains a classifier on a set of cards (cards.py), and measures it on cards of unseen products and on real ones.

    train.py --sets DIR --out DIR [--size 120x160] [--order photo] [--input cutout4] [--network resnet18] [--width 0.5]

writes NETWORK[-wWIDTH]-WxH-INPUT-ORDER[-sSEED].pth (torchvision's keys) and, when it is done, a .json beside it of how it was
trained and what it reaches; where that is there already, nothing is done. --input says what the classifier is given: the whole
card, the card composited on white where the object was (cutout3), or the card with the inverted mask as its fourth channel.
--network takes the names of networks.py; all are trained by one recipe.

Trains on a GPU where PyTorch finds one, else on the CPU, with products in bf16 where the processor has them.
The same seed gives the same order of cards; the weights also depend on the device and the number of threads.
"""
from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import torch

from cards import INPUTS, ORDERS, Cards, parse_size, set_name
from evaluate import LABELS, measure, to_input
from networks import NAMES, classifier, size_of
from tracer import MEAN, STD

BATCH = 64
SEED = 20261123


def fast_bf16(device: str) -> bool:
    return device == "cuda" or "avx512_bf16" in Path("/proc/cpuinfo").read_text()


def augment(batch: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Mirrors half of the cards and shifts exposure by up to 3 %: less than would turn white into grey. Not of the alpha."""
    flip = torch.rand(len(batch), generator=generator) < 0.5
    batch[flip] = batch[flip].flip(3)
    colour = batch[:, :3]
    gain = 1 - 0.03 * torch.rand(len(batch), 1, 1, 1, generator=generator)
    noise = 0.01 * torch.randn(colour.shape, generator=generator)
    mean, std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)
    batch[:, :3] = (((colour * std + mean) * gain + noise).clamp(0, 1) - mean) / std
    return batch


def train(model: torch.nn.Module, cards: np.ndarray, labels: np.ndarray, epochs: int, rate: float, seed: int,
          device: str) -> None:
    """One cycle of AdamW: up to `rate` for a quarter of the steps, down along a cosine."""
    generator = torch.Generator().manual_seed(seed)
    steps = len(cards) // BATCH
    model.to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=rate, total_steps=epochs * steps, pct_start=0.25)
    targets = torch.from_numpy(labels.astype(np.float32)) * 0.98 + 0.01
    start = time.time()
    for epoch in range(epochs):
        model.train()
        order = torch.randperm(len(cards), generator=generator)[:steps * BATCH].view(steps, BATCH)
        total = 0.0
        for step, chosen in enumerate(order):
            batch = augment(to_input(cards[chosen.numpy()]), generator)
            with torch.autocast(device, dtype=torch.bfloat16, enabled=fast_bf16(device)):
                logits = model(batch.to(device).contiguous(memory_format=torch.channels_last))
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits.float(), targets[chosen].to(device))
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item()
            if (step + 1) % 100 == 0:
                done = (epoch * steps + step + 1) / (epochs * steps)
                print(f"  epoch {epoch + 1}/{epochs}, step {step + 1}/{steps}, loss {total / (step + 1):.4f}, "
                      f"{(time.time() - start) * (1 / done - 1) / 60:.0f} min left", flush=True)
    model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=Path, required=True, help="the folder that cards.py wrote")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=parse_size, help="of the cards, WxH (60x80; of AlexNet 63x84)")
    parser.add_argument("--order", choices=ORDERS, default="photo", help="what the segmenter saw")
    parser.add_argument("--input", choices=INPUTS, default="cutout4")
    parser.add_argument("--network", choices=NAMES, default="resnet18")
    parser.add_argument("--width", type=float, default=1.0, help="scales the network's channels")
    parser.add_argument("--cards", type=int, help="so many of the training set (all)")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--rate", type=float, default=1e-3, help="the learning rate at its peak")
    parser.add_argument("--seed", type=int, default=SEED)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    size = args.size or size_of(args.network)
    width, seed = f"-w{args.width:g}" if args.width != 1 else "", f"-s{args.seed}" if args.seed != SEED else ""
    checkpoint = args.out / f"{args.network}{width}-{size[0]}x{size[1]}-{args.input}-{args.order}{seed}.pth"
    if checkpoint.with_suffix(".json").exists():
        print(f"{checkpoint}: is there")
        return
    validation, real = (Cards.read(args.sets / set_name(part, args.order, size)) for part in ("validation", "real"))
    learned = Cards.read(args.sets / set_name("train", args.order, size), args.cards)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.manual_seed(args.seed)
    model = classifier(args.network, INPUTS[args.input], len(LABELS), args.width)
    start = time.time()
    train(model, learned.shown(args.input), learned.labels, args.epochs, args.rate, args.seed, device)
    training = {"network": args.network, "width": args.width, "size": size, "input": args.input, "order": args.order,
                "cards": len(learned.cards), "epochs": args.epochs, "rate": args.rate, "seed": args.seed,
                "device": device, "minutes": round((time.time() - start) / 60, 1),
                "made": measure(model, validation, args.input), "real": measure(model, real, args.input)}
    torch.save({name: value.cpu().contiguous() for name, value in model.state_dict().items()}, checkpoint)
    checkpoint.with_suffix(".json").write_text(json.dumps(training, indent=2) + "\n")
    print(json.dumps({part: training[part] for part in ("made", "real")}, indent=2))


if __name__ == "__main__":
    main()
