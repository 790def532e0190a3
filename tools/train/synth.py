#!/usr/bin/python3
"""Makes labelled product cards out of clean photos on white.

A clean photo gives its object by flood-filling the near-white background from the border. The object is put back on
white (a clean card) or into one of the five defects of DEFECTS, alone or together. Everything is drawn from one seeded
generator per card, so card i of a seed is the same card on every machine. The mask of the main object is made along
with it: all copies of it, but no extra object, no shadow, and no text even where it lies over the object.

    synth.py --data DIR --cards 40 --out sheet.png     a contact sheet of made cards with masks and labels, to be looked at
"""
from __future__ import annotations

import argparse
import csv
import functools
import io
import multiprocessing
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

DEFECTS = ("text", "not_white", "extra_objects", "cropped", "duplicates")
SIZE = (60, 80)  # what the classifier sees, width x height
SEGMENTER_SIZE = (96, 128)
FONTS = Path("/usr/share/fonts/truetype/dejavu")
WORKING_SIDE = 320  # cards are composed at this size: small enough to be quick, large enough for 5 px letters to blur

# Whole shops kept out of training, so that validation meets kinds of goods, lights and cameras that were never seen.
HELD_OUT_REPOS = {
    "asrobin1052/Fusion-Tech-2.0-Online-Shop", "oroinc/orocommerce", "thanglb2005/Web_MyPham",
    "zzalobeiuzz/website_banmypham", "microsoft/TailwindTraders-Backend", "grandnode/grandnode2",
    "Kamii-Samaa/Product-Images", "thelia/thelia",
}
BACKGROUND_KINDS = {"scene", "scene_room", "scene_not_white"}


@dataclass
class Product:
    """One clean photo: as it came (rgb) and the object cut out of it (rgba), both at most WORKING_SIDE a side."""

    file: str
    group: str  # people, beauty, goods
    rgb: Image.Image
    rgba: Image.Image
    mask: Image.Image  # of the object in rgb, 0 or 255
    whole: bool  # the object touches no edge of the photo, so that cutting it is up to us
    render: bool  # drawn, not photographed


@dataclass
class Card:
    """A card as composed, before it is published as a file."""

    image: Image.Image
    mask: Image.Image  # of its main object: L, 255 inside, soft at the edges
    defects: set[str]
    group: str  # the main object's

    def labels(self) -> np.ndarray:
        """Six: defective, then DEFECTS."""
        return np.array([bool(self.defects)] + [d in self.defects for d in DEFECTS], np.uint8)


