"""What cosmetics are packed in: twelve shapes, each with its own proportions and colours every time, and how they stand."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw

from canvas import Colour, chance, mix, one_of, weighted
from label import METALS, PRINT, WHITES, column, ornament, readable, wrap
from loft import Part, Ring, around, closed, rod, turned_by

DARKS = ((18, 18, 20), (35, 36, 42), (60, 20, 30), (20, 35, 70), (30, 60, 45), (70, 45, 35))
PASTELS = ((246, 208, 214), (250, 226, 206), (206, 228, 240), (214, 234, 214), (228, 216, 242), (250, 240, 200),
           (226, 204, 186))
VIVIDS = ((230, 60, 110), (240, 130, 30), (40, 130, 190), (70, 160, 80), (130, 70, 160), (210, 30, 40), (250, 200, 40),
          (0, 150, 150))
AMBERS = ((150, 72, 14), (120, 52, 10), (170, 95, 25))
LIQUIDS = ((250, 214, 120), (245, 180, 170), (190, 225, 240), (225, 235, 190), (240, 160, 90), (235, 200, 225), (246, 232, 200))
LIPS = ((170, 20, 40), (215, 60, 80), (200, 100, 95), (120, 30, 50), (230, 110, 120), (180, 85, 70))
POWDERS = ((238, 205, 178), (222, 180, 146), (230, 150, 150), (196, 146, 110), (246, 222, 204), (200, 110, 110))


@dataclass
class Look:
    """The colours of one product."""

    body: Colour
    cap: Colour
    accent: Colour
    liquid: Colour
    skin: str  # material of the body
    cap_skin: str


def look(rng: np.random.Generator) -> Look:
    bodies = {WHITES: 0.42, DARKS: 0.13, PASTELS: 0.23, VIVIDS: 0.17, METALS: 0.05}
    body, accent = one_of(rng, weighted(rng, bodies)), one_of(rng, weighted(rng, {VIVIDS: 0.55, DARKS: 0.3, METALS: 0.15}))
    cap_kind = weighted(rng, {"white": 0.32, "same": 0.2, "dark": 0.16, "metal": 0.22, "accent": 0.1})
    cap = {"white": one_of(rng, WHITES), "same": body, "dark": one_of(rng, DARKS), "metal": one_of(rng, METALS),
           "accent": accent}
    skin = weighted(rng, {"gloss": 0.45, "satin": 0.4, "matt": 0.15})
    return Look(body, cap[cap_kind], accent, one_of(rng, LIQUIDS), "metal" if body in METALS and chance(rng, 0.5) else skin,
                "metal" if cap_kind == "metal" else weighted(rng, {"gloss": 0.6, "satin": 0.4}))


def bodied(rng: np.random.Generator, colours: Look, rings: list[Ring], square: float = 2.0, fillet: float = 0.02) -> Part:
    """A printed, opaque body."""
    width, depth = max(r[0] for r in rings), max(r[1] for r in rings)
    height = max(r[2] for r in rings) - min(r[2] for r in rings)
    front = width * (1.35 if square < 3 else 1.6)
    picture = wrap(rng, colours.accent, colours.body, (around(width, depth, square), height), front)
    return Part(rings, colours.skin, picture=picture, square=square, fillet=fillet)


def glazed(rng: np.random.Generator, colours: Look, rings: list[Ring], square: float = 2.0, fillet: float = 0.03,
           full: bool = False) -> list[Part]:
    """A body of glass, its content, and a label stuck or printed on. The third ring is where the straight part ends."""
    (width, depth, low), high = rings[1][:3], rings[2][2]
    wall, floor = width * rng.uniform(0.05, 0.14), (high - low) * rng.uniform(0.03, 0.1)
    amber = chance(rng, 0.25)
    pale = mix(colours.accent, (255, 255, 255), 0.55)
    tint = one_of(rng, AMBERS) if amber else pale if chance(rng, 0.25) else (250, 252, 252)
    filled = low + floor + (high - low - floor) * (0.97 if full else rng.uniform(0.7, 0.97))
    content = mix(tint, (20, 8, 0), 0.4) if amber else mix(tint, colours.liquid, 0.75)
    inner = closed((width - wall, depth - wall, low + floor), (width - wall, depth - wall, filled))
    seen_through = 0.0 if full or amber else rng.uniform(0.2, 0.7)
    parts = [Part(rings, "glass", tint, square=square, fillet=fillet, clear=0.9),
             Part(inner, "liquid", content, square=square, fillet=fillet, clear=seen_through)]
    round_about, front = around(width, depth, square), width * (1.4 if square < 3 else 1.5)
    share = min(1.0, front / round_about * rng.uniform(1.0, 1.15))
    bottom, top = low + (high - low) * rng.uniform(0.1, 0.25), low + (high - low) * rng.uniform(0.72, 0.9)
    papers = (*WHITES, mix(colours.accent, (255, 255, 255), 0.8), colours.body)
    ground = (0, 0, 0) if amber and chance(rng, 0.5) else one_of(rng, papers)
    picture = wrap(rng, colours.accent, ground, (share * round_about, top - bottom), front * 0.86)
    if chance(rng, 0.45):  # printed on the glass itself
        picture = Image.new("RGBA", picture.size, (255, 255, 255, 0))
        inks = readable(rng, content, colours.accent)
        column(rng, picture, (picture.width * 0.1, 4, picture.width * 0.9, picture.height - 4), inks)
    out = 1.006
    label = [(width * out, depth * out, bottom), (width * out, depth * out, top)]
    return [*parts, Part(label, "matt", picture=picture, square=square, span=(0.5 - share / 2, 0.5 + share / 2))]


# Products. All stand on y = 0 and are about 1 high or wide.

def jar(rng: np.random.Generator, colours: Look) -> list[Part]:
    r, h, lid = 0.5, rng.uniform(0.34, 0.75), rng.uniform(0.16, 0.34)
    narrow = rng.uniform(0.82, 1.0)
    rings = closed((r * narrow, r * narrow, 0), (r, r, h))
    body = glazed(rng, colours, closed((r, r, 0), (r, r, h)), full=True) if chance(rng, 0.35) else [
        bodied(rng, colours, rings, fillet=rng.uniform(0.02, 0.15))]
    wide = r * rng.uniform(0.95, 1.03)
    top = Part(rod(wide, h + 0.02, h + 0.02 + lid, wide * rng.uniform(0.95, 1)), colours.cap_skin, colours.cap,
               fillet=rng.uniform(0.01, 0.08))
    parts = [*body, Part(rod(r * 0.9, h - 0.01, h + 0.03), "matt", mix(colours.cap, (0, 0, 0), 0.5)), top]
    if chance(rng, 0.25):
        out = wide * 1.004
        parts.append(Part([(out, out, h + 0.03), (out, out, h + 0.06)], "metal", one_of(rng, METALS)))
    return parts


def tube(rng: np.random.Generator, colours: Look) -> list[Part]:
    r, cap, h = rng.uniform(0.15, 0.24), rng.uniform(0.1, 0.28), 1.0
    wide, rim = r * rng.uniform(1.2, 1.45), rng.uniform(0.55, 1.0)
    rings = [(r * 0.6, r * 0.6, cap), (r, r, cap + 0.03), (r * 1.05, r * 0.95, 0.45), (wide, 0.02, 0.95), (wide, 0.014, h),
             (0, 0, h)]
    body = bodied(rng, colours, rings, fillet=0.03)
    draw = ImageDraw.Draw(body.picture)
    for y in np.linspace(4, PRINT * 0.05, 5):
        draw.line((0, y, body.picture.width, y), fill=mix(colours.body, (0, 0, 0), 0.14), width=2)
    return [body, Part(rod(r * rim, 0, cap, r * rim * rng.uniform(0.95, 1.02)), colours.cap_skin, colours.cap, fillet=0.02)]


def flask(rng: np.random.Generator) -> tuple[float, float, float]:
    """Half width, half depth and squareness of a bottle's body."""
    if chance(rng, 0.6):
        r = rng.uniform(0.15, 0.27)
        return r, r, 2.0
    w = rng.uniform(0.2, 0.32)
    return w, w * rng.uniform(0.5, 0.8), one_of(rng, (2.0, 2.6, 4.0))


