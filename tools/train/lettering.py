"""Everything that is written on a card: a logo of two letters, price flashes, watermarks, and whole infographics.

What is printed on the product itself is no defect; `printed` draws that, inside the object's outline.
"""
from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from canvas import Canvas, Colour, any_colour, chance, fit, ink_on, main_colour, mix, one_of, turned, weighted

FONT_FOLDER = Path("/usr/share/fonts")
# Of each Debian package the files, and the scripts they hold. A card is the same only where the same ones are installed.
FONTS = {
    "fonts-dejavu-extra": ("truetype/dejavu/DejaVuS*.ttf", "ru en vi"),
    "fonts-liberation2": ("truetype/liberation2/*.ttf", "ru en vi"),
    "fonts-open-sans": ("truetype/open-sans/*.ttf", "ru en"),
    "fonts-roboto-unhinted": ("truetype/roboto/unhinted/**/*.ttf", "ru en vi"),
    "fonts-paratype": ("truetype/paratype/*.ttf", "ru en"),
    "fonts-lobster": ("opentype/lobster/*.otf", "en"),
    "fonts-comfortaa": ("truetype/comfortaa/*.ttf", "ru en vi"),
    "fonts-wqy-microhei": ("truetype/wqy/*.ttc", "zh"),
}

TITLES = {
    "ru": ("НОВИНКА", "ХИТ ПРОДАЖ", "СКИДКА", "АКЦИЯ", "Бестселлер", "Премиум качество", "Подарок маме", "ВСЁ ДЛЯ ДОМА", "ТОП",
           "Летняя коллекция", "Крем для рук", "Платье миди", "Рюкзак городской", "Сыворотка для лица", "Набор кистей", "ЛЮКС",
           "Беспроводные наушники", "Мягкий и тёплый", "Идеальная посадка", "Кроссовки", "Органайзер", "3 В 1", "ВЫГОДНО"),
    "en": ("SALE", "NEW", "BEST", "PREMIUM", "Hot deal", "Top quality", "Vitamin C", "Durable professional mouse", "OFFICIAL",
           "Extraordinary battery life", "Summer collection", "Hydra boost", "Pure beauty", "Smart home", "Soft touch", "ECO",
           "Limited edition", "Ultra light", "Original", "Kitchen master", "Sport & Go", "TOMY", "FIREBIRD", "Velvet"),
    "vi": ("SIÊU DEAL", "KHUYẾN MÃI", "Hàng chính hãng", "Sữa rửa mặt dịu nhẹ", "MỚI", "Giảm giá sốc", "QUÀ TẶNG", "Đỏ lạnh",
           "Son lì mềm mịn", "Dưỡng trắng da", "An toàn cho làn da", "Kem chống nắng", "Mua 1 tặng 1", "TẨY TRANG"),
    "zh": ("商品特色", "新品上市", "限时特价", "便攜收納", "伸縮拉桿設計", "無線充氣", "隨時開打", "假兩件", "品質保證", "買一送一",
           "热销爆款", "官方正品", "柔軟舒適", "排球場地", "完整組合"),
}
DETAILS = {
    "ru": ("100% хлопок", "быстрая доставка", "натуральный состав", "увлажнение 24 часа", "размеры 42-56", "гарантия 2 года",
           "для всей семьи", "не содержит парабенов", "водонепроницаемый", "мягкая подкладка", "ёмкость 500 мл", "лёгкий уход",
           "дышащий материал", "без запаха", "подходит для чувствительной кожи", "регулируемый ремень", "сделано в России",
           "объём 20 литров", "эко кожа", "стирка при 30°", "в подарочной упаковке", "8 отделений", "вес 350 г"),
    "en": ("free delivery", "soft touch", "made in Italy", "no parabens", "water resistant", "up to 60 hours", "easy to clean",
           "Precise optical tracking", "DPI adjustable", "for sensitive skin", "anti-fingerprint", "Package included", "500 ml",
           "2.4G wireless connectivity", "adjustable strap", "cruelty free", "SPF 50+ PA++++", "1 year warranty", "net 250 g"),
    "vi": ("Độ che phủ hoàn hảo", "Kiềm dầu suốt 24h", "Làm sạch sâu", "không gây kích ứng", "dưỡng ẩm tự nhiên", "150ml",
           "giao hàng toàn quốc", "Cam kết chính hãng", "phù hợp mọi loại da", "hương thơm nhẹ nhàng", "không chứa cồn"),
    "zh": ("透氣網布", "耐磨防滑", "戶外運動", "輕便易攜", "可調節高度", "加厚材質", "適合全家", "高品質材料", "不含酒精", "总长54米",
           "室內外通用", "操作簡單", "一年保固", "防水防汗"),
}
PRICES = {
    "ru": ("990 р", "1 499 р", "-50%", "-30%", "1+1=3", "2 шт", "XXL", "50 мл", "№1", "5 л", "от 99 р", "12+", "ХИТ", "4K"),
    "en": ("$19.99", "-15%", "-70%", "24h", "60H", "x2", "4K", "NEW", "SALE", "15.9", "2 pcs", "5L", "XL", "No 1", "%"),
    "vi": ("189.000đ", "-45%", "15.9", "99K", "650ml", "MỚI", "x2", "24h", "1 tặng 1"),
    "zh": ("¥299", "-20%", "36cm", "2入", "NEW", "特价", "8cm", "買1送1"),
}
SITES = ("shop-kosmetik.ru", "www.mystore.com", "@beauty.shop", "mebel-dom.by", "cosmetics.vn", "0906 382 198", "sportline",
         "Filia Decor")


