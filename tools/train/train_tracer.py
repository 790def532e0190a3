#!/usr/bin/python3
"""Makes cards with known masks and trains TRACER-Efficient-0 on them from scratch, at 96x128.

    train_tracer.py --data DIR --out DIR     tracer-te0.pth (best by validation IoU), tracer-metrics.json,
                                             masks-*.npz (the cache); nothing is done where tracer-te0.pth is there

The cards are those of synth.py as the engine would feed them; every fourth is seen as its 60x80 thumbnail enlarged, so that
one network serves both orders of the pipeline. The same seed gives the same cards; the weights also depend on --workers
and, with --minutes, on the machine's speed. Each worker is a process with one thread and a part of every batch: on a
busy machine threads that wait for each other at every operator are many times slower. Where PyTorch finds a GPU, one worker
trains on it.
"""
from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from cards import segmenter_view
from evaluate_tracer import measure
from products import load
from synth import SEGMENTER_SIZE, SIZE, Synth
from tracer import MBConv, Maps, Tracer, load_tracer, predict, to_input

BATCH = 32  # of all workers together; with fewer than 16 each, PyTorch 1.13's convolutions are four times slower a card
WARM_UP = 0.1  # of the training
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

BEST_SO_FAR = "tracer-te0.part.pth"

synth: Synth  # of this process and its forked workers: handing it over by pickle would copy every photo


def make_card(index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    card, (thumbnail, photo) = synth.seen(index, SIZE, SEGMENTER_SIZE)
    view = segmenter_view(thumbnail, photo, "thumbnail" if index % 4 == 0 else "photo")
    return view, np.asarray(card.mask.resize(SEGMENTER_SIZE, Image.BILINEAR)), card.labels()


def make_cards(args: argparse.Namespace, count: int, validation: bool, cache: Path) -> dict[str, np.ndarray]:
    """`cards` (count, 128, 96, 3), `masks` (count, 128, 96) and `labels` (count, 6), from the cache if it holds that many."""
    global synth
    if cache.exists():
        with np.load(cache) as stored:
            if len(stored["cards"]) == count:
                return dict(stored)
    synth = Synth(*load(args.data, validation, args.renders), seed=args.seed + validation)
    print(f"{cache.name}: {len(synth.products)} products, {len(synth.backgrounds)} backgrounds", flush=True)
    with multiprocessing.Pool() as pool:
        made = pool.map(make_card, range(count), chunksize=32)
    arrays = {name: np.stack(column) for name, column in zip(("cards", "masks", "labels"), zip(*made))}
    np.savez(cache, **arrays)
    return arrays


def augment(cards: Tensor, masks: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mirrors half of them and shifts contrast and colour a little (in normalised units)."""
    flip = torch.rand(len(cards), generator=generator) < 0.5
    cards[flip], masks[flip] = cards[flip].flip(3), masks[flip].flip(3)
    gain = 1 + 0.1 * (torch.rand(len(cards), 1, 1, 1, generator=generator) - 0.5)
    shift = 0.2 * (torch.rand(len(cards), 3, 1, 1, generator=generator) - 0.5)
    return cards * gain + shift, masks


def mask_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Cross-entropy for the pixels, 1 - IoU for the object, which else a small one would hardly count."""
    p = torch.sigmoid(logits)
    both = (p * masks).sum((1, 2, 3))
    either = (p + masks - p * masks).sum((1, 2, 3))
    return F.binary_cross_entropy_with_logits(logits, masks) + (1 - (both + 1) / (either + 1)).mean()


def total_loss(maps: Maps, masks: Tensor) -> Tensor:
    """Of the mask and of each of the three maps that it averages. The edge map is left to help where it can."""
    return mask_loss(maps.final, masks) + sum(mask_loss(d, masks) for d in (maps.d0, maps.d1, maps.d2)) / 3


def fresh_network(seed: int, start: Path | None) -> Tracer:
    torch.manual_seed(seed)
    if start:
        return load_tracer(start).to(memory_format=torch.channels_last)
    network = Tracer(0).to(memory_format=torch.channels_last)
    for block in network.modules():
        if isinstance(block, MBConv) and block.skips:
            nn.init.zeros_(block._bn2.weight)  # each such block begins as the identity: trains sooner from scratch
    return network


def learning_rate(done: float, peak: float) -> float:
    """One cycle: up in a line, down along a cosine."""
    if done < WARM_UP:
        return peak * (0.02 + 0.98 * done / WARM_UP)
    return peak * 0.5 * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP)))


