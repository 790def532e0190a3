#!/usr/bin/python3
"""Draws the sample cards (FOLDER/cards) and their labels (FOLDER/labels.csv). Needs Debian's python3-numpy, python3-pil and fonts-dejavu-core.

    tools/samples/draw.py [samples] [NAME...]     all of them take some minutes of one core; nothing is random
"""
import csv
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from products import (ball, bottle, carton, chair, font, gift, handbag, headphones, jar, lamp, leaf, lemon, mug, pebble, perfume, sneaker,
                      teapot, tube, vase)
from render import HEIGHT, WIDTH, Camera, compose, place, rgb, scene_bounds, smoothstep, take

REASONS = ("text", "not_white", "extra_objects", "cropped", "duplicates")
RED, INK, WHITE = "#d9273d", "#20242c", "#ffffff"
CARDS = {}


def card(*reasons, group):
    """Registers a function that draws one card; its name is the file's, with the suffix after the last '_'."""
    def register(function):
        stem, suffix = function.__name__.rsplit("_", 1)
        CARDS["%s.%s" % (stem, suffix)] = (function, reasons, group)
        return function
    return register


# ---------------------------------------------------------------- photographs

def framed(parts, fill=0.78, pitch=9, x=0.0, y=0.0, **camera):
    """A camera from which the parts fill that share of the frame, on its tighter side; x, y: looks beside them."""
    low, high = scene_bounds(parts)
    tall = max((high[1] - low[1]) / fill, (high[0] - low[0]) / fill * HEIGHT / WIDTH)
    middle = (low + high) / 2
    return Camera(x=middle[0] + x * tall, y=middle[1] + y * tall, tall=tall, pitch=pitch, **camera)


def photo(parts, fill=0.78, background=None, shadow=0.75, reflection=0.0, **camera):
    view = framed(parts, fill, **camera)
    return compose(take(parts, view, shadow, reflection=reflection), background and background(view))


def beside(*products):
    return [part for parts in products for part in parts]


# ---------------------------------------------------------------- backgrounds, as linear light

def plain(colour):
    return lambda camera: np.broadcast_to(rgb(colour), (HEIGHT, WIDTH, 3))


def gradient(top, bottom):
    down = np.linspace(0, 1, HEIGHT, dtype=np.float32)[:, None, None]
    return lambda camera: np.broadcast_to(rgb(top) * (1 - down) + rgb(bottom) * down, (HEIGHT, WIDTH, 3))


def room(camera, wall="#b7c2bb", wood="#a87c52", back=-1.5):
    """A painted wall with the light of a window on it, behind a table of planks."""
    origin, ray = camera.rays(WIDTH, HEIGHT)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = np.where(ray[1] < 0, -origin[1] / ray[1], np.inf)
        table = origin[2] + at * ray[2] > back
    x, z = (origin[k] + np.where(table, at, 0) * ray[k] for k in (0, 2))
    plank = np.floor(z / 0.55)
    grain = np.sin(x * 2.1 + plank * 2.4 + 0.7 * np.sin(z * 26 + plank)) * 0.06 + np.sin(z * 140 + 3 * np.sin(x * 1.7 + plank)) * 0.05
    seam = 1 - 0.55 * np.exp(-((z / 0.55 - np.round(z / 0.55)) / 0.014) ** 2)
    planks = rgb(wood) * ((1 + grain + 0.09 * np.sin(plank * 37)) * seam)[:, None]

    t = (back - origin[2]) / ray[2]
    across, up = origin[0] + t * ray[0], origin[1] + t * ray[1]
    slanted = across + 0.35 * up
    pane = smoothstep(-0.5, -0.3, slanted) * smoothstep(1.6, 1.4, slanted) * smoothstep(0.1, 0.35, up) * smoothstep(3.2, 2.9, up)
    cross = smoothstep(0.02, 0.09, np.abs(slanted - 0.55)) * smoothstep(0.02, 0.09, np.abs(up - 1.6))
    painted = rgb(wall) * (0.62 + 0.4 * pane * cross - 0.18 * np.exp(-np.maximum(up, 0) / 0.16))[:, None]
    return np.where(table[:, None], planks, painted).reshape(HEIGHT, WIDTH, 3).astype(np.float32)


# ---------------------------------------------------------------- what sellers write over their photographs