def shoulders(rng: np.random.Generator, w: float, d: float, neck: float, top: float, high: float) -> list[Ring]:
    return closed((w, d, 0), (w, d, top), (neck, neck, high))


def bottle(rng: np.random.Generator, colours: Look) -> list[Part]:
    w, d, square = flask(rng)
    cap, h = rng.uniform(0.1, 0.28), rng.uniform(0.65, 0.8)
    neck = d * rng.uniform(0.45, 0.95)
    rings = shoulders(rng, w, d, neck, h - rng.uniform(0.02, 0.15), h)
    soft = rng.uniform(0.02, 0.09)
    body = glazed(rng, colours, rings, square, soft) if chance(rng, 0.3) else [bodied(rng, colours, rings, square, soft)]
    return [*body, Part(rod(neck * 0.85, h - 0.01, h + 0.03), "matt", mix(colours.cap, (0, 0, 0), 0.4)),
            Part(rod(neck * rng.uniform(0.95, 1.02), h + 0.012, h + cap), colours.cap_skin, colours.cap,
                 fillet=rng.uniform(0.01, 0.05))]


def pump(rng: np.random.Generator, colours: Look) -> list[Part]:
    w, d, square = flask(rng)
    h, neck = rng.uniform(0.6, 0.72), d * rng.uniform(0.4, 0.6)
    rings = shoulders(rng, w, d, neck, h - rng.uniform(0.03, 0.12), h)
    body = glazed(rng, colours, rings, square, 0.06) if chance(rng, 0.3) else [
        bodied(rng, colours, rings, square, rng.uniform(0.03, 0.09))]
    collar, head = h + rng.uniform(0.05, 0.09), h + rng.uniform(0.16, 0.22)
    reach, thick = rng.uniform(0.12, 0.24), rng.uniform(0.022, 0.032)
    side = one_of(rng, (-1, 1))
    nozzle = Part(rod(thick, 0, reach, thick * 0.7), colours.cap_skin, colours.cap, fillet=0.01,
                  turn=turned_by(roll=-side * rng.uniform(86, 100)), shift=(0, head + 0.03, 0))
    return [*body, Part(rod(neck * 1.05, h + 0.005, collar), colours.cap_skin, colours.cap, fillet=0.012),
            Part(rod(neck * 0.35, collar, head), "satin", mix(colours.cap, (0, 0, 0), 0.12)),
            Part(rod(neck * 0.75, head, head + 0.055, neck * 0.7), colours.cap_skin, colours.cap, fillet=0.015), nozzle]


