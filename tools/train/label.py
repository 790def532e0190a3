"""What is printed on a product: a brand, names, claims and ornaments, on a label or round the whole body."""
from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from canvas import Colour, chance, ink_on, mix, one_of, weighted
from lettering import face, font_files

PRINT = 560  # pixels of a product's height in what is printed on it

# Papers and foils; packaging comes in these colours too.
WHITES = ((255, 255, 255), (250, 249, 246), (244, 241, 235), (238, 238, 240))
METALS = ((236, 200, 130), (214, 214, 218), (226, 176, 150), (200, 170, 110), (120, 120, 126))

SYLLABLES = {
    "en": ("lu", "me", "ra", "ve", "lo", "bio", "der", "ma", "na", "ti", "sol", "au", "ren", "ki", "ya", "ce", "la",
           "vi", "no", "be"),
    "ru": ("ла", "ми", "ра", "ве", "ло", "на", "ту", "со", "ли", "зо", "ря", "бе", "ле", "но", "ва", "ки", "мо", "ре",
           "ди", "ян"),
}
NAMES = {
    "en": ("Hydra Boost", "Vitamin C Serum", "Daily Moisturizer", "Micellar Water", "Repair Shampoo", "Hand Cream",
           "Gentle Cleanser", "Night Cream", "Body Lotion", "Sun Protect SPF 50", "Hyaluronic Acid", "Niacinamide 10%",
           "Argan Oil", "Aloe Vera Gel", "Eau de Parfum", "Face Scrub", "Fresh Deo", "Purifying Mask", "Velvet Matte", "Toner"),
    "ru": ("Крем для лица", "Крем для рук", "Шампунь", "Бальзам для волос", "Гель для душа", "Мицеллярная вода", "Сыворотка",
           "Тоник увлажняющий", "Маска для волос", "Скраб для тела", "Дезодорант", "Молочко для тела", "Ночной крем", "Пенка"),
}
CLAIMS = {
    "en": ("for sensitive skin", "with natural extracts", "dermatologically tested", "24h hydration", "all skin types",
           "no parabens", "soothes and protects", "anti-age complex", "intensive care", "smooth & shine", "with shea butter",
           "paraben free"),
    "ru": ("для всех типов кожи", "увлажнение 24 часа", "с экстрактом ромашки", "без парабенов", "питает и смягчает",
           "с маслом арганы", "интенсивный уход", "для сухих волос", "с витамином Е", "натуральный состав", "гипоаллергенно"),
}
VOLUMES = {
    "en": ("50 ml", "30 ml / 1 fl.oz", "200 ml", "100 ml", "75 ml", "250 g"),
    "ru": ("50 мл", "200 мл", "100 мл", "75 мл", "400 мл"),
}


def brand(rng: np.random.Generator, script: str) -> str:
    word = "".join(one_of(rng, SYLLABLES[script]) for _ in range(int(rng.integers(2, 4))))
    return word.upper() if chance(rng, 0.6) else word.capitalize()


def written(text: str, font: str, size: float, ink: Colour, widest: float) -> Image.Image:
    letters = face(font, max(7, round(size)))
    left, top, right, bottom = letters.getbbox(text)
    if right - left > widest and size > 7:
        return written(text, font, min(size * 0.97, size * widest / (right - left)), ink, widest)
    piece = Image.new("RGBA", (right - left + 2, bottom - top + 2), (*ink, 0))
    ImageDraw.Draw(piece).text((1 - left, 1 - top), text, font=letters, fill=ink)
    return piece


def ornament(rng: np.random.Generator, draw: ImageDraw.ImageDraw, x: float, y: float, r: float, colour: Colour) -> None:
    kind = one_of(rng, ("disc", "ring", "leaf", "drop", "rays"))
    if kind == "disc":
        draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)
    if kind == "ring":
        draw.ellipse((x - r, y - r, x + r, y + r), outline=colour, width=max(2, round(r / 9)))
    if kind == "drop":
        draw.polygon([(x, y - 1.3 * r), (x - 0.75 * r, y + 0.1 * r), (x + 0.75 * r, y + 0.1 * r)], fill=colour)
        draw.ellipse((x - 0.8 * r, y - 0.5 * r, x + 0.8 * r, y + 1.1 * r), fill=colour)
    if kind in ("leaf", "rays"):
        for turn in np.linspace(0, 2 * np.pi, 5 if kind == "leaf" else 13)[:-1] + rng.uniform(0, 1):
            tip, side = np.array([np.cos(turn), np.sin(turn)]) * r, np.array([-np.sin(turn), np.cos(turn)]) * r * 0.22
            centre = np.array([x, y])
            corners = [centre, centre + tip * 0.5 + side, centre + tip, centre + tip * 0.5 - side]
            draw.polygon([tuple(c) for c in corners], fill=colour)


