#!/usr/bin/python3
"""Makes labelled product cards out of clean photos on white.

    synth.py --data DIR --out sheet.png     a contact sheet of 200 made cards with regions, masks and labels, to be looked at

A plan of defects is drawn first, as often together as on real cards, and then one of the ways to show them: the photo as it
came (reframed), the object put on a ground together with other things (staged), or a collage. What a plan cannot promise is
measured when the card is done: that extra objects and more than one copy are still to be seen, that it is the object that the
frame cuts, and how much of the white is left between panels.
Everything is drawn from one seeded generator per card, so card i of a seed is the same card on every machine with the same
fonts. The mask of the main object is made along with it: all copies of it, but no extra object, no shadow, and no text even
where it lies over the object.

products.py has the photos, scenery.py what is behind the object, arrangement.py groups, props.py drawn objects, lettering.py
what is written, canvas.py what all of them draw on.
"""
from __future__ import annotations

import argparse
import io
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from arrangement import Group, alone, arranged, bounds, copy, settle
from canvas import Box, Canvas, Colour, Role, chance, main_colour, one_of, weighted
from lettering import printed, write
from products import WORKING_SIDE, Product, load
from props import Supply, decorate, hold, own_box, raise_up, reach_in, skin
from regions import TEXT_DIFFERS, Region, regions, written
from scenery import WHITE_FROM, dimmed, drawn, frame, photo_patch, photo_scene, toned, white
from sizes import SEGMENTER_SIZE, SIZE

DEFECTS = ("text", "not_white", "extra_objects", "cropped", "duplicates")

# Which defects come together and how often: near the rates of real cards labelled by eye, with 45 % clean.
PLANS = {
    "": 47, "cropped": 7, "not_white": 6.5, "extra_objects": 8, "duplicates": 6.5, "text": 5.5,
    "not_white extra_objects": 6.5, "text not_white extra_objects": 3, "not_white cropped": 2.5, "text extra_objects": 2.5,
    "text not_white": 2, "not_white extra_objects duplicates": 1.5, "not_white duplicates": 1.3, "text duplicates": 1,
    "text not_white duplicates": 1, "text not_white extra_objects duplicates": 1, "text not_white cropped": 0.8,
    "not_white extra_objects cropped": 0.8, "extra_objects duplicates": 0.6, "not_white cropped duplicates": 0.5,
    "text extra_objects duplicates": 0.5, "extra_objects cropped": 0.4, "text cropped": 0.4, "cropped duplicates": 0.3,
}
EXTRAS_SEEN = 0.003  # of the frame, about 14 pixels of the thumbnail: less of an extra object is none
CUT_SEEN = 0.05  # of the object's area: the frame may have cut its neighbours alone
TEXT_SEEN = 8  # pixels of the thumbnail that differ clearly for it
PANELS_SEEN = 0.2  # of the frame: more of it under bands of colour is not white
NARROWEST = 0.6  # the shorter side of a card in parts of the longer
TILINGS = (  # of a collage, in shares of the frame
    [(0, 0, 0.5, 1), (0.5, 0, 0.5, 1)],
    [(0, 0, 1, 0.5), (0, 0.5, 1, 0.5)],
    [(0, 0, 0.5, 0.5), (0.5, 0, 0.5, 0.5), (0, 0.5, 0.5, 0.5), (0.5, 0.5, 0.5, 0.5)],
    [(0, 0, 0.65, 1), (0.65, 0, 0.35, 0.5), (0.65, 0.5, 0.35, 0.5)],
    [(0, 0, 1, 0.65), (0, 0.65, 0.33, 0.35), (0.33, 0.65, 0.34, 0.35), (0.67, 0.65, 0.33, 0.35)],
    [(0, 0, 0.33, 1), (0.33, 0, 0.34, 1), (0.67, 0, 0.33, 1)],
    [(0, 0, 0.5, 0.33), (0.5, 0, 0.5, 0.33), (0, 0.33, 0.5, 0.34), (0.5, 0.33, 0.5, 0.34), (0, 0.67, 0.5, 0.33),
     (0.5, 0.67, 0.5, 0.33)],
)

GROUPS = ("people", "beauty", "goods")  # in equal parts, though there are many times as many goods as beauty products
REGION_COLOURS = dict(zip(DEFECTS, ("blue", "gold", "green", "red", "magenta")))  # on the contact sheet
RENDERS = 0.15  # how often a drawn object is taken when it is drawn by lot, beside a photo's 1

