"""What is behind the object: the white of a clean card, everything that is not white, and the object's shadows."""
from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from canvas import Canvas, Colour, any_colour, chance, mix, one_of, weighted

WHITE_FROM = 243  # the darkest that still counts as white
GREY_TO = 229  # the lightest grey that does not

Size = tuple[int, int]


def white(rng: np.random.Generator, size: Size) -> Image.Image:
    """White, or the off-white of an honest studio photo, maybe with a soft fall-off towards an edge or the corners."""
    level = 255 if chance(rng, 0.6) else int(rng.integers(WHITE_FROM, 256))
    if chance(rng, 0.75):
        return Image.new("RGB", size, (level, level, level))
    fall = level - (level - WHITE_FROM) * (radial(rng, size) if chance(rng, 0.4) else ramp(rng, size))
    return Image.fromarray(fall.astype(np.uint8)).convert("RGB")


def not_white_colour(rng: np.random.Generator) -> Colour:
    """Grey up to GREY_TO, or any colour down to pastel that is clearly below white in one channel."""
    if chance(rng, 0.3):
        grey = int(rng.integers(200 if chance(rng, 0.5) else 110, GREY_TO + 1))
        return mix((grey, grey, grey), any_colour(rng), 0.04)
    while True:
        colour = any_colour(rng) if chance(rng, 0.45) else tuple(int(c) for c in rng.integers(185, 256, 3))
        if min(colour) < GREY_TO:
            return colour