@functools.lru_cache(maxsize=None)
def font_files(script: str) -> tuple[str, ...]:
    found = [str(path) for pattern, scripts in FONTS.values() if script in scripts.split()
             for path in sorted(FONT_FOLDER.glob(pattern))]
    if not found and script == "en":
        raise SystemExit(f"{FONT_FOLDER}: none of the Debian packages {', '.join(FONTS)} is installed")
    return tuple(found)


@functools.lru_cache(maxsize=1024)
def face(file: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(file, size)


class Style:
    """One card's script, fonts and colours. All that is written on the card is in them."""

    def __init__(self, rng: np.random.Generator, accent: Colour) -> None:
        self.rng = rng
        scripts = {"ru": 0.45, "en": 0.27, "vi": 0.14, "zh": 0.14}
        self.script = weighted(rng, {script: share for script, share in scripts.items() if font_files(script)})
        self.fonts = (one_of(rng, font_files(self.script)), one_of(rng, font_files(self.script)))
        self.accent = accent
        self.ink = (20, 20, 20) if chance(rng, 0.45) else mix(any_colour(rng), (0, 0, 0), 0.5)

    def title(self) -> str:
        return one_of(self.rng, TITLES[self.script])

    def detail(self) -> str:
        return one_of(self.rng, DETAILS[self.script])

    def price(self) -> str:
        return one_of(self.rng, PRICES[self.script])

    def line(self, text: str, size: float, ink: Colour | None = None, bold: bool = True, width: float = 0) -> Image.Image:
        """Text of that height of letters as a piece, some of it outlined; shrunk to `width` where it is wider."""
        ink = ink or self.ink
        font = face(self.fonts[0 if bold else 1], max(6, round(size)))
        rim = max(1, round(size / 10)) if self.rng.random() < 0.15 else 0
        draw = ImageDraw.Draw(Image.new("L", (1, 1)))
        left, top, right, bottom = draw.multiline_textbbox((0, 0), text, font=font, stroke_width=rim)
        piece = Image.new("RGBA", (max(1, right - left) + 2, max(1, bottom - top) + 2), (*(ink_on(ink) if rim else ink), 0))
        ImageDraw.Draw(piece).multiline_text((1 - left, 1 - top), text, font=font, fill=ink, stroke_width=rim,
                                             stroke_fill=ink_on(ink), align=one_of(self.rng, ("left", "center")))
        return fit(piece, width, piece.height) if 0 < width < piece.width else piece


def panel(size: tuple[float, float], colour: Colour, radius: float = 0, opacity: float = 1) -> Image.Image:
    """A rectangle of colour, its corners rounded."""
    w, h = max(2, round(size[0])), max(2, round(size[1]))
    piece = Image.new("RGBA", (w, h), (*colour, 0))
    fill = (*colour, round(255 * opacity))
    ImageDraw.Draw(piece).rounded_rectangle((0, 0, w - 1, h - 1), radius=min(radius, w / 2, h / 2), fill=fill)
    return piece


def on_panel(text: Image.Image, colour: Colour, pad: float, radius: float = 0, opacity: float = 1) -> Image.Image:
    piece = panel((text.width + 2 * pad, text.height + 2 * pad), colour, radius, opacity)
    piece.alpha_composite(text, (round(pad), round(pad)))
    return piece


def star(style: Style, text: str, size: float) -> Image.Image:
    """A burst with a price in it."""
    rng, points = style.rng, int(style.rng.integers(8, 24))
    turns = np.linspace(0, 2 * np.pi, 2 * points, endpoint=False)
    radii = np.where(np.arange(2 * points) % 2, rng.uniform(0.75, 0.92), 1.0) * size
    corners = [(size + r * np.cos(t), size + r * np.sin(t)) for r, t in zip(radii, turns)]
    piece = Image.new("RGBA", (round(2 * size), round(2 * size)), (*style.accent, 0))
    ImageDraw.Draw(piece).polygon(corners, fill=style.accent)
    return centred(piece, style.line(text, size * 0.6, ink_on(style.accent), width=size * 1.35))


def disc(style: Style, text: str, size: float) -> Image.Image:
    piece = panel((2 * size, 2 * size), style.accent, size)
    if chance(style.rng, 0.3):
        ImageDraw.Draw(piece).ellipse((3, 3, 2 * size - 4, 2 * size - 4), outline=ink_on(style.accent), width=1)
    return centred(piece, style.line(text, size * 0.6, ink_on(style.accent), width=size * 1.5))


def pill(style: Style, text: str, size: float) -> Image.Image:
    """A price tag or a button; at times only its outline."""
    radius = size * one_of(style.rng, (0, 0.2, 0.5, 1))
    if chance(style.rng, 0.2):
        piece = on_panel(style.line(text, size, style.accent), (255, 255, 255), size / 2)
        edge = (0, 0, piece.width - 1, piece.height - 1)
        ImageDraw.Draw(piece).rounded_rectangle(edge, radius, outline=style.accent, width=2)
        return piece
    return on_panel(style.line(text, size, ink_on(style.accent)), style.accent, size / 2, radius)


def centred(ground: Image.Image, piece: Image.Image) -> Image.Image:
    piece = fit(piece, min(piece.width, ground.width), min(piece.height, ground.height))
    ground.alpha_composite(piece, ((ground.width - piece.width) // 2, (ground.height - piece.height) // 2))
    return ground


def icon(rng: np.random.Generator, size: float, colour: Colour) -> Image.Image:
    """A bullet: a tick, a dot, a ring, a square, a drop or a plus in a circle."""
    s = max(6, round(size))
    piece = Image.new("RGBA", (s, s), (*colour, 0))
    draw, kind = ImageDraw.Draw(piece), one_of(rng, ("disc", "ring", "tick", "plus", "square", "drop"))
    if kind in ("disc", "tick", "plus"):
        draw.ellipse((0, 0, s - 1, s - 1), fill=colour)
    if kind == "ring":
        draw.ellipse((0, 0, s - 1, s - 1), outline=colour, width=max(1, s // 8))
        draw.rectangle((s * 0.35, s * 0.35, s * 0.65, s * 0.65), fill=colour)
    if kind == "tick":
        draw.line([(s * 0.25, s * 0.5), (s * 0.45, s * 0.7), (s * 0.75, s * 0.3)], fill=ink_on(colour), width=max(1, s // 8))
    if kind == "plus":
        draw.line((s * 0.25, s / 2, s * 0.75, s / 2), fill=ink_on(colour), width=max(1, s // 8))
        draw.line((s / 2, s * 0.25, s / 2, s * 0.75), fill=ink_on(colour), width=max(1, s // 8))
    if kind == "square":
        draw.rectangle((s * 0.1, s * 0.1, s * 0.9, s * 0.9), fill=colour)
    if kind == "drop":
        draw.polygon([(s / 2, 0), (s * 0.15, s * 0.6), (s * 0.85, s * 0.6)], fill=colour)
        draw.ellipse((s * 0.12, s * 0.3, s * 0.88, s - 1), fill=colour)
    return piece


def beside(left: Image.Image, right: Image.Image, gap: float) -> Image.Image:
    height = max(left.height, right.height)
    piece = Image.new("RGBA", (round(left.width + gap + right.width), height), (255, 255, 255, 0))
    piece.paste(left, (0, (height - left.height) // 2))
    piece.paste(right, (round(left.width + gap), (height - right.height) // 2))
    return piece


def below(pieces: Sequence[Image.Image], gap: float, middle: bool) -> Image.Image:
    width = max(piece.width for piece in pieces)
    height = round(sum(piece.height for piece in pieces) + gap * (len(pieces) - 1))
    result, y = Image.new("RGBA", (width, height + 1), (255, 255, 255, 0)), 0.0
    for piece in pieces:
        result.paste(piece, ((width - piece.width) // 2 if middle else 0, round(y)))
        y += piece.height + gap
    return result


def free_place(rng: np.random.Generator, canvas: Canvas, piece: Image.Image, tries: int) -> tuple[float, float]:
    """The place, of as many as are tried, that hides least of the object; rather near an edge than in the middle."""
    best, place = 2.0, (0.0, 0.0)
    for _ in range(tries):
        x = (canvas.width - piece.width) * np.clip(rng.beta(0.5, 0.5), 0.02, 0.98)
        y = (canvas.height - piece.height) * np.clip(rng.beta(0.5, 0.5), 0.02, 0.98)
        hidden = canvas.covered((x, y, piece.width, piece.height))
        if hidden < best:
            best, place = hidden, (float(x), float(y))
    return place


def put_free(style: Style, canvas: Canvas, piece: Image.Image) -> None:
    piece = fit(piece, min(piece.width, canvas.width * 0.96), min(piece.height, canvas.height * 0.9))
    canvas.put(piece, *free_place(style.rng, canvas, piece, 1 if chance(style.rng, 0.25) else 6))


def logo(style: Style, canvas: Canvas) -> None:
    """A short word or two letters, maybe with a sign before it or a line of small print below."""
    size = canvas.height * style.rng.uniform(0.03, 0.1)
    word = style.title().split()[0][:int(style.rng.integers(2, 9))]
    piece = style.line(word, size, style.accent if chance(style.rng, 0.5) else style.ink)
    if chance(style.rng, 0.35):
        piece = beside(icon(style.rng, size * 1.3, style.accent), piece, size * 0.3)
    if chance(style.rng, 0.3):
        piece = below([piece, style.line(one_of(style.rng, SITES), size * 0.45, bold=False)], size * 0.2, True)
    elif chance(style.rng, 0.3):
        piece = on_panel(piece, mix(style.accent, (255, 255, 255), 0.8), size * 0.4)
    put_free(style, canvas, piece)


def caption(style: Style, canvas: Canvas) -> None:
    """One line or some, anywhere."""
    rng = style.rng
    size = canvas.height * rng.uniform(0.035, 0.11)
    count = int(rng.choice([1, 2, 3, 5], p=[0.5, 0.25, 0.15, 0.1]))
    lines = [style.title() if chance(rng, 0.5) else style.detail() for _ in range(count)]
    ground = mix(style.accent, one_of(rng, ((0, 0, 0), (255, 255, 255))), rng.uniform(0, 0.7))
    backed = chance(rng, 0.3)
    ink = ink_on(ground) if backed else one_of(rng, (style.ink, style.accent, (0, 0, 0)))
    piece = style.line("\n".join(lines), size, ink, bold=chance(rng, 0.7), width=canvas.width * rng.uniform(0.35, 0.95))
    if backed:
        piece = on_panel(piece, ground, size * 0.3, size * one_of(rng, (0, 0.4)), rng.uniform(0.5, 1))
    put_free(style, canvas, turned(piece, rng.choice([-90, 90, rng.uniform(-20, 20)])) if chance(rng, 0.12) else piece)


def flash(style: Style, canvas: Canvas) -> None:
    """A badge with a price or a word."""
    rng = style.rng
    text = style.price() if chance(rng, 0.6) else style.title()
    size = canvas.height * rng.uniform(0.045, 0.13)
    piece = weighted(rng, {star: 0.3, disc: 0.3, pill: 0.4})(style, text, size if len(text) < 9 else size * 0.8)
    put_free(style, canvas, turned(piece, rng.uniform(-15, 15)) if chance(rng, 0.3) else piece)


def ribbon(style: Style, canvas: Canvas) -> None:
    """A band across a corner."""
    size = canvas.height * style.rng.uniform(0.04, 0.07)
    text = style.price() if chance(style.rng, 0.5) else style.title()
    line = style.line(text, size, ink_on(style.accent), width=canvas.width * 0.4)
    band = centred(panel((canvas.width * 0.9, size * 1.7), style.accent), line)
    reach = canvas.width * style.rng.uniform(0.12, 0.22)
    if chance(style.rng, 0.5):
        canvas.put_centred(turned(band, 45), reach, reach)
    else:
        canvas.put_centred(turned(band, -45), canvas.width - reach, reach)


def strip(style: Style, canvas: Canvas) -> None:
    """A band along the bottom with a line in it."""
    rng = style.rng
    height = canvas.height * rng.uniform(0.07, 0.16)
    colour = style.accent if chance(rng, 0.7) else mix(style.accent, (0, 0, 0), 0.5)
    band = panel((canvas.width, height), colour, opacity=1 if chance(rng, 0.8) else 0.7)
    texts = [style.line(style.detail() if chance(rng, 0.6) else style.title(), height * 0.5, ink_on(colour))]
    if chance(rng, 0.35):
        texts.append(style.line(style.price(), height * 0.6, ink_on(colour)))
    line = functools.reduce(lambda a, b: beside(a, b, height), texts)
    canvas.put(centred(band, fit(line, min(line.width, canvas.width * 0.94), line.height)), 0, canvas.height - height)
    canvas.panels += height / canvas.height


def heading(style: Style, canvas: Canvas) -> None:
    """A title over the card's top, with a second line or without, on a band or bare."""
    rng = style.rng
    size = canvas.height * rng.uniform(0.06, 0.11)
    band = chance(rng, 0.4)
    ink = ink_on(style.accent) if band else one_of(rng, (style.ink, style.accent))
    lines = [style.line(style.title(), size, ink, width=canvas.width * 0.94)]
    if chance(rng, 0.6):
        text = style.line(style.detail(), size * 0.5, ink, bold=False, width=canvas.width * 0.94)
        if chance(rng, 0.3) and not band:
            text = on_panel(text, mix(style.accent, (255, 255, 255), 0.7), size * 0.2, size)
        lines.append(text)
    block = below(lines, size * 0.25, middle := chance(rng, 0.6))
    height = block.height + size * 0.8
    if band:
        canvas.put(panel((canvas.width, height), style.accent), 0, 0)
        canvas.panels += height / canvas.height
    canvas.put(block, (canvas.width - block.width) / 2 if middle else canvas.width * 0.03, size * 0.4)


def bullets(style: Style, canvas: Canvas) -> None:
    """A list at one side: icons with a line each."""
    rng = style.rng
    size = canvas.height * rng.uniform(0.028, 0.05)
    ink = one_of(rng, (style.ink, style.accent))
    alike = int(rng.integers(1 << 30))  # every icon of the list is drawn alike
    items = [beside(icon(np.random.default_rng(alike), size * 1.4, style.accent),
                    style.line(style.detail(), size, ink, bold=False, width=canvas.width * 0.45), size * 0.5)
             for _ in range(int(rng.integers(3, 7)))]
    if chance(rng, 0.3):
        items = [on_panel(item, mix(style.accent, (255, 255, 255), 0.85), size * 0.4, size) for item in items]
    block = below(items, size * rng.uniform(0.4, 1.2), False)
    block = fit(block, min(block.width, canvas.width * 0.6), min(block.height, canvas.height * 0.7))
    x = canvas.width * 0.03 if chance(rng, 0.5) else canvas.width * 0.97 - block.width
    canvas.put(block, x, (canvas.height - block.height) * rng.uniform(0.25, 0.85))


def icon_row(style: Style, canvas: Canvas) -> None:
    """Icons side by side near the bottom, a word below each."""
    rng, count = style.rng, int(style.rng.integers(3, 6))
    cell, size = canvas.width / count, canvas.height * rng.uniform(0.05, 0.09)
    y = canvas.height * rng.uniform(0.72, 0.88) if chance(rng, 0.7) else canvas.height * 0.18
    framed = chance(rng, 0.3)
    for k in range(count):
        word = style.line(style.detail().split()[0], size * 0.42, bold=False, width=cell * 0.9)
        piece = below([icon(rng, size, style.accent), word], size * 0.2, True)
        if framed:
            piece = centred(panel((cell * 0.92, piece.height * 1.2), (245, 246, 250), size * 0.3), piece)
        canvas.put_centred(fit(piece, cell * 0.96, piece.height), cell * (k + 0.5), y)


def callouts(style: Style, canvas: Canvas) -> None:
    """Lines from parts of the object to words beside it."""
    rng = style.rng
    x, y, w, h = canvas.object_box()
    size = canvas.height * rng.uniform(0.03, 0.05)
    for _ in range(int(rng.integers(1, 5))):
        left = chance(rng, 0.5)
        target = (x + w * rng.uniform(0.25, 0.75), y + h * rng.uniform(0.1, 0.9))
        text = style.line(style.detail(), size, bold=False, width=canvas.width * 0.36)
        text = on_panel(text, (255, 255, 255), size * 0.3, size * 0.5, 0.8) if chance(rng, 0.4) else text
        start = (canvas.width * 0.02 if left else canvas.width * 0.98 - text.width, y + h * rng.uniform(0.05, 0.9))
        line = Image.new("RGBA", canvas.image.size, (*style.accent, 0))
        draw = ImageDraw.Draw(line)
        draw.line((start[0] + (text.width if left else 0), start[1] + text.height / 2, *target), fill=style.accent, width=2)
        draw.ellipse((target[0] - 4, target[1] - 4, target[0] + 4, target[1] + 4), fill=style.accent)
        canvas.put(line, 0, 0)
        canvas.put(text, *start)


def side_panel(style: Style, canvas: Canvas) -> None:
    """A block of colour down one side or across the bottom, full of words."""
    rng = style.rng
    share, tall = rng.uniform(0.25, 0.42), chance(rng, 0.4)
    w, h = (canvas.width * share, canvas.height) if tall else (canvas.width, canvas.height * share)
    colour = style.accent if chance(rng, 0.5) else mix(style.accent, (255, 255, 255), 0.75)
    words = "\n".join([style.title(), *(style.detail() for _ in range(int(rng.integers(2, 5))))])
    text = style.line(words, canvas.height * 0.045, ink_on(colour), bold=False)
    piece = centred(panel((w, h), colour), fit(text, min(text.width, w * 0.9), min(text.height, h * 0.9)))
    canvas.put(piece, 0 if chance(rng, 0.5) and tall else canvas.width - w, canvas.height - h)
    canvas.panels += share


def watermark(style: Style, canvas: Canvas) -> None:
    """Faint letters across the card or over its middle, once or all over."""
    rng = style.rng
    ink = one_of(rng, ((120, 120, 120), (255, 255, 255), (60, 60, 60), style.accent))
    text = one_of(rng, SITES) if chance(rng, 0.6) else style.title()
    piece = style.line(text, canvas.height * rng.uniform(0.05, 0.13), ink, width=canvas.width * 0.95)
    strength = rng.uniform(0.25, 0.6) if ink != (255, 255, 255) else rng.uniform(0.5, 0.8)
    piece.putalpha(piece.getchannel("A").point(lambda a: int(a * strength)))
    piece = turned(piece, float(rng.choice([0, 45, 30, -30, -45], p=[0.4, 0.15, 0.2, 0.15, 0.1])))
    if chance(rng, 0.6):
        x, y, w, h = canvas.object_box()  # white letters show on the object alone
        canvas.put_centred(piece, x + w * rng.uniform(0.35, 0.65), y + h * rng.uniform(0.2, 0.8))
        return
    gap = (piece.width + canvas.width * rng.uniform(0.05, 0.3), piece.height * rng.uniform(1.3, 2.5))
    for row, y in enumerate(np.arange(0, canvas.height, gap[1])):
        for x in np.arange(-gap[0] * (row % 2) / 2, canvas.width, gap[0]):
            canvas.put(piece, float(x), float(y))


def infographic(style: Style, canvas: Canvas) -> None:
    """A title and two or three of the things that sellers put beside it."""
    rng = style.rng
    if chance(rng, 0.8):
        heading(style, canvas)
    blocks = {bullets: 0.26, callouts: 0.22, icon_row: 0.2, side_panel: 0.1, strip: 0.22}
    for block in rng.permutation(list(blocks))[:int(rng.integers(1, 4))]:
        block(style, canvas)
    if chance(rng, 0.35):
        flash(style, canvas)
    if chance(rng, 0.2):
        logo(style, canvas)


def scattered(style: Style, canvas: Canvas) -> None:
    """Captions and badges with no order."""
    for _ in range(int(style.rng.choice([1, 2, 3], p=[0.5, 0.3, 0.2]))):
        weighted(style.rng, {caption: 0.45, flash: 0.3, logo: 0.15, ribbon: 0.1})(style, canvas)


def write(rng: np.random.Generator, canvas: Canvas, accent: Colour) -> None:
    """All the text of one card."""
    style = Style(rng, accent if chance(rng, 0.5) else any_colour(rng))
    weighted(rng, {infographic: 0.33, scattered: 0.27, logo: 0.2, watermark: 0.14, strip: 0.06})(style, canvas)


def printed(rng: np.random.Generator, piece: Image.Image, garment: bool = False) -> Image.Image:
    """The object with print of its own: a label with small lines, or a word; on a garment, over the chest. Never a defect."""
    style = Style(rng, main_colour(rng, piece))
    w, h = piece.width * rng.uniform(0.3, 0.8), piece.height * rng.uniform(0.15, 0.5)
    if garment:
        w, h = piece.width * rng.uniform(0.15, 0.35), piece.height * rng.uniform(0.04, 0.1)
    ground = one_of(rng, ((250, 250, 248), style.accent, mix(style.accent, (255, 255, 255), 0.6), (30, 30, 34)))
    lines = [style.line(style.title(), h * rng.uniform(0.15, 0.4), ink_on(ground), width=w * 0.9)]
    if not garment:
        lines += [style.line(style.detail(), h * 0.1, ink_on(ground), bold=False, width=w * 0.9)
                  for _ in range(int(rng.integers(1, 5)))]
    block = below(lines, h * 0.06, chance(rng, 0.6))
    block = fit(block, w * 0.92, h * 0.92)
    label = centred(panel((w, h), ground, h * one_of(rng, (0, 0, 0.1))), block) if not garment and chance(rng, 0.65) else block
    layer = Image.new("RGBA", piece.size, (0, 0, 0, 0))
    at = (0.42, 0.58, 0.2, 0.32) if garment else (0.4, 0.6, 0.35, 0.7)
    x, y = piece.width * rng.uniform(*at[:2]) - label.width / 2, piece.height * rng.uniform(*at[2:]) - label.height / 2
    layer.paste(label, (round(x), round(y)))
    result = Image.alpha_composite(piece, layer.filter(ImageFilter.GaussianBlur(0.4)))
    result.putalpha(piece.getchannel("A"))  # print ends where the object ends
    return result