def average(gradients: list[Tensor], done: float) -> float:
    """Over the workers, in place. `done` travels along, since their clocks differ and their learning rates must not."""
    if not torch.distributed.is_initialized():
        return done
    flat = torch.cat([g.flatten() for g in gradients] + [torch.tensor([done])])
    torch.distributed.all_reduce(flat)
    flat /= torch.distributed.get_world_size()
    *averaged, share = flat.split([g.numel() for g in gradients] + [1])
    for gradient, mean in zip(gradients, averaged):
        gradient.copy_(mean.view_as(gradient))
    return float(share)


def train(rank: int, args: argparse.Namespace, made: dict[str, np.ndarray], validation: dict[str, np.ndarray]) -> None:
    torch.set_num_threads(1)
    if args.workers > 1:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # or it asks for the address of this machine's name
        torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{args.port}", rank=rank,
                                             world_size=args.workers)
    network = fresh_network(args.seed, args.start).to(DEVICE)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.02, foreach=True)
    order_generator = torch.Generator().manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed + 1 + rank)
    steps = len(made["cards"]) // BATCH
    start, done, best = time.time(), 0.0, 0.0
    for epoch in range(args.epochs):
        network.train()
        order = torch.randperm(len(made["cards"]), generator=order_generator)[:steps * BATCH].view(steps, BATCH)
        total = 0.0
        for step, chosen in enumerate(order.numpy()[:, rank::args.workers]):
            cards, masks = augment(to_input(made["cards"][chosen]),
                                   torch.from_numpy(made["masks"][chosen])[:, None].float() / 255, generator)
            cards = cards.to(DEVICE).contiguous(memory_format=torch.channels_last)
            loss = total_loss(network.logits(cards), masks.to(DEVICE))
            optimizer.zero_grad()
            loss.backward()
            elapsed = time.time() - start
            done = max((epoch * steps + step + 1) / (args.epochs * steps), elapsed / (args.minutes * 60))
            done = average([p.grad for p in network.parameters() if p.grad is not None], done)
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(min(done, 1.0), args.rate)
            optimizer.step()
            total += loss.item()
            if rank == 0 and (step + 1) % 25 == 0:
                print(f"  epoch {epoch + 1}/{args.epochs}, step {step + 1}/{steps}, loss {total / (step + 1):.4f}, "
                      f"{elapsed * (1 / done - 1) / 60:.0f} min left", flush=True)
            if done >= 1:
                break
        if rank == 0:
            best = keep(network, epoch, validation, best, args.out)
        if done >= 1:
            break


def keep(network: Tracer, epoch: int, validation: dict[str, np.ndarray], best: float, out: Path) -> float:
    """Saves the weights if they are the best so far; returns the best IoU."""
    metrics = measure(predict(network, validation["cards"]), validation["masks"], validation["labels"])
    print(f"epoch {epoch + 1}: {json.dumps(metrics)}", flush=True)
    if metrics["mean_iou"] <= best:
        return best
    torch.save({name: value.cpu() for name, value in network.state_dict().items()}, out / BEST_SO_FAR)
    (out / "tracer-metrics.json").write_text(json.dumps({"epoch": epoch + 1, "made": metrics}, indent=2) + "\n")
    return metrics["mean_iou"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--renders", type=Path, help="the folder of render.py: its products join")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cards", type=int, default=16000)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--minutes", type=float, default=math.inf, help="end by then, with the learning rate run down")
    parser.add_argument("--workers", type=int, default=os.cpu_count() if DEVICE == "cpu" else 1)
    parser.add_argument("--port", type=int, default=29517, help="on this machine, where the workers meet")
    parser.add_argument("--seed", type=int, default=20261123)
    parser.add_argument("--rate", type=float, default=2e-3, help="the learning rate at its peak")
    parser.add_argument("--start", type=Path, help="a checkpoint to go on from")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    finished = args.out / "tracer-te0.pth"
    if finished.exists():
        print(f"{finished}: is there")
        return
    made = make_cards(args, args.cards, False, args.out / "masks-train.npz")
    validation = make_cards(args, 500, True, args.out / "masks-validation.npz")
    if args.workers > 1:
        torch.multiprocessing.start_processes(train, (args, made, validation), nprocs=args.workers, start_method="fork")
    else:
        train(0, args, made, validation)
    (args.out / BEST_SO_FAR).rename(finished)


if __name__ == "__main__":
    main()