class Overlay:
    """Drawn at twice the size and reduced, so that outlines are smooth. Coordinates are the card's pixels."""

    def __init__(self, picture):
        self.picture = picture.convert("RGBA")
        self.layer = Image.new("RGBA", (WIDTH * 2, HEIGHT * 2), "#ffffff00")
        self.pen = ImageDraw.Draw(self.layer)

    def text(self, x, y, text, size, colour=INK, bold=True, anchor="mm"):
        self.pen.text((x * 2, y * 2), text, colour, font(size * 2, bold), anchor)
        return self

    def circle(self, x, y, r, colour):
        self.pen.ellipse([2 * v for v in (x - r, y - r, x + r, y + r)], colour)
        return self

    def plate(self, left, top, right, bottom, colour, radius=22):
        self.pen.rounded_rectangle([2 * v for v in (left, top, right, bottom)], radius * 2, colour)
        return self

    def line(self, x0, y0, x1, y1, colour=INK, width=3):
        self.pen.line([2 * v for v in (x0, y0, x1, y1)], colour, width * 2)
        return self.circle(x1, y1, 8, colour)

    def done(self):
        layer = self.layer.resize((WIDTH, HEIGHT), Image.BOX)
        return Image.alpha_composite(self.picture, layer).convert("RGB")


# ---------------------------------------------------------------- clean cards

@card(group="bottle")
def clean_bottle_jpg():
    return photo(bottle(), 0.8)


@card(group="mug")
def clean_mug_jpg():
    return photo(place(mug(), yaw=-25), 0.72, pitch=16)


@card(group="jar")
def clean_jar_reflection_jpg():
    return photo(jar(), 0.7, pitch=7, shadow=0.35, reflection=0.3)


@card(group="handbag")
def clean_handbag_filling_webp():
    return photo(place(handbag(), yaw=-14), 0.93)


@card(group="chair")
def clean_chair_webp():
    return photo(place(chair(), yaw=-32), 0.84, pitch=13)


@card(group="headphones")
def clean_headphones_jpg():
    return photo(place(headphones(), yaw=-28, y=-0.13), 0.8)


@card(group="lamp")
def clean_lamp_jpg():
    return photo(lamp(), 0.86)