def column(rng: np.random.Generator, picture: Image.Image, box: tuple[float, float, float, float],
           inks: tuple[Colour, Colour]) -> None:
    """Brand, name, claims and volume, one below the other in the box (left, top, right, bottom)."""
    script = weighted(rng, {script: share for script, share in {"en": 0.6, "ru": 0.4}.items() if font_files(script)})
    fonts = font_files(script)
    left, top, right, bottom = box
    width, height, draw = right - left, bottom - top, ImageDraw.Draw(picture)
    first, second, middle = one_of(rng, fonts), one_of(rng, fonts), chance(rng, 0.7)
    size = min(width * rng.uniform(0.2, 0.38), height * 0.3)
    lines = [(brand(rng, script), first, size, inks[1] if chance(rng, 0.4) else inks[0])]
    lines.append((one_of(rng, NAMES[script]), second, size * rng.uniform(0.35, 0.6), inks[0]))
    lines += [(one_of(rng, CLAIMS[script]), second, size * 0.27, inks[0]) for _ in range(int(rng.integers(0, 5)))]
    y = top + height * rng.uniform(0.0, 0.15)
    if chance(rng, 0.35) and height > 1.2 * width:
        r = width * rng.uniform(0.12, 0.3)
        ornament(rng, draw, (left + right) / 2 if middle else left + r, y + 1.3 * r, r, inks[1])
        y += 2.8 * r
    for number, (text, font, letters, ink) in enumerate(lines):
        piece = written(text, font, letters, ink, width)
        if y + piece.height > bottom:
            return
        picture.alpha_composite(piece, (round((left + right - piece.width) / 2 if middle else left), round(y)))
        y += piece.height + letters * rng.uniform(0.4, 0.8)
        if number == 0 and chance(rng, 0.4):
            draw.line((left + width * 0.2 * middle, y, right - width * 0.2 * middle, y), fill=inks[1], width=2)
            y += size * 0.3
        if number == 1:
            y += max(0.0, (bottom - y) * rng.uniform(0, 0.35))
    piece = written(one_of(rng, VOLUMES[script]), second, size * 0.27, inks[0], width)
    if y + 1.5 * piece.height < bottom:
        x = (left + right - piece.width) / 2 if middle else left
        picture.alpha_composite(piece, (round(x), round(bottom - piece.height)))


def readable(rng: np.random.Generator, ground: Colour, accent: Colour) -> tuple[Colour, Colour]:
    """Inks that can be told from the ground: of the text, and of what stands out."""
    contrast = sum(abs(a - b) for a, b in zip(ground, accent))
    ink = ink_on(ground)
    return (mix(ink, accent, 0.35) if contrast > 250 and chance(rng, 0.5) else ink), (accent if contrast > 200 else ink)


def wrap(rng: np.random.Generator, accent: Colour, ground: Colour, size: tuple[float, float], front: float) -> Image.Image:
    """All that is printed round a body of that circumference and height; what is to be read stays in the front's width."""
    scale = PRINT / max(size[1], 0.35)
    w, h, front = round(size[0] * scale), round(size[1] * scale), front * scale
    picture = Image.new("RGBA", (w, h), (*ground, 255))
    draw = ImageDraw.Draw(picture)
    left, right, top, bottom = w / 2 - front / 2, w / 2 + front / 2, h * 0.1, h * 0.9
    style = weighted(rng, {"bare": 0.42, "band": 0.2, "fade": 0.1, "label": 0.2, "pattern": 0.08})
    if style == "band":
        edge = rng.uniform(0.25, 0.6) * h
        upper = chance(rng, 0.3)
        colour = mix(accent, (255, 255, 255), one_of(rng, (0, 0, 0.6)))
        draw.rectangle((0, 0 if upper else h - edge, w, edge if upper else h), fill=colour)
        if chance(rng, 0.4):
            y = edge if upper else h - edge
            draw.rectangle((0, y, w, y + h * 0.015), fill=one_of(rng, METALS))
        if edge < h * 0.45:
            top, bottom = (edge + h * 0.05, bottom) if upper else (top, h - edge - h * 0.04)
        else:
            top, bottom, ground = (h * 0.05, edge - h * 0.05, accent) if upper else (h - edge + h * 0.05, h * 0.95, accent)
    if style == "fade":
        ramp = Image.fromarray(np.linspace(0, 255, h).astype(np.uint8)[:, None]).resize((w, h))
        picture.paste(mix(accent, (255, 255, 255), 0.3), mask=ramp)
    if style == "pattern":
        tint = mix(ground, accent, 0.5)
        for _ in range(40):
            ornament(rng, draw, rng.uniform(0, w), rng.uniform(0, h), front * rng.uniform(0.04, 0.16), tint)
    if style in ("label", "pattern"):
        ground = one_of(rng, (one_of(rng, WHITES), mix(accent, (255, 255, 255), 0.75), ground, accent))
        box = (left - front * 0.06, h * rng.uniform(0.12, 0.25), right + front * 0.06, h * rng.uniform(0.75, 0.9))
        draw.rounded_rectangle(box, front * one_of(rng, (0, 0.04, 0.12)), fill=ground)
        top, bottom = box[1] + h * 0.05, box[3] - h * 0.05
    column(rng, picture, (left, top, right, bottom), readable(rng, ground, accent))
    return picture