def dropper(rng: np.random.Generator, colours: Look) -> list[Part]:
    r, h = rng.uniform(0.16, 0.25), rng.uniform(0.5, 0.62)
    neck = r * rng.uniform(0.45, 0.62)
    rings = shoulders(rng, r, r, neck, h - rng.uniform(0.04, 0.1), h)
    body = glazed(rng, colours, rings, 2, 0.05) if chance(rng, 0.75) else [bodied(rng, colours, rings, 2, 0.05)]
    collar, bulb = h + rng.uniform(0.1, 0.16), neck * rng.uniform(0.6, 0.75)
    rubber = one_of(rng, ((20, 20, 22), (245, 245, 243), (245, 245, 243), colours.cap))
    top = closed((bulb, bulb, collar), (bulb, bulb, collar + 0.09), (bulb * 0.7, bulb * 0.7, collar + 0.24))
    return [*body, Part(rod(neck * 1.08, h + 0.005, collar), colours.cap_skin, colours.cap, fillet=0.01),
            Part(top, "satin", rubber, fillet=0.04)]


def spray(rng: np.random.Generator, colours: Look) -> list[Part]:
    """A can with a domed shoulder under a cap, or with a bare spray head."""
    r, h = rng.uniform(0.12, 0.19), rng.uniform(0.66, 0.76)
    body = bodied(rng, colours, closed((r, r, 0), (r, r, h), (r * 0.75, r * 0.75, h + 0.05)), fillet=0.03)
    if chance(rng, 0.6):
        cap = rod(r * rng.uniform(0.9, 1.0), h + 0.015, 1.0, r * rng.uniform(0.7, 0.95))
        return [body, Part(cap, colours.cap_skin, colours.cap, fillet=0.05)]
    return [body, Part(rod(r * 0.8, h + 0.03, h + 0.08), "metal", METALS[1], fillet=0.02),
            Part(rod(r * 0.42, h + 0.07, h + 0.17, r * 0.36), colours.cap_skin, colours.cap, fillet=0.012)]