@card(group="teapot")
def clean_teapot_alpha_png():
    """Cut out: the background is transparent, which every viewer shows as white."""
    parts = place(teapot("#7fa39a"), yaw=12)
    shot = take(parts, framed(parts, 0.82, pitch=14), shadow=0)
    picture = compose(shot, plain("#7fa39a")(None))
    picture.putalpha(Image.fromarray((shot.cover * 255 + 0.5).astype(np.uint8)))
    return picture.resize((WIDTH * 2 // 3, HEIGHT * 2 // 3), Image.LANCZOS)


# ---------------------------------------------------------------- text

@card("text", group="tube")
def text_badge_tube_jpg():
    return (Overlay(photo(tube(), 0.72, x=0.05))
            .circle(720, 190, 128, RED).text(720, 170, "−40%", 78, WHITE).text(720, 236, "скидка", 38, WHITE, False)
            .plate(590, 1010, 870, 1120, INK).text(730, 1065, "349 ₽", 64, WHITE).done())


@card("text", group="headphones")
def text_infographic_headphones_webp():
    return (Overlay(photo(place(headphones("#e6e3de", "#c9a882"), yaw=-28, y=-0.13), 0.64, y=0.06))
            .text(60, 90, "БЕСПРОВОДНЫЕ", 62, anchor="lm").text(60, 160, "наушники с микрофоном", 42, "#5b6270", False, "lm")
            .line(240, 290, 330, 430).text(60, 260, "Bluetooth 5.3", 34, anchor="lm")
            .plate(60, 1010, 310, 1140, "#2f6fde").text(185, 1052, "40 часов", 38, WHITE).text(185, 1102, "без зарядки", 30, WHITE, False)
            .plate(330, 1010, 580, 1140, "#2f6fde").text(455, 1052, "Hi-Fi", 38, WHITE).text(455, 1102, "чистый звук", 30, WHITE, False)
            .plate(600, 1010, 850, 1140, "#2f6fde").text(725, 1052, "180 г", 38, WHITE).text(725, 1102, "лёгкий вес", 30, WHITE, False).done())


@card("text", group="ball")
def text_caption_ball_jpg():
    return (Overlay(photo(place(ball(), yaw=24), 0.72)).text(450, 120, "BEST PRICE", 92)
            .text(450, 200, "free delivery in 24 hours", 40, "#5b6270", False).text(450, 1110, "размер 7  •  для зала и улицы", 40).done())


# ---------------------------------------------------------------- not white

@card("not_white", group="mug")
def not_white_colour_mug_jpg():
    return photo(place(mug("#f2efe9", "#d9694f"), yaw=-25), 0.7, plain("#e7a58f"), pitch=14)


@card("not_white", group="perfume")
def not_white_gradient_perfume_webp():
    return photo(place(perfume(), yaw=-16), 0.74, gradient("#8fa7c9", "#e9dfe6"))


@card("not_white", group="lamp")
def not_white_room_lamp_jpg():
    return photo(lamp("#e6dac4", "#3a3d40"), 0.76, room, pitch=11)


# ---------------------------------------------------------------- extra objects

@card("extra_objects", group="bottle")
def extra_objects_props_bottle_jpg():
    return photo(beside(bottle("#f5e9c8", "#8a5a1e", "CITRA", "HAND WASH"), place(lemon(), x=0.75, z=0.3, yaw=30), place(lemon(), x=0.62, z=-0.5, yaw=-60),
                        place(leaf(), x=-0.72, z=0.35, yaw=25), place(pebble(), x=-0.75, z=-0.35)), 0.86, pitch=13)


@card("extra_objects", group="perfume")
def extra_objects_box_perfume_webp():
    return photo(beside(place(perfume(), x=-0.55, z=0.25, yaw=10), place(carton(), x=0.55, z=-0.2, yaw=-18)), 0.84, pitch=11)


@card("extra_objects", group="teapot")
def extra_objects_gift_teapot_jpg():
    return photo(beside(place(teapot(), x=-0.5, z=0.3, yaw=-8), place(gift(), x=1.0, z=-0.5, yaw=-28)), 0.9, pitch=13)


# ---------------------------------------------------------------- cropped

@card("cropped", group="chair")
def cropped_chair_jpg():
    return photo(place(chair("#a9573f"), yaw=30), 1.3, x=0.2, y=0.12, pitch=12)


@card("cropped", group="vase")
def cropped_vase_webp():
    return photo(vase(), 1.02, y=-0.27)


@card("cropped", group="sneaker")
def cropped_sneaker_jpg():
    return photo(place(sneaker(), yaw=18), 1.25, x=-0.13, pitch=12)


# ---------------------------------------------------------------- duplicates

@card("duplicates", group="mug")
def duplicates_mug_colours_jpg():
    return photo(beside(*(place(mug(colour), x=x, z=z, yaw=-30) for colour, x, z in
                          (("#c2493d", -1.05, -0.35), ("#3d7a5a", 1.15, -0.35), ("#2f6f8f", 0.05, 0.75)))), 0.9, pitch=20)


@card("duplicates", group="jar")
def duplicates_jar_copies_png():
    picture = photo(beside(place(jar("#dfe6ea", "#aab4bd", "#37474f"), x=-0.72), place(jar("#dfe6ea", "#aab4bd", "#37474f"), x=0.8, z=-0.4)), 0.88, pitch=14)
    return picture.resize((WIDTH // 2, HEIGHT // 2), Image.LANCZOS).quantize(256)


# ---------------------------------------------------------------- two at once

@card("text", "not_white", group="tube")
def text_not_white_tube_webp():
    return (Overlay(photo(tube("#f3f6f2", "#5f8f6b", "#2e5a3c", "HERBA"), 0.66, gradient("#bcd6b4", "#f0f5ea"), y=0.04))
            .text(450, 95, "УХОД ЗА РУКАМИ", 68, "#234a30").text(450, 165, "с экстрактом ромашки", 40, "#234a30", False)
            .plate(300, 1060, 600, 1150, RED).text(450, 1105, "2 по цене 1", 42, WHITE).done())


@card("text", "duplicates", group="vase")
def text_duplicates_vase_jpg():
    return (Overlay(photo(beside(place(vase(), x=-0.75), place(vase("#c9b79a"), x=0.75, z=-0.3)), 0.86, pitch=12))
            .text(450, 130, "SET OF 2", 96).text(450, 1100, "1 990 ₽", 72, RED).done())


# ---------------------------------------------------------------- files

def save(picture, path):
    if path.suffix == ".jpg":  # one progressive: decoders must read both kinds
        picture.save(path, quality=82, optimize=True, progressive=path.stem == "clean_lamp")
    elif path.suffix == ".webp":
        picture.save(path, quality=80, method=6)
    else:
        picture.save(path, optimize=True)


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "samples")
    (folder / "cards").mkdir(parents=True, exist_ok=True)
    for name in sys.argv[2:] or CARDS:
        save(CARDS[name][0](), folder / "cards" / name)
        print(name, flush=True)
    with open(folder / "labels.csv", "w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("file", "clean", *REASONS, "group"))
        for name, (_, reasons, group) in CARDS.items():
            table.writerow((name, int(not reasons), *(int(reason in reasons) for reason in REASONS), group))


main()