def read_index(data: Path) -> list[dict[str, str]]:
    with open(data / "INDEX.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def is_validation(row: dict[str, str]) -> bool:
    """Held-out shops, and of the other shops every tenth product (by its key, so that colour variants stay together)."""
    if row["source_repo"] in HELD_OUT_REPOS:
        return True
    return zlib.crc32(f"{row['source_repo']}:{row['product_key']}".encode()) % 10 == 0


def object_mask(rgb: Image.Image) -> np.ndarray:
    """True where the object is: all that the near-white flood from the border does not reach."""
    near_white = np.asarray(rgb).min(axis=2) >= 236
    flood = Image.fromarray((near_white * 255).astype(np.uint8))
    flood = ImageOps.expand(flood, 1, 255)  # a white ring joins every border pixel, so one seed reaches them all
    ImageDraw.floodfill(flood, (0, 0), 128)
    return np.asarray(flood)[1:-1, 1:-1] != 128


def load_product(data: Path, row: dict[str, str]) -> Product | None:
    """None where no object can be told from its background (white on white, or filling everything)."""
    image = Image.open(data / row["file"])
    group = row["file"].split("/")[1] if row["file"].startswith("clean/") else "goods"
    if row["kind"].startswith("cutout"):
        rgba = image.convert("RGBA")
        rgba.thumbnail((WORKING_SIDE, WORKING_SIDE))
        rgb = flatten(rgba)
        mask = np.asarray(rgba.getchannel("A")) > 128
    else:
        rgb = image.convert("RGB")
        rgb.thumbnail((WORKING_SIDE, WORKING_SIDE))
        mask = object_mask(rgb)
        # Soft by one pixel, or every pasted object would carry a rim of the old background.
        alpha = Image.fromarray((mask * 255).astype(np.uint8)).filter(ImageFilter.MinFilter(3))
        rgba = rgb.copy()
        rgba.putalpha(alpha.filter(ImageFilter.GaussianBlur(0.7)))
    if not 0.02 < mask.mean() < 0.97:
        return None
    ys, xs = np.nonzero(mask)
    box = (int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1)
    whole = box[0] > 1 and box[1] > 1 and box[2] < rgb.width - 1 and box[3] < rgb.height - 1
    if row["kind"].startswith("cutout"):
        whole = True
    mask_image = Image.fromarray((mask * 255).astype(np.uint8))
    return Product(row["file"], group, rgb, rgba.crop(box), mask_image, whole, row["kind"] == "cutout_3d_render")


def flatten(rgba: Image.Image, colour: tuple[int, int, int] = (255, 255, 255)) -> Image.Image:
    base = Image.new("RGB", rgba.size, colour)
    base.paste(rgba, mask=rgba.getchannel("A"))
    return base


class Synth:
    """Makes cards from products and background photos. `card(i)` depends on the seed and i alone."""

    def __init__(self, products: list[Product], backgrounds: list[Image.Image], seed: int) -> None:
        self.products, self.backgrounds, self.seed = products, backgrounds, seed
        weights = np.array([0.15 if p.render else 1.0 for p in products])
        # Groups in equal parts: there are eight times as many goods as beauty products.
        for group in {p.group for p in products}:
            members = np.array([p.group == group for p in products])
            weights[members] /= weights[members].sum()
        self.weights = weights / weights.sum()

    def card(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """The thumbnail (80, 60, 3) as the engine would see it, and six labels: defective, then DEFECTS."""
        views, _, labels = self.views(index, SIZE)
        return views[0], labels

    def views(self, index: int, *sizes: tuple[int, int]) -> tuple[list[np.ndarray], Image.Image, np.ndarray]:
        """One card as the engine would see it at each of the sizes, the mask as composed, and the labels."""
        card, published = self.published(index)
        return [published.view(size) for size in sizes], card.mask, card.labels()

    def published(self, index: int) -> tuple[Card, Published]:
        """Card `index` as composed, and as the file that a shop would have."""
        rng = np.random.default_rng((self.seed, index))
        card = self.compose(rng)
        return card, publish(rng, card.image)

    def compose(self, rng: np.random.Generator) -> Card:
        defects: set[str] = set()
        if rng.random() < 0.55:
            count = rng.choice([1, 2, 3], p=[0.72, 0.22, 0.06])
            defects = set(rng.choice(DEFECTS, size=count, replace=False, p=[0.22, 0.2, 0.2, 0.19, 0.19]))
        if {"cropped", "duplicates"} <= defects:  # a grid of copies leaves none to be cut
            defects.remove("cropped")
        product = self.pick(rng, whole=bool(defects & {"cropped", "duplicates"}))
        as_it_came = not defects & {"extra_objects", "cropped", "duplicates"} and rng.random() < 0.55
        if as_it_came:
            image, mask = self.reframe(rng, product, "not_white" in defects)
        else:
            size = frame_size(rng)
            image = self.background(rng, size) if "not_white" in defects else plain(rng, size)
            mask = Image.new("L", size, 0)
            self.place(rng, image, mask, product, defects)
        if rng.random() < 0.5:
            image, mask = ImageOps.mirror(image), ImageOps.mirror(mask)
        if "text" in defects:
            write_text(rng, image, mask)
        return Card(image, mask, defects, product.group)

    def pick(self, rng: np.random.Generator, whole: bool = False) -> Product:
        while True:
            product = self.products[rng.choice(len(self.products), p=self.weights)]
            if product.whole or not whole:
                return product

    def background(self, rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
        """Anything that is clearly not white: a colour, grey up to 229, a gradient, or a photo."""
        kind = rng.random()
        if kind < 0.4 and self.backgrounds:
            photo = self.backgrounds[rng.integers(len(self.backgrounds))]
            return ImageOps.fit(photo, size, centering=(rng.random(), rng.random()))
        first = not_white_colour(rng)
        if kind < 0.7:
            return Image.new("RGB", size, first)
        second = not_white_colour(rng) if rng.random() < 0.6 else (250, 250, 250)
        ramp = np.linspace(0, 1, 64)
        grid = np.add.outer(ramp * rng.uniform(-1, 1), ramp * rng.uniform(-1, 1))
        grid = (grid - grid.min()) / max(float(np.ptp(grid)), 1e-6)
        mixed = np.multiply.outer(1 - grid, np.array(first)) + np.multiply.outer(grid, np.array(second))
        return Image.fromarray(mixed.astype(np.uint8)).resize(size, Image.BICUBIC)

    def reframe(self, rng: np.random.Generator, product: Product, not_white: bool) -> tuple[Image.Image, Image.Image]:
        """The photo as it is, sometimes with more white around it or less; its background replaced if asked for."""
        image, mask = product.rgb.copy(), product.mask.filter(ImageFilter.GaussianBlur(0.7))  # text is drawn in place
        if not_white:
            back = self.background(rng, image.size)
            back.paste(image, mask=mask)
            image = back
        elif rng.random() < 0.3:
            border = (int(rng.integers(0, 60)), int(rng.integers(0, 60)))
            image, mask = ImageOps.expand(image, border, (255, 255, 255)), ImageOps.expand(mask, border, 0)
        elif rng.random() < 0.4:  # crop the white margins away: edge to edge, yet nothing is cut
            box = product.mask.getbbox()
            image, mask = image.crop(box), mask.crop(box)
        return image, mask

    def place(self, rng: np.random.Generator, image: Image.Image, mask: Image.Image, product: Product,
              defects: set[str]) -> None:
        """Puts the object (and what does not belong there) on the canvas."""
        cutout = product.rgba
        if product.group == "people" and "cropped" not in defects and rng.random() < 0.3:
            cutout = half_figure(rng, cutout)
        shadow = "not_white" not in defects and rng.random() < 0.4
        if "duplicates" in defects:
            copies = int(rng.choice([2, 3, 4, 6], p=[0.5, 0.2, 0.2, 0.1]))
            boxes = grid_boxes(rng, image.size, copies)
            for box in boxes:
                copy = ImageOps.mirror(cutout) if rng.random() < 0.3 else cutout
                paste(rng, image, mask, tint(rng, copy) if rng.random() < 0.4 else copy, box, shadow)
        elif "cropped" in defects:
            paste_cut(rng, image, mask, cutout, people=product.group == "people")
        else:
            share = rng.uniform(0.5, 0.85) if "extra_objects" in defects else rng.uniform(0.55, 1.0) ** 0.7
            paste(rng, image, mask, cutout, loose_box(rng, image.size, share), shadow)
        if "extra_objects" in defects:
            for _ in range(int(rng.choice([1, 2, 3], p=[0.6, 0.25, 0.15]))):
                other = self.pick(rng, whole=True)
                box = corner_box(rng, image.size, rng.uniform(0.28, 0.5))
                paste(rng, image, mask, other.rgba, box, shadow, main=False)


def frame_size(rng: np.random.Generator) -> tuple[int, int]:
    """Mostly portrait 3:4; square and landscape cards are real, and are squeezed to 60x80 like all."""
    return ((240, 320), (300, 300), (320, 240), (214, 320))[rng.choice(4, p=[0.6, 0.22, 0.1, 0.08])]


def plain(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """White, or the off-white (243 and up) of an honest studio photo, maybe with a soft fall-off towards an edge."""
    level = 255 if rng.random() < 0.6 else int(rng.integers(244, 256))
    image = Image.new("RGB", size, (level, level, level))
    if rng.random() < 0.15:
        ramp = np.linspace(level, 243, size[1])[:, None, None].repeat(size[0], 1).repeat(3, 2)
        image = Image.fromarray(ramp.astype(np.uint8))
    return image


def not_white_colour(rng: np.random.Generator) -> tuple[int, int, int]:
    if rng.random() < 0.3:
        grey = int(rng.integers(120, 230))
        return (grey, grey, grey)
    while True:  # colours down to pastel, but always one channel that is clearly below white
        colour = rng.integers(40, 256, 3) if rng.random() < 0.5 else rng.integers(190, 256, 3)
        if colour.min() <= 228:
            return tuple(int(c) for c in colour)


def tint(rng: np.random.Generator, cutout: Image.Image) -> Image.Image:
    """The same thing in another colour, as in a colour set."""
    hue = cutout.convert("RGB").convert("HSV")
    h, s, v = hue.split()
    h = h.point(lambda x, d=int(rng.integers(256)): (x + d) % 256)
    result = Image.merge("HSV", (h, s, v)).convert("RGB")
    result.putalpha(cutout.getchannel("A"))
    return result


def half_figure(rng: np.random.Generator, cutout: Image.Image) -> Image.Image:
    """A person cut at waist or knee, or above the chin: clean, since the garment is what is sold."""
    if cutout.height < 1.6 * cutout.width:
        return cutout
    if rng.random() < 0.7:
        return cutout.crop((0, 0, cutout.width, int(cutout.height * rng.uniform(0.5, 0.75))))
    return cutout.crop((0, int(cutout.height * rng.uniform(0.08, 0.14)), cutout.width, cutout.height))


def loose_box(rng: np.random.Generator, size: tuple[int, int], share: float) -> tuple[float, float, float, float]:
    """A box of that share of the frame's sides, somewhere near the middle. Share 1 is edge to edge."""
    w, h = size[0] * share, size[1] * share
    x = (size[0] - w) * rng.uniform(0.3, 0.7)
    y = (size[1] - h) * rng.uniform(0.3, 0.7)
    return x, y, w, h


def corner_box(rng: np.random.Generator, size: tuple[int, int], share: float) -> tuple[float, float, float, float]:
    w, h = size[0] * share, size[1] * share
    x = rng.choice([0.02, 0.98]) if rng.random() < 0.7 else rng.random()
    y = rng.uniform(0.02, 0.98)
    return (size[0] - w) * x, (size[1] - h) * y, w, h


def grid_boxes(rng: np.random.Generator, size: tuple[int, int], n: int) -> list[tuple[float, float, float, float]]:
    """Side by side, one above the other, in a grid, or as an overlapping pair."""
    if n == 2 and rng.random() < 0.35:
        w, h = size[0] * 0.68, size[1] * 0.8
        return [(0, size[1] * rng.uniform(0, 0.2), w, h), (size[0] - w, size[1] * rng.uniform(0, 0.2), w, h)]
    columns = {2: int(rng.choice([1, 2], p=[0.35, 0.65])), 3: int(rng.choice([1, 3])), 4: 2, 6: int(rng.choice([2, 3]))}[n]
    rows = n // columns
    w, h, gap = size[0] / columns, size[1] / rows, rng.uniform(0.86, 0.98)
    return [(c * w + w * (1 - gap) / 2, r * h + h * (1 - gap) / 2, w * gap, h * gap)
            for r in range(rows) for c in range(columns)]


def fit(cutout: Image.Image, w: float, h: float) -> Image.Image:
    scale = min(w / cutout.width, h / cutout.height)
    return cutout.resize((max(2, round(cutout.width * scale)), max(2, round(cutout.height * scale))), Image.BILINEAR)


def paste(rng: np.random.Generator, image: Image.Image, mask: Image.Image, cutout: Image.Image,
          box: tuple[float, float, float, float], shadow: bool, main: bool = True) -> None:
    piece = fit(cutout, box[2], box[3])
    x, y = round(box[0] + (box[2] - piece.width) / 2), round(box[1] + (box[3] - piece.height) / 2)
    if shadow:
        draw_shadow(rng, image, (x, y, piece.width, piece.height))
    image.paste(piece, (x, y), piece.getchannel("A"))
    mask.paste(255 if main else 0, (x, y), piece.getchannel("A"))


def draw_shadow(rng: np.random.Generator, image: Image.Image, box: tuple[int, int, int, int]) -> None:
    """A soft contact shadow below the object: allowed on a clean card."""
    x, y, w, h = box
    layer = Image.new("L", image.size, 0)
    depth = max(3, int(0.05 * h))
    ImageDraw.Draw(layer).ellipse((x, y + h - depth, x + w, y + h + depth), fill=int(rng.integers(40, 120)))
    layer = layer.filter(ImageFilter.GaussianBlur(depth * 0.7 + 2))
    image.paste((90, 90, 95), mask=layer)


def paste_cut(rng: np.random.Generator, image: Image.Image, mask: Image.Image, cutout: Image.Image, people: bool) -> None:
    """Lets the frame cut 18..45 % of the object. A person is cut down the side: at the waist would be clean."""
    size = image.size
    scale = rng.uniform(0.85, 1.5)
    piece = fit(cutout, size[0] * scale, size[1] * scale)
    x, y = (size[0] - piece.width) // 2, (size[1] - piece.height) // 2
    share = rng.uniform(0.18, 0.45)
    side = rng.choice(["left", "right"]) if people else rng.choice(["left", "right", "top", "bottom"])
    if side == "left":
        x = -int(piece.width * share)
    elif side == "right":
        x = size[0] - int(piece.width * (1 - share))
    elif side == "top":
        y = -int(piece.height * share)
    else:
        y = size[1] - int(piece.height * (1 - share))
    if not people and rng.random() < 0.25:  # at a corner
        x = -int(piece.width * share) if rng.random() < 0.5 else size[0] - int(piece.width * (1 - share))
    image.paste(piece, (x, y), piece.getchannel("A"))
    mask.paste(255, (x, y), piece.getchannel("A"))


WORDS = ("СКИДКА", "НОВИНКА", "ХИТ", "АКЦИЯ", "100% хлопок", "доставка", "подарок", "бестселлер", "натуральный состав",
         "увлажнение 24ч", "размеры 42-56", "гарантия", "SALE", "NEW", "BEST", "PREMIUM", "-50%", "1+1=3", "eco", "vitamin C",
         "soft touch", "free delivery", "990 ₽", "1 499 ₽", "2 шт", "500 мл", "top quality", "made in Italy", "для всей семьи")


def write_text(rng: np.random.Generator, image: Image.Image, mask: Image.Image) -> None:
    """One to four captions, badges, price tags or a watermark, large enough to leave a trace at 60x80."""
    for _ in range(int(rng.choice([1, 2, 3, 4], p=[0.35, 0.3, 0.2, 0.15]))):
        kind = rng.random()
        if kind < 0.5:
            caption(rng, image, mask)
        elif kind < 0.85:
            badge(rng, image, mask)
        else:
            watermark(rng, image, mask)


def font(rng: np.random.Generator, size: int) -> ImageFont.FreeTypeFont:
    names = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSerif.ttf", "DejaVuSerif-Bold.ttf", "DejaVuSansMono.ttf")
    present = [FONTS / n for n in names if (FONTS / n).exists()]
    return ImageFont.truetype(str(present[rng.integers(len(present))]), size)


def dark_colour(rng: np.random.Generator) -> tuple[int, int, int]:
    return tuple(int(c) for c in rng.integers(0, 170, 3)) if rng.random() < 0.7 else (0, 0, 0)


def place_text(rng: np.random.Generator, image: Image.Image, w: int, h: int) -> tuple[int, int]:
    """More often towards an edge than across the middle, as on real cards."""
    x = int((image.width - w) * (rng.beta(0.6, 0.6))) if w < image.width else 2
    y = int((image.height - h) * (rng.beta(0.5, 0.5))) if h < image.height else 2
    return max(x, 0), max(y, 0)


def caption(rng: np.random.Generator, image: Image.Image, mask: Image.Image) -> None:
    size = int(image.height * rng.uniform(0.045, 0.12))
    lines = [str(rng.choice(WORDS)) for _ in range(int(rng.choice([1, 2, 3, 5], p=[0.5, 0.25, 0.15, 0.1])))]
    text, face = "\n".join(lines), font(rng, size)
    box = ImageDraw.Draw(image).multiline_textbbox((0, 0), text, font=face)
    x, y = place_text(rng, image, box[2], box[3])
    ImageDraw.Draw(image).multiline_text((x, y), text, font=face, fill=dark_colour(rng))
    ImageDraw.Draw(mask).multiline_text((x, y), text, font=face, fill=0)


def badge(rng: np.random.Generator, image: Image.Image, mask: Image.Image) -> None:
    size = int(image.height * rng.uniform(0.04, 0.09))
    face, text = font(rng, size), str(rng.choice(WORDS))
    draw, erase = ImageDraw.Draw(image), ImageDraw.Draw(mask)
    left, top, right, bottom = draw.textbbox((0, 0), text, font=face)
    w, h = right - left + size, bottom - top + size
    x, y = place_text(rng, image, w, h)
    fill = tuple(int(c) for c in rng.integers(0, 256, 3))
    if rng.random() < 0.35:
        d = max(w, h)
        draw.ellipse((x, y, x + d, y + d), fill=fill)
        erase.ellipse((x, y, x + d, y + d), fill=0)
        y += (d - h) // 2
    else:
        radius = int(size * rng.uniform(0, 0.6))
        draw.rounded_rectangle((x, y, x + w, y + h), radius=radius, fill=fill)
        erase.rounded_rectangle((x, y, x + w, y + h), radius=radius, fill=0)
    ink = (255, 255, 255) if sum(fill) < 420 else (20, 20, 20)
    draw.text((x + size // 2 - left, y + size // 2 - top), text, font=face, fill=ink)
    erase.text((x + size // 2 - left, y + size // 2 - top), text, font=face, fill=0)  # it may stick out of a circle


def watermark(rng: np.random.Generator, image: Image.Image, mask: Image.Image) -> None:
    size = int(image.height * rng.uniform(0.07, 0.13))
    layer = Image.new("L", image.size, 0)
    face, text = font(rng, size), str(rng.choice(WORDS))
    draw = ImageDraw.Draw(layer)
    strength = int(rng.integers(70, 160))
    for y in range(0, image.height, int(size * rng.uniform(1.5, 4))):
        draw.text((int(rng.integers(-40, 40)), y), f"{text}   {text}   {text}", font=face, fill=strength)
        if rng.random() < 0.4:
            break
    layer = layer.rotate(float(rng.uniform(-35, 35)))
    image.paste((120, 120, 120), mask=layer)
    mask.paste(0, mask=layer.point(lambda value: min(255, value * 255 // strength)))  # however faint, it's text


@dataclass
class Published:
    """A card as a file: a JPEG, or pixels where it was kept without loss."""

    content: bytes | Image.Image
    scaled: bool  # the reader lets the JPEG library shrink it by a power of two, to no less than the size needed

    def view(self, size: tuple[int, int]) -> np.ndarray:
        image = self.content
        if isinstance(image, bytes):
            image = Image.open(io.BytesIO(image))
            if self.scaled:
                image.draft("RGB", size)
            image = image.convert("RGB")
        return np.asarray(image.resize(size, Image.BILINEAR))


def publish(rng: np.random.Generator, image: Image.Image) -> Published:
    """Gives the card one of many qualities and sizes."""
    if rng.random() < 0.3:  # a soft or small original, in both classes: blur alone must say nothing
        small = rng.uniform(0.35, 0.9)
        image = image.resize((max(60, int(image.width * small)), max(80, int(image.height * small))), Image.BILINEAR)
    if rng.random() < 0.15:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.2)))
    if rng.random() >= 0.7:
        return Published(image, scaled=False)
    packed = io.BytesIO()
    image.save(packed, "JPEG", quality=int(rng.integers(55, 96)))
    return Published(packed.getvalue(), scaled=rng.random() < 0.5)


def load_background(data: Path, row: dict[str, str]) -> Image.Image:
    photo = Image.open(data / row["file"]).convert("RGB")
    photo.thumbnail((WORKING_SIDE, WORKING_SIDE))
    return photo


def load(data: Path, validation: bool) -> tuple[list[Product], list[Image.Image]]:
    """The products and background photos of one side of the split, in the order of the index."""
    rows = [row for row in read_index(data) if is_validation(row) == validation]
    with multiprocessing.Pool() as pool:
        backgrounds = pool.map(functools.partial(load_background, data),
                               [row for row in rows if row["kind"] in BACKGROUND_KINDS])
        products = pool.map(functools.partial(load_product, data),
                            [row for row in rows if row["file"].startswith(("clean/", "cutouts/"))], chunksize=16)
    return [product for product in products if product], backgrounds


def sheet(synth: Synth, count: int) -> Image.Image:
    """A contact sheet: each card as composed, its mask, its thumbnail as the classifier sees it, and its labels."""
    columns, cell = 6, (335, 230)
    result = Image.new("RGB", (columns * cell[0], -(-count // columns) * cell[1]), (215, 215, 215))
    for i in range(count):
        card, published = synth.published(i)
        image, mask, small = card.image, card.mask, Image.fromarray(published.view(SIZE))
        x, y = i % columns * cell[0], i // columns * cell[1]
        image.thumbnail((130, 190))
        mask.thumbnail((130, 190))
        result.paste(image, (x + 4, y + 4))
        result.paste(mask, (x + 138, y + 4))
        result.paste(small, (x + 272, y + 4))
        ImageDraw.Draw(result).text((x + 4, y + 200), ", ".join(sorted(card.defects)) or "clean", fill=(0, 0, 0))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cards", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    sheet(Synth(*load(args.data, validation=True), seed=args.seed), args.cards).save(args.out)


if __name__ == "__main__":
    main()
