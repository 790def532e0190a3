#!/usr/bin/python3
"""Makes the cards, trains a classifier on their thumbnails, and measures it on cards of products it has never seen.

    train.py --data DIR --out DIR        resnet18-60x80.pth (torchvision's keys), its .json of metrics, cards-*.npz (the cache)
    train.py --data DIR --out DIR --input cutout4 --order photo --network vgg16_bn --width 0.5
                                         vgg16_bn-w0.5-60x80-cutout4-photo.pth and .json

The first judges the whole card. The second judges what the segmenter left of the same cards, which cutouts.py must have put
into the same --out: composited on white (cutout3), or the card with the inverted mask as its fourth channel (cutout4).
--network takes the names of networks.py; all are trained by one recipe.

The same seed gives the same cards; the weights also depend on the number of threads, as sums are split among them.
"""
from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from pathlib import Path

import numpy as np
import torch

from cutouts import INPUTS, ORDERS, cache_name, classifier_input
from evaluate import measure_made, to_input
from networks import NAMES, classifier, size_of
from products import load
from synth import DEFECTS, SIZE, Synth
from tracer import MEAN, STD

LABELS = ("defective", *DEFECTS)

synth: Synth  # of this process and its forked workers: handing it over by pickle would copy every photo


def make_card(index: int) -> tuple[np.ndarray, np.ndarray]:
    return synth.card(index)


def make_cards(data: Path, count: int, seed: int, validation: bool, cache: Path) -> tuple[np.ndarray, np.ndarray]:
    """(count, 80, 60, 3) thumbnails and (count, 6) labels, from the cache if it holds that many."""
    global synth
    if cache.exists():
        with np.load(cache) as stored:
            if len(stored["cards"]) == count:
                return stored["cards"], stored["labels"]
    synth = Synth(*load(data, validation), seed=seed)
    print(f"{cache.name}: {len(synth.products)} products, {len(synth.backgrounds)} backgrounds", flush=True)
    cards = np.empty((count, 80, 60, 3), np.uint8)
    labels = np.empty((count, 6), np.uint8)
    start = time.time()
    with multiprocessing.Pool() as pool:
        for i, (card, label) in enumerate(pool.imap(make_card, range(count), chunksize=32)):
            cards[i], labels[i] = card, label
            if (i + 1) % 2000 == 0:
                print(f"  {i + 1} of {count} cards, {(i + 1) / (time.time() - start):.0f}/s", flush=True)
    np.savez(cache, cards=cards, labels=labels)
    return cards, labels


def load_cutouts(count: int, kind: str, cache: Path) -> tuple[np.ndarray, np.ndarray]:
    with np.load(cache) as stored:
        if len(stored["cards"]) < count:
            raise SystemExit(f"{cache}: {len(stored['cards'])} cards, {count} are needed; see cutouts.py")
        return classifier_input(kind, stored["cards"][:count], stored["alphas"][:count]), stored["labels"][:count]


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


def train(model: torch.nn.Module, cards: np.ndarray, labels: np.ndarray, epochs: int, seed: int, checkpoint: Path) -> None:
    generator = torch.Generator().manual_seed(seed)
    batch_size = 64
    steps = len(cards) // batch_size
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-3, total_steps=epochs * steps, pct_start=0.25)
    targets = torch.from_numpy(labels.astype(np.float32))
    start = time.time()
    for epoch in range(epochs):
        model.train()
        order = torch.randperm(len(cards), generator=generator)[:steps * batch_size].view(steps, batch_size)
        total = 0.0
        for step, chosen in enumerate(order):
            batch = augment(to_input(cards[chosen.numpy()]), generator)
            loss = torch.nn.functional.binary_cross_entropy_with_logits(model(batch), targets[chosen] * 0.98 + 0.01)
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
        torch.save(model.state_dict(), checkpoint)
    model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cards", type=int, default=24000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=20261123)
    parser.add_argument("--input", choices=INPUTS, default="card")
    parser.add_argument("--order", choices=ORDERS, default="photo", help="what the segmenter saw")
    parser.add_argument("--network", choices=NAMES, default="resnet18")
    parser.add_argument("--width", type=float, default=1.0, help="scales the network's channels")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    size = size_of(args.network)
    name = f"{args.network}{f'-w{args.width:g}' if args.width != 1 else ''}-{size[0]}x{size[1]}"

    if args.input == "card":
        if size != SIZE:
            parser.error(f"{args.network} takes cut-outs of {size[0]}x{size[1]} only")
        cards, labels = make_cards(args.data, args.cards, args.seed, False, args.out / "cards-train.npz")
        made, made_labels = make_cards(args.data, 2000, args.seed + 1, True, args.out / "cards-validation.npz")
    else:
        name += f"-{args.input}-{args.order}"
        cards, labels = load_cutouts(args.cards, args.input, args.out / cache_name("train", args.order, size))
        made, made_labels = load_cutouts(2000, args.input, args.out / cache_name("validation", args.order, size))
    torch.manual_seed(args.seed)
    model = classifier(args.network, cards.shape[3], len(LABELS), args.width)
    checkpoint = args.out / f"{name}.pth"
    train(model, cards, labels, args.epochs, args.seed, checkpoint)
    metrics = {"network": args.network, "width": args.width, "input": args.input, "order": args.order, "cards": args.cards,
               "epochs": args.epochs, "seed": args.seed, "made": measure_made(model, made, made_labels)}
    checkpoint.with_suffix(".json").write_text(json.dumps(metrics, indent=2) + "\n")
    print(json.dumps(metrics["made"], indent=2))
    print(f"{checkpoint}: now convert it, and `bgdet eval` tells how it does on real cards")


if __name__ == "__main__":
    main()
