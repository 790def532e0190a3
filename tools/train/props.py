"""Objects that do not belong on a card, drawn: the product's box, swatches, drops, petals, glass, hands, inset pictures.

Goods and ingredients that are photos come from the products themselves. All are pieces; what is round is drawn at twice its
size and shrunk, for soft edges.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from canvas import Box, Canvas, Colour, any_colour, chance, fit, main_colour, mix, one_of, rounded, solid, turned, weighted
from lettering import printed
from scenery import photo_scene

SKIN = ((255, 224, 196), (241, 194, 160), (224, 172, 135), (198, 134, 100), (141, 85, 60), (92, 58, 42))
LEAF = ((70, 120, 50), (110, 150, 70), (45, 90, 60), (150, 170, 110), (120, 100, 60))
PETAL = ((250, 200, 210), (255, 255, 250), (220, 60, 90), (250, 220, 120), (190, 150, 220), (255, 160, 120))

FRUIT = (  # rind and flesh
    ((240, 140, 20), (255, 180, 70)), ((250, 215, 60), (255, 240, 150)), ((90, 160, 40), (190, 220, 110)),
    ((110, 80, 50), (150, 190, 60)), ((50, 110, 50), (215, 235, 180)),
)
# Outlines of laboratory glass, in parts of its side.
GLASS = {
    "beaker": ((0.25, 0.1), (0.25, 0.95), (0.75, 0.95), (0.75, 0.1)),
    "flask": ((0.42, 0.05), (0.42, 0.4), (0.15, 0.95), (0.85, 0.95), (0.58, 0.4), (0.58, 0.05)),
}


@dataclass
class Supply:
    """The photos that props are made of."""

    scenes: list[Image.Image]
    ingredients: list[Image.Image]


def own_box(rng: np.random.Generator, product: Image.Image) -> Image.Image:
    """The carton that the product is sold in: its height, its colours, print on the front, and a darker side."""
    h = round(product.height * rng.uniform(0.85, 1.2))
    w = max(round(h * 0.25), min(round(product.width * rng.uniform(0.9, 1.5)), round(h * 1.6)))
    face = main_colour(rng, product)
    face = mix(face, one_of(rng, ((255, 255, 255), face, (0, 0, 0), face)), rng.uniform(0.2, 0.85))
    front = Image.new("RGBA", (w, h), (*face, 255))
    if chance(rng, 0.4):  # a band of another colour
        y, band = h * rng.uniform(0, 0.7), h * rng.uniform(0.1, 0.35)
        ImageDraw.Draw(front).rectangle((0, y, w, y + band), fill=(*main_colour(rng, product), 255))
    if chance(rng, 0.4):
        small = fit(product, w * 0.75, h * 0.6)
        front.alpha_composite(small, ((w - small.width) // 2, int((h - small.height) * rng.uniform(0.3, 0.95))))
    front = printed(rng, front)
    ImageDraw.Draw(front).rectangle((0, 0, w - 1, h - 1), outline=(*mix(face, (0, 0, 0), 0.2), 255))
    side = round(w * rng.uniform(0, 0.35))
    return with_side(rng, front, side, mix(face, (0, 0, 0), rng.uniform(0.15, 0.4))) if side > 3 else front


def with_side(rng: np.random.Generator, front: Image.Image, side: int, colour: Colour) -> Image.Image:
    rise = round(side * rng.uniform(0.1, 0.5))
    box = Image.new("RGBA", (front.width + side, front.height + rise), (*colour, 0))
    x, y, right = front.width, rise, front.width + side
    draw = ImageDraw.Draw(box)
    draw.polygon([(x, y), (right, 0), (right, front.height), (x, front.height + rise)], fill=(*colour, 255))
    draw.polygon([(0, y), (side, 0), (right, 0), (x, y)], fill=(*mix(colour, (255, 255, 255), 0.5), 255))
    box.alpha_composite(front, (0, rise))
    return ImageOps.mirror(box) if chance(rng, 0.5) else box


def blob(rng: np.random.Generator, size: int, wobble: float, squeeze: float) -> Image.Image:
    """An L mask of a smooth closed outline."""
    turns = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    radius = 1 + sum(rng.normal(0, wobble / k) * np.cos(k * turns + rng.uniform(0, 6.3)) for k in range(2, 7))
    radius *= 0.92 / np.abs(radius).max()
    mask = Image.new("L", (size, size), 0)
    points = [(size / 2 * (1 + r * np.cos(t)), size / 2 * (1 + squeeze * r * np.sin(t))) for t, r in zip(turns, radius)]
    ImageDraw.Draw(mask).polygon(points, fill=255)
    return mask


def swatch(rng: np.random.Generator, size: float, colour: Colour) -> Image.Image:
    """A smear of cream or lipstick: a blob, or a stroke with streaks along it."""
    side = max(12, round(size))
    mask = blob(rng, side, 0.15, rng.uniform(0.3, 0.9))
    if chance(rng, 0.5):
        streaks = Image.fromarray((255 * (rng.random((side, 1)) > 0.25)).astype(np.uint8)).resize((side, side), Image.BILINEAR)
        ends = Image.new("L", (side, side), 0)
        ImageDraw.Draw(ends).rounded_rectangle((side * 0.05, side * 0.32, side * 0.95, side * 0.68), side * 0.15, fill=255)
        mask = Image.composite(ends, streaks.point(lambda v: v // 3), streaks)
        mask = Image.fromarray(np.minimum(np.asarray(mask), np.asarray(ends)))
    return turned(rounded(mask, colour, side * 0.05, depth=0.3, shine=rng.uniform(0, 0.8)), rng.uniform(0, 360))


def drops(rng: np.random.Generator, size: float, colour: Colour) -> Image.Image:
    """A splash: drops thrown around, larger near the middle, water or in the colour."""
    side = max(24, round(size))
    mask = Image.new("L", (side, side), 0)
    draw = ImageDraw.Draw(mask)
    if chance(rng, 0.5):
        mask.paste(blob(rng, side // 2, 0.5, 0.8), (side // 4, side // 4))
    for _ in range(int(rng.integers(6, 40))):
        distance, angle = side * 0.48 * np.sqrt(rng.random()), rng.uniform(0, 2 * np.pi)
        r = side * rng.uniform(0.006, 0.05)
        x, y = side / 2 + distance * np.cos(angle), side / 2 + distance * np.sin(angle)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=255)
    piece = rounded(mask, mix(colour, (200, 225, 240), rng.choice([0, 0.9])), max(1.0, side * 0.012), 0.35, 0.9)
    piece.putalpha(mask.point(lambda a, s=rng.uniform(0.5, 0.95): int(a * s)))
    return piece


def leaf(rng: np.random.Generator, size: float, colour: Colour | None = None) -> Image.Image:
    """One leaf or petal with a rib along its middle."""
    w, h = max(8, round(size)), max(6, round(size * rng.uniform(0.3, 0.6)))
    mask = Image.new("L", (w * 2, h * 2), 0)
    t = np.linspace(0, np.pi, 20)
    outline = np.concatenate([h - h * 0.95 * np.sin(t) ** 1.3, (h + h * 0.95 * np.sin(t) ** 1.3)[::-1]])
    along = np.concatenate([t, t[::-1]]) / np.pi * w * 2
    ImageDraw.Draw(mask).polygon(list(zip(along, outline)), fill=255)
    colour = colour or one_of(rng, LEAF)
    piece = rounded(mask.resize((w, h), Image.BILINEAR), colour, h * 0.15, 0.35)
    rib = mix(colour, (255, 255, 255), 0.3)
    ImageDraw.Draw(piece).line((w * 0.04, h / 2, w * 0.9, h / 2), fill=(*rib, 255), width=max(1, h // 18))
    return turned(piece, rng.uniform(0, 360))


def sprig(rng: np.random.Generator, size: float) -> Image.Image:
    """Leaves along a stem."""
    side = max(30, round(size))
    piece = Image.new("RGBA", (side, side), (90, 110, 60, 0))
    colour = one_of(rng, LEAF)
    stem = (*mix(colour, (0, 0, 0), 0.3), 255)
    ImageDraw.Draw(piece).line((side / 2, side, side / 2, side * 0.1), fill=stem, width=max(1, side // 60))
    for k in range(count := int(rng.integers(4, 10))):
        one = leaf(rng, side * rng.uniform(0.25, 0.45), mix(colour, any_colour(rng), 0.1))
        x = side / 2 + one.width * (-1 / 6 if k % 2 else -5 / 6)
        y = side * (0.1 + 0.8 * k / count) - one.height / 2
        piece.alpha_composite(one, (round(np.clip(x, 0, side - one.width)), round(np.clip(y, 0, side - one.height))))
    return turned(piece, rng.uniform(0, 360))


def flower(rng: np.random.Generator, size: float) -> Image.Image:
    side = max(24, round(size))
    piece = Image.new("RGBA", (side, side), (255, 255, 255, 0))
    colour, petals = one_of(rng, PETAL), int(rng.integers(5, 12))
    for ring in range(int(rng.integers(1, 4))):
        radius = side * (0.26 - 0.07 * ring)
        mask = Image.new("L", (side, side), 0)
        for k in range(petals):
            angle = 2 * np.pi * (k + ring / 2) / petals
            x, y = side / 2 + radius * np.cos(angle), side / 2 + radius * np.sin(angle)
            r = radius * (2.6 / petals + 0.35)
            ImageDraw.Draw(mask).ellipse((x - r, y - r, x + r, y + r), fill=255)
        piece.alpha_composite(rounded(mask, mix(colour, (120, 40, 60), 0.12 * ring), side * 0.03, 0.4))
    heart = Image.new("L", (side, side), 0)
    ImageDraw.Draw(heart).ellipse((side * 0.42, side * 0.42, side * 0.58, side * 0.58), fill=255)
    piece.alpha_composite(rounded(heart, (230, 180, 60), side * 0.02))
    return piece


def slice_of_fruit(rng: np.random.Generator, size: float) -> Image.Image:
    """A round cut through an orange, lemon, lime, kiwi or cucumber."""
    side = max(24, round(size))
    rind, flesh = one_of(rng, FRUIT)
    piece = Image.new("RGBA", (side, side), (*rind, 0))
    draw = ImageDraw.Draw(piece)
    draw.ellipse((0, 0, side - 1, side - 1), fill=rind)
    draw.ellipse((side * 0.05, side * 0.05, side * 0.95, side * 0.95), fill=mix(flesh, (255, 255, 255), 0.7))
    count, segments = int(rng.integers(7, 12)), (side * 0.09, side * 0.09, side * 0.91, side * 0.91)
    for k in range(count):
        draw.pieslice(segments, 360 * k / count + 3, 360 * (k + 1) / count - 3, fill=flesh)
    return turned(piece.resize((side, max(8, round(side * rng.uniform(0.5, 1))))), rng.uniform(0, 360))


def berry(rng: np.random.Generator, size: float) -> Image.Image:
    """A round shiny thing: a berry, a pearl, a bubble, a ball, a capsule."""
    side = max(8, round(size))
    mask = Image.new("L", (side, side), 0)
    ImageDraw.Draw(mask).ellipse((1, 1, side - 2, side - 2), fill=255)
    colour = one_of(rng, ((180, 20, 40), (50, 50, 110), (245, 240, 230), (210, 225, 235), (250, 190, 60), any_colour(rng)))
    return rounded(mask, colour, side * 0.12, 0.5, 0.9)


def glass(rng: np.random.Generator, size: float) -> Image.Image:
    """Laboratory glass or a clear ball: hardly more than its outline."""
    side = max(30, round(size))
    shape = Image.new("L", (side * 2, side * 2), 0)
    draw, s = ImageDraw.Draw(shape), side * 2
    kind = one_of(rng, ("ball", "dish", "beaker", "flask", "ring"))
    if kind in GLASS:
        draw.polygon([(s * x, s * y) for x, y in GLASS[kind]], fill=255)
    else:
        flat = 0.3 if kind == "dish" else 0
        draw.ellipse((s * 0.05, s * (0.05 + flat), s * 0.95, s * (0.95 - flat)), fill=255)
    if kind == "ring":
        draw.ellipse((s * 0.14, s * 0.14, s * 0.86, s * 0.86), fill=0)
    shape = shape.resize((side, side), Image.BILINEAR)
    body = np.asarray(shape, np.float32)
    inner = np.asarray(shape.filter(ImageFilter.MinFilter(3)).filter(ImageFilter.GaussianBlur(side * 0.03)), np.float32)
    alpha = np.clip((body - inner) * 0.8 + body * rng.uniform(0.1, 0.25), 0, 255) * (body > 0)
    return solid(Image.fromarray(alpha.astype(np.uint8)), one_of(rng, ((120, 130, 140), (90, 95, 105), (160, 150, 120))))


def podium(rng: np.random.Generator, width: float, colour: Colour) -> Image.Image:
    """A round stand, to be put under the object."""
    w, h = max(20, round(width)), max(12, round(width * rng.uniform(0.2, 0.45)))
    top = h * rng.uniform(0.3, 0.5)
    ramp = np.abs(np.linspace(-0.6, 1, w))[None, :, None]
    body = np.broadcast_to(np.array(colour) * (0.95 - 0.45 * ramp), (h, w, 3))
    piece = Image.fromarray(body.astype(np.uint8))
    alpha = Image.new("L", (w, h), 0)
    draw = ImageDraw.Draw(alpha)
    draw.rectangle((0, top / 2, w, h - top / 2), fill=255)
    draw.ellipse((0, h - top, w - 1, h - 1), fill=255)
    draw.ellipse((0, 0, w - 1, top), fill=255)
    ImageDraw.Draw(piece).ellipse((0, 0, w - 1, top), fill=mix(colour, (255, 255, 255), 0.35))
    piece.putalpha(alpha)
    return piece


def lips(rng: np.random.Generator, size: float, colour: Colour) -> Image.Image:
    """Painted lips."""
    w, h = max(24, round(size)), max(12, round(size * rng.uniform(0.4, 0.6)))
    x = np.linspace(0, 1, 30)
    middle = 0.48 + 0.05 * np.sin(np.pi * x)
    upper = middle - 0.42 * np.sin(np.pi * x) ** 0.8 * (1 - 0.25 * np.exp(-((x - 0.5) / 0.08) ** 2))
    lower = middle + 0.46 * np.sin(np.pi * x) ** 0.8
    mask = Image.new("L", (w, h), 0)
    edge = [*zip(x * (w - 1), upper * h), *zip(x[::-1] * (w - 1), lower[::-1] * h)]
    ImageDraw.Draw(mask).polygon(edge, fill=255)
    piece = rounded(mask.filter(ImageFilter.GaussianBlur(0.8)), colour, h * 0.1, 0.45, rng.uniform(0.1, 0.9))
    parting = (*mix(colour, (30, 0, 0), 0.7), 255)
    ImageDraw.Draw(piece).line(list(zip(x * (w - 1), middle * h)), fill=parting, width=max(2, h // 16))
    return piece


def skin(rng: np.random.Generator, size: tuple[int, int], colour: Colour) -> Image.Image:
    """A close-up of skin with lips or swatches on it, as beside lipsticks."""
    tone = one_of(rng, SKIN[:4])
    ground = Image.new("L", size, 0)
    ImageDraw.Draw(ground).ellipse((-size[0] * 0.3, -size[1] * 0.3, size[0] * 1.2, size[1] * 1.2), fill=255)
    picture = Image.new("RGB", size, mix(tone, (60, 20, 10), 0.25))
    picture.paste(tone, mask=ground.filter(ImageFilter.GaussianBlur(min(size) * 0.15)))
    count = 1 if chance(rng, 0.6) else int(rng.integers(2, 5))
    for k in range(count):
        one = lips(rng, size[0] * rng.uniform(0.6, 1.1), colour) if chance(rng, 0.65) else swatch(rng, min(size) * 0.7, colour)
        one = fit(one, size[0] * 1.1, size[1] * 1.4 / count)
        picture.paste(one, ((size[0] - one.width) // 2, round(size[1] * (k + 0.5) / count - one.height / 2)), one)
        colour = mix(colour, any_colour(rng), 0.25)
    return picture


def finger(size: tuple[int, int], start: tuple[float, float], end: tuple[float, float], radius: float, tone: Colour,
           nail: Colour | None = None) -> Image.Image:
    """A capsule lit round; its nail is at the end."""
    mask = Image.new("L", size, 0)
    draw = ImageDraw.Draw(mask)
    draw.line((*start, *end), fill=255, width=round(2 * radius))
    for x, y in (start, end):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    piece = rounded(mask, tone, radius * 0.45, 0.4)
    if nail:
        r = radius * 0.55
        ImageDraw.Draw(piece).ellipse((end[0] - r, end[1] - r, end[0] + r, end[1] + r), fill=(*nail, 255))
    return piece


def reaching_hand(rng: np.random.Generator, size: float) -> Image.Image:
    """A forearm from below and a hand with its fingers up, spread, curled or pointing."""
    s = max(60, round(size)) * 2
    tone = one_of(rng, SKIN)
    nail = weighted(rng, {mix(tone, (255, 220, 220), 0.4): 0.6, (200, 20, 40): 0.25, (250, 240, 235): 0.15})
    piece = Image.new("RGBA", (s, s), (*tone, 0))
    arm = s * rng.uniform(0.1, 0.15)
    piece.alpha_composite(finger(piece.size, (s * 0.5, s * 1.2), (s * 0.5, s * 0.72), arm, tone))
    if chance(rng, 0.3):  # a sleeve
        ImageDraw.Draw(piece).rectangle((s * 0.5 - arm * 1.3, s * 0.87, s * 0.5 + arm * 1.3, s), fill=(*any_colour(rng), 255))
    spread, palm = rng.uniform(0.5, 1.3), s * 0.62
    for k in range(4):
        angle = (k - 1.5) * 0.22 * spread
        length = s * (0.4, 0.45, 0.43, 0.34)[k] * (1 if chance(rng, 0.65) else 0.6)
        base = (s * (0.5 + (k - 1.5) * 0.072), palm - s * 0.06)
        end = (base[0] + length * np.sin(angle), base[1] - length * np.cos(angle))
        piece.alpha_composite(finger(piece.size, base, end, s * 0.04, tone, nail))
    piece.alpha_composite(finger(piece.size, (s * 0.43, palm), (s * 0.57, palm), s * 0.13, tone))
    thumb = (s * rng.uniform(0.12, 0.25), palm - s * rng.uniform(0, 0.2))
    piece.alpha_composite(finger(piece.size, (s * 0.4, palm + s * 0.05), thumb, s * 0.048, tone, nail))
    piece = piece.resize((s // 2, s // 2), Image.BILINEAR)
    return ImageOps.mirror(piece) if chance(rng, 0.5) else piece


def holding_hand(rng: np.random.Generator, width: float) -> tuple[Image.Image, Image.Image]:
    """What is behind and what is before an object of that width: palm and forearm, and the fingers and thumb around it."""
    s = round(width * 2)
    size, tone, r = (2 * s, s * 2), one_of(rng, SKIN), max(4.0, min(width * 0.17, 17.0))
    nail = mix(tone, (255, 225, 225), 0.4) if chance(rng, 0.7) else any_colour(rng)
    left, right, top = s - width / 2, s + width / 2, s - 2.6 * r
    back = finger(size, (right + r, s), (right + r + width * rng.uniform(0.1, 0.6), 2 * s + 4 * r), 2.8 * r, tone)
    back.alpha_composite(finger(size, (left + r, s + r), (right, s), 2.6 * r, tone))
    front = Image.new("RGBA", size, (*tone, 0))
    reach = width * rng.uniform(0.2, 0.5)
    for k in range(4):
        y, tip = top + k * 1.75 * r, left + reach * (1, 1.15, 1.1, 0.8)[k]
        front.alpha_composite(finger(size, (left - r * 0.3, y + r * 0.5), (tip, y), r, tone, nail))
    thumb = (right - width * rng.uniform(0.1, 0.3), s - 2 * r)
    front.alpha_composite(finger(size, (right + r * 0.8, s + r), thumb, r * 1.15, tone, nail))
    if chance(rng, 0.5):
        return ImageOps.mirror(back), ImageOps.mirror(front)
    return back, front


def inset(rng: np.random.Generator, size: float, picture: Image.Image) -> Image.Image:
    """A small picture in a circle or a rounded rectangle, with a rim."""
    w = max(24, round(size))
    h = w if chance(rng, 0.6) else round(w * rng.uniform(0.7, 1.4))
    piece = ImageOps.fit(picture, (w, h)).convert("RGBA")
    shape, radius = Image.new("L", (w, h), 0), one_of(rng, (0, w // 8, min(w, h) // 2))
    ImageDraw.Draw(shape).rounded_rectangle((0, 0, w - 1, h - 1), radius, fill=255)
    rim = one_of(rng, ((255, 255, 255), (60, 60, 60), any_colour(rng)))
    ImageDraw.Draw(piece).rounded_rectangle((0, 0, w - 1, h - 1), radius, outline=rim, width=max(1, w // 30))
    piece.putalpha(shape)
    return piece


def thing(rng: np.random.Generator, size: float, colour: Colour) -> Image.Image:
    """Any one of the small things."""
    kind = weighted(rng, {leaf: 0.12, sprig: 0.18, flower: 0.16, slice_of_fruit: 0.14, berry: 0.1, glass: 0.14, swatch: 0.16})
    return swatch(rng, size, colour) if kind is swatch else kind(rng, size)


def decorate(rng: np.random.Generator, canvas: Canvas, colour: Colour, supply: Supply) -> None:
    """Strews one kind of thing or two around the object, before it or behind: from a single petal to a heap of fruit."""
    for _ in range(1 if chance(rng, 0.7) else 2):
        kind = weighted(rng, {"thing": 0.38, "ingredient": 0.22 if supply.ingredients else 0, "drops": 0.1, "scene": 0.12,
                              "skin": 0.12})
        count = int(rng.integers(1, 4)) if kind in ("scene", "skin", "drops") else int(rng.integers(1, 7))
        like, behind, box = int(rng.integers(1 << 30)), chance(rng, 0.45), canvas.object_box()
        for k in range(count):
            size = min(canvas.image.size) * rng.uniform(0.16, 0.4) * (1.3 if count == 1 else 1)
            own = np.random.default_rng(like if chance(rng, 0.7) else like + k)  # mostly several of the same
            canvas.put_centred(prop(own, kind, size, colour, supply), *around(rng, canvas, box, size), "extra", behind)


def around(rng: np.random.Generator, canvas: Canvas, box: Box, size: float) -> tuple[float, float]:
    """The centre for something of that size: half over the rim of the box, or beside it, pulled back into the frame."""
    angle, off = rng.uniform(0, 2 * np.pi), size * rng.uniform(0, 0.4)
    x = box[0] + box[2] / 2 + (box[2] / 2 + off) * np.cos(angle)
    y = box[1] + box[3] / 2 + (box[3] / 2 + off) * np.sin(angle)
    return float(np.clip(x, size * 0.3, canvas.width - size * 0.3)), float(np.clip(y, size * 0.3, canvas.height - size * 0.3))


def prop(rng: np.random.Generator, kind: str, size: float, colour: Colour, supply: Supply) -> Image.Image:
    if kind == "drops":
        return drops(rng, size * 2, colour)
    if kind == "ingredient":
        return turned(fit(one_of(rng, supply.ingredients), size, size), rng.uniform(-30, 30))
    if kind == "skin":
        return inset(rng, size * 1.2, skin(rng, (round(size * 1.2), round(size * 0.9)), colour))
    if kind == "scene":
        return inset(rng, size * 1.3, photo_scene(rng, (round(size), round(size)), supply.scenes))
    return thing(rng, size, colour)


def reach_in(rng: np.random.Generator, canvas: Canvas) -> None:
    """A hand from an edge of the frame towards its middle."""
    hand, side = reaching_hand(rng, max(canvas.image.size) * rng.uniform(0.35, 0.7)), int(rng.integers(4))
    hand = turned(hand, 90 * side)  # from below, from the right, from above, from the left
    x, y = (canvas.width - hand.width) * rng.uniform(0.2, 0.8), (canvas.height - hand.height) * rng.uniform(0.2, 0.8)
    x = {1: canvas.width - hand.width, 3: 0}.get(side, x)
    y = {0: canvas.height - hand.height, 2: 0}.get(side, y)
    canvas.put(hand, x, y, "extra")


def hold(rng: np.random.Generator, canvas: Canvas) -> None:
    """A hand around the lower part of the object, where that is narrow enough to be held."""
    x, y, w, h = canvas.object_box()
    if w > 0.5 * canvas.width:
        reach_in(rng, canvas)
        return
    at = (x + w / 2, y + h * rng.uniform(0.55, 0.85))
    back, front = holding_hand(rng, w * 0.9)
    canvas.put_centred(back, *at, "extra", behind=True)
    canvas.put_centred(front, *at, "extra")


def raise_up(rng: np.random.Generator, canvas: Canvas, colour: Colour) -> None:
    """A podium under the object."""
    x, y, w, h = canvas.object_box()
    colour = mix(colour, (240, 240, 240), rng.uniform(0.3, 1))
    stand = podium(rng, min(w * rng.uniform(1.2, 2), canvas.width * 0.95), colour)
    canvas.put(stand, x + w / 2 - stand.width / 2, y + h - stand.height * 0.3, "extra", behind=True)