def ramp(rng: np.random.Generator, size: Size) -> np.ndarray:
    """0 to 1 in a line across the frame, in any direction."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[0:1:size[1] * 1j, 0:1:size[0] * 1j]
    values = x * np.cos(angle) + y * np.sin(angle)
    return (values - values.min()) / max(float(np.ptp(values)), 1e-6)


def radial(rng: np.random.Generator, size: Size) -> np.ndarray:
    """0 near the middle to 1 in the corners."""
    y, x = np.mgrid[-1:1:size[1] * 1j, -1:1:size[0] * 1j]
    values = np.hypot(x - rng.uniform(-0.4, 0.4), y - rng.uniform(-0.4, 0.4)) ** rng.uniform(1, 2.5)
    return values / values.max()


def noise(rng: np.random.Generator, size: Size, cells: tuple[int, int]) -> np.ndarray:
    """Smooth noise, 0 to 1, of that many cells across and down."""
    small = Image.fromarray(rng.random((cells[1], cells[0]), np.float32))
    return np.clip(np.asarray(small.resize(size, Image.BICUBIC)), 0, 1)


def blend(first: Colour, second: Colour, share: np.ndarray) -> Image.Image:
    """From the first colour where share is 0 to the second where it is 1."""
    start = np.array(first, np.float32)
    values = start + share[..., None].astype(np.float32) * (np.array(second, np.float32) - start)
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def plain(rng: np.random.Generator, size: Size) -> Image.Image:
    """One colour, half of the time lit from a side."""
    colour = not_white_colour(rng)
    if chance(rng, 0.5):
        return Image.new("RGB", size, colour)
    light = ramp(rng, size) if chance(rng, 0.5) else radial(rng, size)
    return blend(colour, mix(colour, (0, 0, 0), rng.uniform(0.05, 0.4)), light)


def gradient(rng: np.random.Generator, size: Size) -> Image.Image:
    second = not_white_colour(rng) if chance(rng, 0.6) else (250, 250, 250)
    return blend(not_white_colour(rng), second, ramp(rng, size) if chance(rng, 0.6) else radial(rng, size))


def vignette(rng: np.random.Generator, size: Size) -> Image.Image:
    """White in the middle only: the light does not reach the corners."""
    edge = int(rng.integers(120, 205))
    return blend((250, 250, 250), mix((edge, edge, edge), any_colour(rng), 0.08), radial(rng, size) ** rng.uniform(0.5, 0.8))


def wall_and_floor(rng: np.random.Generator, size: Size) -> Image.Image:
    """Two tones that meet in a line, sharp or soft."""
    wall = plain(rng, size)
    tone = int(rng.integers(80, GREY_TO))
    floor = wood(rng, size) if chance(rng, 0.4) else blend((tone, tone, tone), not_white_colour(rng), ramp(rng, size) * 0.6)
    line = int(size[1] * rng.uniform(0.5, 0.88))
    cut = Image.new("L", size, 0)
    ImageDraw.Draw(cut).rectangle((0, line, *size), fill=255)
    wall.paste(floor, mask=cut.filter(ImageFilter.GaussianBlur(rng.choice([0.5, 3, 12]))))
    return wall


def wood(rng: np.random.Generator, size: Size) -> Image.Image:
    """Planks: long grain along one direction, dark joints across the other."""
    along = size[::-1] if chance(rng, 0.5) else size
    grain = 0.6 * noise(rng, along, (3, 60)) + 0.4 * noise(rng, along, (6, 150))
    light = mix((222, 184, 135), one_of(rng, ((120, 72, 40), (225, 215, 200), (160, 160, 155))), rng.random())
    image = blend(light, mix(light, (60, 35, 15), 0.55), grain)
    planks, draw = int(rng.integers(3, 9)), ImageDraw.Draw(image)
    for k in range(1, planks):
        y = along[1] * k // planks
        draw.line((0, y, along[0], y), fill=mix(light, (30, 20, 10), 0.7), width=1)
    return image if along == size else image.transpose(Image.ROTATE_90)


def fabric(rng: np.random.Generator, size: Size) -> Image.Image:
    """A fine weave over soft folds."""
    y, x = np.mgrid[0:size[1], 0:size[0]]
    period = rng.uniform(2.5, 6)
    weave = 0.5 + 0.25 * np.sin(2 * np.pi * x / period) + 0.25 * np.sin(2 * np.pi * y / period)
    colour = not_white_colour(rng)
    share = 0.35 * weave + 0.65 * noise(rng, size, (int(rng.integers(3, 7)), int(rng.integers(3, 7))))
    return blend(colour, mix(colour, (0, 0, 0), rng.uniform(0.2, 0.5)), share)


def marble(rng: np.random.Generator, size: Size) -> Image.Image:
    """Veins where a wave bent by noise crosses zero."""
    bend = 5 * noise(rng, size, (4, 4)) + 1.5 * noise(rng, size, (14, 14))
    veins = 1 - np.abs(np.sin(np.pi * (ramp(rng, size) * rng.uniform(1, 3) + bend)))
    stone = int(rng.integers(190, GREY_TO)) if chance(rng, 0.75) else int(rng.integers(30, 70))
    vein = (110, 110, 115) if stone > 100 else (220, 215, 200)
    return blend(mix((stone, stone, stone), any_colour(rng), 0.05), vein, veins ** 4 * 0.8)


def rough(rng: np.random.Generator, size: Size) -> Image.Image:
    """Concrete, plaster, sand, asphalt."""
    cells = int(rng.integers(4, 60))
    share = 0.6 * noise(rng, size, (cells, cells)) + 0.4 * rng.random((size[1], size[0]), np.float32)
    colour = not_white_colour(rng)
    return blend(colour, mix(colour, (0, 0, 0), rng.uniform(0.15, 0.5)), share)


def pattern(rng: np.random.Generator, size: Size) -> Image.Image:
    """Stripes, checks, tiles or rays."""
    y, x = np.mgrid[0:size[1], 0:size[0]]
    step, angle = rng.uniform(12, 70), one_of(rng, (0, np.pi / 2, np.pi / 4, -np.pi / 4))
    u = (x * np.cos(angle) + y * np.sin(angle)) / step
    v = (y * np.cos(angle) - x * np.sin(angle)) / step
    rays = np.arctan2(y - size[1] / 2, x - size[0] / 2) * rng.integers(4, 12) / np.pi
    share = {"stripes": u % 1 < 0.5, "checks": (u % 2 < 1) ^ (v % 2 < 1), "tiles": (u % 1 < 0.08) | (v % 1 < 0.08),
             "rays": rays % 1 < 0.5}[one_of(rng, ("stripes", "checks", "tiles", "rays"))]
    colour = not_white_colour(rng)
    return blend(colour, one_of(rng, (mix(colour, (255, 255, 255), 0.6), mix(colour, (0, 0, 0), 0.3))), share)


DRAWN = {plain: 0.34, gradient: 0.16, vignette: 0.06, wall_and_floor: 0.14, wood: 0.08, fabric: 0.06, marble: 0.05, rough: 0.06,
         pattern: 0.05}


def drawn(rng: np.random.Generator, size: Size) -> Image.Image:
    return weighted(rng, DRAWN)(rng, size)


def photo_patch(rng: np.random.Generator, size: Size, photos: list[Image.Image]) -> Image.Image:
    """A surface out of a photo, or the photo far out of focus: nothing in it can be told for an object."""
    photo = one_of(rng, photos)
    if chance(rng, 0.5):
        blurred = ImageOps.fit(photo, (size[0] // 4, size[1] // 4)).filter(ImageFilter.GaussianBlur(rng.uniform(2.5, 5)))
        return blurred.resize(size, Image.BICUBIC)
    share, right, low = rng.uniform(0.2, 0.35), chance(rng, 0.5), chance(rng, 0.5)  # what is photographed is in the middle
    w, h = int(photo.width * share), int(photo.height * share)
    x, y = (photo.width - w) * right, (photo.height - h) * low
    return ImageOps.fit(photo.crop((x, y, x + w, y + h)), size).filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 2.5)))


def photo_scene(rng: np.random.Generator, size: Size, photos: list[Image.Image]) -> Image.Image:
    """A photo of a place as it is, with the things in it: extra objects."""
    photo = ImageOps.fit(one_of(rng, photos), size, centering=(rng.random(), rng.random()))
    return photo.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 1.5))) if chance(rng, 0.4) else photo


def frame(rng: np.random.Generator, canvas: Canvas) -> None:
    """A coloured border round the card, square or rounded."""
    width = int(min(canvas.image.size) * rng.uniform(0.03, 0.09))
    hole = Image.new("L", canvas.image.size, 255)
    box = (width, width, canvas.width - width - 1, canvas.height - width - 1)
    ImageDraw.Draw(hole).rounded_rectangle(box, radius=width * one_of(rng, (0, 0, 1, 2)), fill=0)
    border = drawn(rng, canvas.image.size) if chance(rng, 0.3) else Image.new("RGB", canvas.image.size, not_white_colour(rng))
    border.putalpha(hole)
    canvas.put(border, 0, 0)


def dimmed(rng: np.random.Generator, image: Image.Image) -> Image.Image:
    """The whole photo under-exposed or in coloured light, so that its white is grey or tinted."""
    tone = np.full(3, rng.uniform(0.6, 0.88)) if chance(rng, 0.5) else np.array(not_white_colour(rng)) / 255
    return image.point([int(v * t) for t in np.maximum(tone, 0.45) for v in range(256)])


def contact_shadow(rng: np.random.Generator, canvas: Canvas, piece: Image.Image, x: float, y: float) -> None:
    """A soft dark line where the object stands."""
    depth = max(3, int(0.05 * piece.height))
    shade = Image.new("L", (piece.width + 6 * depth, 6 * depth), 0)
    box = (3 * depth, 2 * depth, 3 * depth + piece.width, 4 * depth)
    ImageDraw.Draw(shade).ellipse(box, fill=int(rng.integers(40, 130)))
    canvas.darken(shade.filter(ImageFilter.GaussianBlur(depth * 0.7)), x - 3 * depth, y + piece.height - 3 * depth)


def cast_shadow(rng: np.random.Generator, canvas: Canvas, piece: Image.Image, x: float, y: float) -> None:
    """The object's own outline, flattened, leaning to a side and blurred, from its foot up the ground behind it."""
    alpha = piece.getchannel("A").resize((max(2, piece.width // 2), max(2, piece.height // 2)))
    squash, lean = rng.uniform(0.25, 0.9), rng.uniform(-0.8, 0.8)
    height = max(2, int(alpha.height * squash))
    pad = int(alpha.height * abs(lean)) + 8
    size = (alpha.width + 2 * pad, height + 8)
    # Row y of the shadow comes from row y / squash of the outline, moved by lean for each row above the foot.
    shade = alpha.transform(size, Image.AFFINE, (1, lean, -pad - lean * height, 0, 1 / squash, 0), Image.BILINEAR)
    shade = shade.point(lambda a, s=rng.uniform(0.1, 0.35): int(a * s)).filter(ImageFilter.GaussianBlur(rng.uniform(1, 5)))
    shade = shade.resize((size[0] * 2, size[1] * 2))
    canvas.darken(shade, x - 2 * pad, y + piece.height - 2 * height)


def reflection(rng: np.random.Generator, canvas: Canvas, piece: Image.Image, x: float, y: float) -> None:
    """The object upside down below its foot, fading out within a quarter of its height."""
    depth = max(2, int(piece.height * rng.uniform(0.08, 0.25)))
    mirrored = ImageOps.flip(piece.crop((0, piece.height - depth, piece.width, piece.height)))
    fade = np.linspace(rng.uniform(0.15, 0.4), 0, depth, dtype=np.float32)[:, None]
    mirrored.putalpha(Image.fromarray((np.asarray(mirrored.getchannel("A")) * fade).astype(np.uint8)))
    canvas.image.paste(mirrored, (round(x), round(y + piece.height)), mirrored)


def shade(rng: np.random.Generator, canvas: Canvas, piece: Image.Image, x: float, y: float) -> None:
    """One of the ways an object stands on its ground, to be drawn before the object."""
    weighted(rng, {contact_shadow: 0.45, cast_shadow: 0.35, reflection: 0.2})(rng, canvas, piece, x, y)


def toned(rng: np.random.Generator, image: Image.Image, white_kept: bool) -> Image.Image:
    """One camera's exposure and cast. White stays white: from WHITE_FROM on nothing gets below it. Grey gets no lighter."""
    if chance(rng, 0.5):
        image = ImageEnhance.Color(image).enhance(rng.uniform(0.6, 1.4))
    gamma = rng.uniform(0.8, 1.25) if white_kept else rng.uniform(1, 1.3)
    gain = 1 - np.abs(rng.normal(0, 0.015, 3)) if white_kept else rng.uniform(0.85, 1, 3)
    levels = np.arange(256)
    curves = [np.minimum(255 * (levels / 255) ** gamma * g, 255) for g in gain]
    if white_kept:
        bent = levels <= 200  # from there on in a line to WHITE_FROM, which stays where it is
        curves = [np.interp(levels, [*levels[bent], WHITE_FROM, 255], [*curve[bent], WHITE_FROM, max(WHITE_FROM, curve[255])])
                  for curve in curves]
    return image.point([round(v) for curve in curves for v in curve])