def perfume(rng: np.random.Generator, colours: Look) -> list[Part]:
    w, h = rng.uniform(0.25, 0.42), rng.uniform(0.55, 0.7)
    square = one_of(rng, (2.0, 5.0, 14.0, 14.0))
    d = w if square == 2.0 else w * rng.uniform(0.35, 0.7)
    neck = min(w, d) * rng.uniform(0.4, 0.6)
    body = glazed(rng, colours, shoulders(rng, w, d, neck, h - 0.03, h), square, 0.025)
    cap = min(d * 0.95, neck * rng.uniform(1.1, 1.6))
    skin, colour = one_of(rng, ((colours.cap_skin, colours.cap), ("metal", one_of(rng, METALS)), ("gloss", DARKS[0])))
    return [*body, Part(rod(neck * 0.9, h - 0.01, h + 0.06), "metal", one_of(rng, METALS), fillet=0.01),
            Part(rod(cap, h + 0.045, h + rng.uniform(0.2, 0.36)), skin, colour, square=one_of(rng, (2.0, 10.0)), fillet=0.02)]


def lipstick(rng: np.random.Generator, colours: Look) -> list[Part]:
    r, square = rng.uniform(0.09, 0.125), one_of(rng, (2.0, 2.0, 8.0))
    base, inner = rng.uniform(0.3, 0.42), rng.uniform(0.12, 0.22)
    bullet, slope = r * 0.66, rng.uniform(0.7, 1.4) * one_of(rng, (-1, 1))
    shade, top = one_of(rng, LIPS), base + inner + rng.uniform(0.16, 0.24)
    case = one_of(rng, (DARKS[0], colours.cap, colours.body))
    metal = one_of(rng, METALS[:4])
    stick = closed((bullet, bullet, base + inner - 0.02), (bullet, bullet, top - bullet * abs(slope)),
                   (bullet * 0.8, bullet * 0.8, top, slope))
    return [Part(closed((r, r, 0), (r, r, base)), "metal" if case in METALS else "gloss", case, square=square, fillet=0.012),
            Part(rod(r * 0.97, base - 0.05, base + 0.015), "metal", metal, square=square, fillet=0.006),
            Part(rod(r * 0.8, base, base + inner), "metal", metal, fillet=0.008),
            Part(stick, "satin", shade, fillet=0.02)]


def wand(rng: np.random.Generator, colours: Look) -> list[Part]:
    """Lip gloss, mascara or nail polish: a slim body and a long cap."""
    r, square = rng.uniform(0.06, 0.1), one_of(rng, (2.0, 2.0, 6.0))
    split = rng.uniform(0.4, 0.6)
    if chance(rng, 0.6):
        paint = replace(colours, liquid=one_of(rng, LIPS), accent=one_of(rng, LIPS))
        body = glazed(rng, paint, closed((r, r, 0), (r, r, split)), square, 0.015, full=True)
    else:
        body = [bodied(rng, colours, closed((r, r, 0), (r, r, split)), square, 0.015)]
    return [*body, Part(rod(r * 0.75, split - 0.01, split + 0.03), "metal", one_of(rng, METALS)),
            Part(rod(r * rng.uniform(0.85, 1), split + 0.01, 1.0, r * rng.uniform(0.75, 1)), colours.cap_skin, colours.cap,
                 square=square, fillet=0.015)]