Plan = frozenset[str]


@dataclass
class Card:
    """A card as composed, before it is published as a file."""

    image: Image.Image
    canvas: Canvas  # where everything is on it
    text: Image.Image  # an L mask of what is written on it
    defects: set[str]
    group: str  # the main object's

    @property
    def mask(self) -> Image.Image:
        """Of its main object: L, 255 inside, soft at the edges."""
        return self.canvas.mask

    def labels(self) -> np.ndarray:
        """Six: defective, then DEFECTS."""
        return np.array([bool(self.defects)] + [d in self.defects for d in DEFECTS], np.uint8)

    def regions(self) -> dict[str, list[Region]]:
        """Where each of its defects is to be seen."""
        return regions(self.canvas, self.text, self.defects)


class Synth:
    """Makes cards from products and background photos. Card i depends on the seed and i alone."""

    def __init__(self, products: list[Product], backgrounds: list[Image.Image], seed: int) -> None:
        self.products, self.backgrounds, self.seed = products, backgrounds, seed
        self.supply = Supply(backgrounds, [product.rgba for product in products if product.ingredient])
        self.variants: dict[str, list[Product]] = defaultdict(list)
        for product in products:
            if product.movable:
                self.variants[product.key].append(product)
        self.groups = {group: [p for p in products if p.group == group] for group in GROUPS}

    def seen(self, index: int, *sizes: tuple[int, int]) -> tuple[Card, list[np.ndarray]]:
        """Card `index`, and its file as the engine would see it at each of the sizes."""
        card, published = self.published(index)
        return card, [published.view(size) for size in sizes]

    def published(self, index: int) -> tuple[Card, Published]:
        """Card `index` as composed, and as the file that a shop would have."""
        rng = np.random.default_rng((self.seed, index))
        card = self.compose(rng)
        return card, publish(rng, card.image)

    def compose(self, rng: np.random.Generator) -> Card:
        plan = frozenset(weighted(rng, PLANS).split())
        product = self.pick(rng, movable=bool(plan & {"extra_objects", "cropped", "duplicates"}))
        piece = product.rgba
        if chance(rng, 0.25):
            piece = printed(rng, piece, garment=product.group == "people")
        extras = self.draw_extras(rng, plan, product)
        if "duplicates" in plan and "cropped" not in plan and chance(rng, 0.4 if "not_white" in plan else 0.15):
            canvas = self.collage(rng, plan, product, piece)
        elif not product.movable or not (plan & {"cropped", "duplicates"} or extras & {"goods", "box"} or chance(rng, 0.45)):
            canvas = self.reframed(rng, plan, product, piece, extras)
        else:
            canvas = self.staged(rng, plan, product, piece, extras)
        self.add_props(rng, canvas, extras, piece)
        if chance(rng, 0.5):
            canvas.mirror()
        before = canvas.image.copy()
        if "text" in plan:
            write_visibly(rng, canvas, main_colour(rng, piece))
        text = written(before, canvas.image)
        defects = what_is_seen(plan, canvas)
        if "not_white" in plan and chance(rng, 0.05):
            frame(rng, canvas)
        image = toned(rng, canvas.image, white_kept="not_white" not in defects) if chance(rng, 0.4) else canvas.image
        return Card(image, canvas, text, defects, product.group)

    def pick(self, rng: np.random.Generator, movable: bool = False, group: str = "") -> Product:
        """A product of the group or of any; if asked for, one that can be moved."""
        members = self.groups[group or one_of(rng, GROUPS)]
        while True:
            product = one_of(rng, members)
            if (product.movable or not movable) and (not product.render or chance(rng, RENDERS)):
                return product

    def companion(self, rng: np.random.Generator, product: Product) -> Product:
        """Something else, mostly of the same group: no variant of the product, which would be a duplicate."""
        while True:
            alike = bool(product.anchor) or chance(rng, 0.7)
            other = self.pick(rng, movable=True, group=product.group if alike else one_of(rng, ("beauty", "goods")))
            if other.key != product.key and other.anchor == product.anchor:
                return other

    def draw_extras(self, rng: np.random.Generator, plan: Plan, product: Product) -> set[str]:
        """Which kinds of extra objects this card shows: goods, box, scene, props, hand, podium."""
        if "extra_objects" not in plan:
            return set()
        weights = {"goods": 0.36, "box": 0.26, "props": 0.24, "hand": 0.1, "podium": 0.03}
        if product.group == "people":  # they come in no boxes, and nobody holds them
            weights.update(box=0.04, hand=0.03)
        if "not_white" in plan:
            weights.update(scene=0.3, podium=0.08)
        extras = {weighted(rng, weights)}
        if chance(rng, 0.25):
            extras.add(weighted(rng, weights))
        return extras

    def ground(self, rng: np.random.Generator, size: tuple[int, int], plan: Plan) -> Image.Image:
        if "not_white" not in plan:
            return white(rng, size)
        return photo_patch(rng, size, self.supply.scenes) if chance(rng, 0.2) else drawn(rng, size)

    def new_canvas(self, rng: np.random.Generator, size: tuple[int, int], plan: Plan, extras: set[str]) -> Canvas:
        if "scene" in extras:
            canvas = Canvas(photo_scene(rng, size, self.supply.scenes))
            canvas.extras.paste(255, (0, 0, *size))
            return canvas
        return Canvas(self.ground(rng, size, plan))

    def reframed(self, rng: np.random.Generator, plan: Plan, product: Product, piece: Image.Image, extras: set[str]) -> Canvas:
        """The photo as it came or framed anew; its white replaced, coloured or dimmed where the plan says so."""
        photo, soft = product.rgb.copy(), product.mask.filter(ImageFilter.GaussianBlur(0.7))
        photo.paste(piece, product.mask.getbbox()[:2], piece)
        photo, soft = framed(rng, photo, soft, product, ground_seen="not_white" in plan)
        if "not_white" in plan and not extras and chance(rng, 0.2):
            canvas = Canvas(dimmed(rng, photo))
        else:
            canvas = self.new_canvas(rng, photo.size, plan, extras)
            if "not_white" not in plan:
                canvas.image = photo
            elif chance(rng, 0.5):  # the photo's own shadows stay
                canvas.image = ImageChops.multiply(canvas.image, photo)
            canvas.image.paste(photo, mask=soft)
        canvas.mask, canvas.copies = soft, [soft.getbbox()]
        canvas.extras.paste(0, mask=soft)
        return canvas

    def staged(self, rng: np.random.Generator, plan: Plan, product: Product, piece: Image.Image, extras: set[str]) -> Canvas:
        """The object on a ground of its own, with its copies and the goods beside it."""
        canvas = self.new_canvas(rng, frame_size(rng), plan, extras)
        views = "duplicates" in plan and "cropped" not in plan and chance(rng, 0.15)
        group = self.gather(rng, plan - {"duplicates"} if views else plan, product, piece, extras)
        shadows = chance(rng, 0.5)
        if "cropped" in plan:
            box = beyond(product.anchor, canvas.image.size, cut_box(rng, canvas.image.size, group, product.group == "people"))
        else:
            room = rng.uniform(0.45, 0.85) if extras - {"goods", "box"} or "text" in plan else rng.uniform(0.4, 1.0) ** 0.7
            box = loose_box(rng, canvas.image.size, max(room, 0.8) if product.anchor else room)
        settle(rng, canvas, group, box, shadows and product.whole, "" if "cropped" in plan else product.anchor)
        if views:
            for _ in range(int(rng.integers(1, 4))):
                self.put_view(rng, canvas, plan, piece)
        return canvas

    def gather(self, rng: np.random.Generator, plan: Plan, product: Product, piece: Image.Image, extras: set[str]) -> Group:
        """The object with as many copies and other goods as the plan asks for."""
        pieces, roles = [piece], ["object"]
        if "duplicates" in plan:
            variants = self.other_photos(product)
            alike, copies = chance(rng, 0.3), int(rng.choice([1, 2, 3, 4, 5, 8], p=[0.5, 0.2, 0.12, 0.06, 0.08, 0.04]))
            for _ in range(min(copies, 2) if product.anchor else copies):
                pieces.append(piece if alike else copy(rng, piece, variants))
                roles.append("object")
        if "box" in extras:
            pieces.append(own_box(rng, piece))
            roles.append("extra")
        if "goods" in extras:
            for _ in range(1 if product.anchor else int(rng.choice([1, 2, 3, 4], p=[0.5, 0.28, 0.14, 0.08]))):
                pieces.append(self.companion(rng, product).rgba)
                roles.append("extra")
        if len(pieces) == 1:
            return alone(piece)
        if chance(rng, 0.5):
            order = rng.permutation(len(pieces))
            pieces, roles = [pieces[k] for k in order], [roles[k] for k in order]
        return arranged(rng, pieces, roles, product.anchor)

    def other_photos(self, product: Product) -> list[Image.Image]:
        """Of the same thing: its other colours and views."""
        return [other.rgba for other in self.variants[product.key] if other is not product and other.anchor == product.anchor]

    def put_view(self, rng: np.random.Generator, canvas: Canvas, plan: Plan, piece: Image.Image) -> None:
        """A small picture of the same thing in a corner or at a side: a detail, or all of it."""
        side = round(min(canvas.image.size) * rng.uniform(0.25, 0.42))
        tile = self.tile(rng, plan if chance(rng, 0.5) else plan - {"not_white"}, piece, (side, side), detail=chance(rng, 0.65))
        shape = Image.new("L", (side, side), 0)
        radius = side * one_of(rng, (0, 0.15, 0.5))
        ImageDraw.Draw(shape).rounded_rectangle((0, 0, side - 1, side - 1), radius, fill=255)
        rim = one_of(rng, ((210, 210, 210), (90, 90, 90), main_colour(rng, piece)))
        ImageDraw.Draw(tile.image).rounded_rectangle((0, 0, side - 1, side - 1), radius, outline=rim, width=2)
        x = (canvas.width - side) * rng.choice([0.03, 0.97])
        canvas.put_tile(tile, round(x), round((canvas.height - side) * rng.uniform(0.02, 0.98)), shape)

    def tile(self, rng: np.random.Generator, plan: Plan, piece: Image.Image, size: tuple[int, int], detail: bool,
             role: Role = "object") -> Canvas:
        """One picture of a collage: the whole thing, or a part of it close up."""
        canvas, group = Canvas(self.ground(rng, size, plan)), alone(piece)
        group[0].role = role
        box = detail_box(rng, size, group) if detail else loose_box(rng, size, rng.uniform(0.6, 0.95))
        settle(rng, canvas, group, box, shadows=False)
        canvas.copies = [(0, 0, *size)] if role == "object" and detail else canvas.copies  # a detail is a copy, too
        return canvas

    def collage(self, rng: np.random.Generator, plan: Plan, product: Product, piece: Image.Image) -> Canvas:
        """Tiles that show the product twice at least, and other things where the plan has them."""
        size = frame_size(rng)
        canvas, tiling = Canvas(white(rng, size)), one_of(rng, TILINGS)
        gap = int(rng.choice([0, 0, 2, 5]))
        variants = self.other_photos(product)
        kinds = ["object", "object"] + [weighted(rng, {"object": 0.6, "extra": 0.4}) for _ in tiling[2:]]
        if len(tiling) > 2:
            kinds[2] = "extra"
        for k, place in enumerate(rng.permutation(len(tiling))):
            x, y, w, h = (round(v * side) for v, side in zip(tiling[place], size * 2))
            inner = (max(8, w - gap), max(8, h - gap))
            coloured = plan if k == 0 or chance(rng, 0.6) else plan - {"not_white"}
            if "extra_objects" in plan and kinds[k] == "extra":
                tile = self.extra_tile(rng, coloured, product, piece, inner)
            else:
                shown = piece if k == 0 or chance(rng, 0.3) else copy(rng, piece, variants)
                tile = self.tile(rng, coloured, shown, inner, detail=k > 0 and chance(rng, 0.35))
                if "extra_objects" in plan and len(tiling) < 3:
                    decorate(rng, tile, main_colour(rng, piece), self.supply)
            canvas.put_tile(tile, x + gap // 2, y + gap // 2)
        return canvas

    def extra_tile(self, rng: np.random.Generator, plan: Plan, product: Product, piece: Image.Image,
                   size: tuple[int, int]) -> Canvas:
        """A picture of a collage that shows something else."""
        if "not_white" not in plan or chance(rng, 0.3):
            return self.tile(rng, plan, self.companion(rng, product).rgba, size, detail=False, role="extra")
        colour = main_colour(rng, piece)
        canvas = Canvas(skin(rng, size, colour) if chance(rng, 0.5) else photo_scene(rng, size, self.supply.scenes))
        canvas.extras.paste(255, (0, 0, *size))
        return canvas

    def add_props(self, rng: np.random.Generator, canvas: Canvas, extras: set[str], piece: Image.Image) -> None:
        colour = main_colour(rng, piece)
        if "podium" in extras:
            raise_up(rng, canvas, colour)
        if "props" in extras:
            decorate(rng, canvas, colour, self.supply)
        if "hand" in extras:
            weighted(rng, {hold: 0.65, reach_in: 0.35})(rng, canvas)


def write_visibly(rng: np.random.Generator, canvas: Canvas, accent: Colour) -> None:
    """Writes until the thumbnail shows that something is written: white on white, or on white goods, is nothing."""
    before = canvas.image.copy()
    seen = 0
    while seen < TEXT_SEEN:
        write(rng, canvas, accent)
        change = ImageChops.difference(before, canvas.image).resize(SIZE, Image.BILINEAR)
        seen = int((np.asarray(change).max(axis=2) > TEXT_DIFFERS).sum())


def what_is_seen(plan: Plan, canvas: Canvas) -> set[str]:
    """The plan as it came out."""
    defects = set(plan) - {"extra_objects", "cropped", "duplicates"}
    if canvas.cut_off() > CUT_SEEN:
        defects.add("cropped")
    if len(canvas.copies) > 1:
        defects.add("duplicates")
    if canvas.extras_seen() > EXTRAS_SEEN:
        defects.add("extra_objects")
    if canvas.panels > PANELS_SEEN:
        defects.add("not_white")
    return defects


def frame_size(rng: np.random.Generator) -> tuple[int, int]:
    """Mostly portrait 3:4 and square; every shape is real, and is squeezed to 60x80 like all."""
    aspect = weighted(rng, {3 / 4: 0.46, 1.0: 0.28, 4 / 3: 0.08, 2 / 3: 0.08, float(np.exp(rng.uniform(-0.6, 0.6))): 0.1})
    return (round(WORKING_SIDE * min(aspect, 1)), round(WORKING_SIDE / max(aspect, 1)))


def framed(rng: np.random.Generator, photo: Image.Image, mask: Image.Image, product: Product,
           ground_seen: bool) -> tuple[Image.Image, Image.Image]:
    """The photo as it came, or with more white around it, or with less: down to edge to edge unless the ground must be seen.
    A person is cut at waist, knee or neck at times."""
    left, top, right, bottom = product.mask.getbbox()
    box, height = (0, 0, *photo.size), bottom - top
    if product.group == "people" and height > 1.6 * (right - left) and chance(rng, 0.35):
        box = one_of(rng, ((0, 0, photo.width, top + int(height * rng.uniform(0.45, 0.75))),
                           (0, top + int(height * rng.uniform(0.08, 0.14)), *photo.size)))
    elif chance(rng, 0.45):
        least = 0.4 if ground_seen else 0.0
        slack = [max(least, rng.random() ** 2) for _ in range(4)] if chance(rng, 0.6) else [least] * 4
        box = (round(left * slack[0]), round(top * slack[1]), round(right + (photo.width - right) * slack[2]),
               round(bottom + (photo.height - bottom) * slack[3]))
    elif product.whole and chance(rng, 0.4):
        x, y = int(rng.integers(0, 70)), int(rng.integers(0, 70))
        box = (-x, -y, photo.width + x, photo.height + y)
    box = widened(box) if product.whole else box
    corner = photo.getpixel((0, 0))
    white_here = corner if min(corner) >= WHITE_FROM else (255, 255, 255)
    result = Image.new("RGB", (box[2] - box[0], box[3] - box[1]), white_here)
    result.paste(photo, (-box[0], -box[1]))
    return result, mask.crop(box)


def widened(box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """Cards are no narrower or flatter than NARROWEST."""
    x = max(0, round(((box[3] - box[1]) * NARROWEST - (box[2] - box[0])) / 2))
    y = max(0, round(((box[2] - box[0]) * NARROWEST - (box[3] - box[1])) / 2))
    return box[0] - x, box[1] - y, box[2] + x, box[3] + y


def loose_box(rng: np.random.Generator, size: tuple[int, int], share: float) -> Box:
    """A box of that share of the frame's sides, somewhere near the middle. Share 1 is edge to edge."""
    w, h = size[0] * share, size[1] * share
    return (size[0] - w) * rng.uniform(0.3, 0.7), (size[1] - h) * rng.uniform(0.3, 0.75), w, h


def detail_box(rng: np.random.Generator, size: tuple[int, int], group: Group) -> Box:
    """So large that both sides are cut, with some point of the object in the middle: a collar, a hem, a buckle."""
    _, _, width, height = bounds(group)
    whole = min(size[0] / width, size[1] / height)
    scale = min(max(size[0] * rng.uniform(1.2, 2.2) / width, size[1] * 0.7 / height), 3.2 * whole)
    w, h = width * scale, height * scale
    x, y = size[0] / 2 - w * rng.uniform(0.25, 0.75), size[1] / 2 - h * rng.uniform(0.2, 0.8)
    if h > size[1]:  # no white above or below what is cut
        y = min(max(y, size[1] - h), 0)
    return x, y, w, h


def cut_box(rng: np.random.Generator, size: tuple[int, int], group: Group, people: bool) -> Box:
    """A box that leaves 10 to 50 % outside the frame. A person is cut down the sides: at the waist would be clean."""
    kind = weighted(rng, {"detail": 0.5 if people else 0.2, "side": 0.4, "corner": 0 if people else 0.2, "through": 0.2})
    if kind == "detail":
        return detail_box(rng, size, group)
    _, _, width, height = bounds(group)
    scale = min(size[0] / width, size[1] / height) * (rng.uniform(0.9, 2.5) if people else rng.uniform(0.85, 1.5))
    across = people or chance(rng, 0.5)  # cut left or right rather than above or below
    if kind == "through":
        side, length = (size[0], width) if across else (size[1], height)
        scale = min(side * rng.uniform(1.2, 1.9) / length, 3.5 * min(size[0] / width, size[1] / height))
    w, h = width * scale, height * scale
    x, y = (size[0] - w) / 2, (size[1] - h) / 2
    if kind == "corner" or (kind == "side" and across):
        x = one_of(rng, (-w * rng.uniform(0.12, 0.5), size[0] - w * (1 - rng.uniform(0.12, 0.5))))
    if kind == "corner" or (kind == "side" and not across):
        y = one_of(rng, (-h * rng.uniform(0.12, 0.5), size[1] - h * (1 - rng.uniform(0.12, 0.5))))
    return x, y, w, h


def beyond(anchor: str, size: tuple[int, int], box: Box) -> Box:
    """The box moved so far that the end of a photo, at a waist or a neck, is not seen inside the frame."""
    x, y, w, h = box
    return x, {"": y, "top": min(y, 0), "bottom": max(y, size[1] - h)}[anchor], w, h


@dataclass
class Published:
    """A card as a file: a JPEG or WebP, or pixels where it was kept without loss."""

    content: bytes | Image.Image
    extension: str
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
    if chance(rng, 0.3):  # a soft or small original, in both classes: blur alone must say nothing
        small = rng.uniform(0.35, 0.9)
        image = image.resize((max(60, int(image.width * small)), max(80, int(image.height * small))), Image.BILINEAR)
    if chance(rng, 0.15):
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.2)))
    kind = weighted(rng, {"jpg": 0.65, "webp": 0.15, "png": 0.2})
    if kind == "png":
        return Published(image, kind, scaled=False)
    packed, quality = io.BytesIO(), int(rng.integers(45, 96))
    if kind == "jpg":
        image.save(packed, "JPEG", quality=quality, subsampling=int(rng.choice([0, 2])))
    else:
        image.save(packed, "WEBP", quality=quality, method=1)
    return Published(packed.getvalue(), kind, scaled=kind == "jpg" and chance(rng, 0.5))


def sheet(synth: Synth, count: int) -> Image.Image:
    """A contact sheet: each card as composed with its regions, its mask, its thumbnail for the classifier, its labels."""
    columns, cell = 10, (335, 220)
    result = Image.new("RGB", (columns * cell[0], -(-count // columns) * cell[1]), (215, 215, 215))
    for i in range(count):
        card, (small,) = synth.seen(i, SIZE)
        image, mask = card.image.copy(), card.mask.copy()
        image.thumbnail((130, 190))
        mask.thumbnail((130, 190))
        draw = ImageDraw.Draw(image)
        for defect, boxes in card.regions().items():
            for box in boxes:
                draw.rectangle([v * side for v, side in zip(box, image.size * 2)], outline=REGION_COLOURS[defect])
        x, y = i % columns * cell[0], i // columns * cell[1]
        for picture, left in ((image, 4), (mask, 138), (Image.fromarray(small), 272)):
            result.paste(picture, (x + left, y + 4))
        ImageDraw.Draw(result).text((x + 4, y + 198), ", ".join(sorted(card.defects)) or "clean", fill=(0, 0, 0))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cards", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    sheet(Synth(*load(args.data, validation=True), seed=args.seed), args.cards).save(args.out)


if __name__ == "__main__":
    main()