def carton(rng: np.random.Generator, colours: Look) -> list[Part]:
    w = rng.uniform(0.17, 0.4)
    d = w * rng.uniform(0.4, 1.0)
    body = bodied(rng, colours, closed((w, d, 0), (w, d, 1.0)), 40.0, 0.006)
    body.material = one_of(rng, ("satin", "matt"))
    return [body]


def sachet(rng: np.random.Generator, colours: Look) -> list[Part]:
    w, thick = rng.uniform(0.3, 0.42), rng.uniform(0.03, 0.07)
    rings = [(0, 0, 0), (w, 0.004, 0), (w, 0.006, 0.04), (w * 0.985, thick, 0.2), (w * 0.985, thick, 0.8),
             (w, 0.006, 0.96), (w, 0.004, 1.0), (0, 0, 1.0)]
    return [bodied(rng, colours, rings, 2.6, 0.05)]


def compact(rng: np.random.Generator, colours: Look) -> list[Part]:
    """A flat tin seen from above: its lid, or the powder in it."""
    r, h, square = 0.5, rng.uniform(0.1, 0.22), one_of(rng, (2.0, 2.0, 2.0, 5.0))
    case = colours.cap if chance(rng, 0.5) else colours.body
    skin = "metal" if case in METALS else colours.cap_skin if colours.cap_skin != "metal" else "gloss"
    powder = chance(rng, 0.5)
    ground = one_of(rng, POWDERS) if powder else case
    inside = r * rng.uniform(0.8, 0.93)
    picture = Image.new("RGBA", (PRINT, PRINT), (*ground, 255))
    inks = (mix(ground, (0, 0, 0), 0.16),) * 2 if powder else readable(rng, ground, colours.accent)
    edge = PRINT * rng.uniform(0.26, 0.34)
    column(rng, picture, (PRINT / 2 - edge, PRINT * 0.3, PRINT / 2 + edge, PRINT * 0.75), inks)
    if powder and chance(rng, 0.5):
        ornament(rng, ImageDraw.Draw(picture), PRINT / 2, PRINT / 2, PRINT * 0.4, mix(ground, (0, 0, 0), 0.08))
    disc = [(inside, inside, h + 0.003), (0, 0, h + (0.004 if powder else 0.012))]
    return [Part(closed((r, r, 0), (r, r, h)), skin, case, square=square, fillet=rng.uniform(0.015, 0.06)),
            Part(rod(r * 1.005, h * 0.45, h * 0.5), "matt", mix(case, (0, 0, 0), 0.5), square=square, fillet=0.002),
            Part(rod(inside * 1.03, h - 0.01, h + 0.002), *(("metal", METALS[1]) if powder else (skin, case)), square=square,
                 fillet=0.002),
            Part(disc, "matt" if powder else skin, picture=picture, square=square, flat=True)]


Shape = Callable[[np.random.Generator, Look], "list[Part]"]
SHAPES: dict[Shape, float] = {
    jar: 0.15, tube: 0.17, bottle: 0.14, pump: 0.1, dropper: 0.08, spray: 0.06, perfume: 0.08, lipstick: 0.05, wand: 0.05,
    carton: 0.07, sachet: 0.02, compact: 0.05,
}


def pose(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """How the product is turned before the camera."""
    if shape is compact:
        return turned_by(rng.uniform(35, 88), rng.uniform(-15, 15), rng.uniform(-12, 12))
    pitch = rng.uniform(0, 1) ** 1.5 * (32 if shape is jar else 16)
    yaw = rng.uniform(-42, 42) if shape is carton else rng.normal(0, 10)
    if shape in (sachet, tube):
        pitch, yaw = pitch * 0.4, yaw * 0.8
    lying = {0: 0.9, rng.uniform(-25, 25): 0.06, one_of(rng, (-1, 1)) * rng.uniform(60, 100): 0.04}
    return turned_by(pitch, yaw, weighted(rng, lying))
