"""The products of the sample cards. Each function returns fresh parts that stand on y = 0, about two units tall."""
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from render import (Field, Part, Surface, box, curve, ellipsoid, extrude, printed, revolve, rgb, rod, smooth_max, smooth_min,
                    smoothstep, union, wire)

FONTS = "/usr/share/fonts/truetype/dejavu/"


def font(size, bold=True, serif=False):
    return ImageFont.truetype(FONTS + "DejaVu%s%s.ttf" % ("Serif" if serif else "Sans", "-Bold" if bold else ""), size)


def label(width, height, lines, colour, paper=None, rules=()):
    """A label as RGBA: `lines` are (text, y, size, bold, serif), centred; `rules` are (y, thickness)."""
    picture = Image.new("RGBA", (width, height), paper or colour + "00")
    draw = ImageDraw.Draw(picture)
    for text, y, size, bold, serif in lines:
        draw.text((width / 2, y), text, colour, font(size, bold, serif), "mm")
    for y, thickness in rules:
        draw.rectangle((width * 0.3, y, width * 0.7, y + thickness), colour)
    return picture


def around(radius, left, right, bottom, top):
    """Texture coordinates on a round body: by arc and height, the viewer's side in the middle."""
    return lambda x, y, z: ((np.arctan2(x, z) * radius - left) / (right - left), (top - y) / (top - bottom))


def front(left, right, bottom, top, least_z=0.0):
    return lambda x, y, z: (np.where(z > least_z, (x - left) / (right - left), -1), (top - y) / (top - bottom))


def bottle(colour="#f2efe8", accent="#2f3b39", name="SOLENE", line="BODY LOTION"):
    """A pump bottle with its own printed label."""
    body = revolve(curve([(0, 0), (0, 0), (0.40, 0), (0.43, 0.02), (0.43, 0.1), (0.43, 1.25), (0.43, 1.38), (0.34, 1.5),
                          (0.17, 1.53), (0.15, 1.58), (0.15, 1.62), (0, 1.62), (0, 1.62)]))
    collar = revolve(curve([(0, 1.56), (0, 1.56), (0.19, 1.56), (0.19, 1.56), (0.195, 1.7), (0.19, 1.71), (0, 1.71)], rounds=2))
    pump = union(rod((0, 1.7, 0), (0, 1.86, 0), 0.055), box(0, 1.92, 0, 0.22, 0.11, 0.2, 0.045),
                 rod((0, 1.925, 0), (-0.36, 1.91, 0), 0.05, 0.036), rod((-0.36, 1.91, 0), (-0.39, 1.84, 0), 0.036, 0.032), k=0.03)
    text = label(600, 640, [(name, 120, 84, False, True), (line, 300, 38, False, False), ("shea butter & oat milk", 400, 34, False, True),
                            ("250 ml  8.4 fl oz", 560, 26, False, False)], accent, rules=[(220, 4), (480, 2)])
    surface = printed(rgb(colour), text, around(0.43, -0.42, 0.42, 0.2, 1.2))
    dark = Surface(rgb(accent), 0.05, 0.25)
    return [Part(body, Surface(surface, 0.045, 0.22), (-0.45, 0, -0.45), (0.45, 1.65, 0.45)),
            Part(collar, dark, (-0.21, 1.55, -0.21), (0.21, 1.73, 0.21)),
            Part(pump, dark, (-0.44, 1.68, -0.13), (0.13, 2.0, 0.13))]


def tube(colour="#f7f4f2", cap="#d98a7b", ink="#b2503f", name="ROSELLE", line="крем для рук"):
    """A cream tube on its cap: round below, pressed flat at the top."""
    def body(x, y, z):
        t = np.clip((y - 0.3) / 1.5, 0, 1)
        w, d = 0.36 + 0.09 * t, 0.36 * (1 - t) ** 0.8 + 0.016 + np.where(y > 1.78, 0.003 * np.sin(y * 160), 0)
        round_ = (np.sqrt((x / w) ** 2 + (z / d) ** 2) - 1) * np.minimum(w, d)
        return smooth_max(np.maximum(np.maximum(round_, np.abs(x) - 0.45), y - 1.9), 0.3 - y, 0.03) * 0.75

    lid = revolve(curve([(0, 0), (0, 0), (0.29, 0), (0.31, 0.02), (0.325, 0.3), (0.31, 0.33), (0, 0.33), (0, 0.33)], rounds=3))

    def ribs(x, y, z):
        return lid(x, y, z) + 0.004 * np.cos(np.arctan2(x, z) * 60) * smoothstep(0.04, 0.08, y) * smoothstep(0.3, 0.26, y)
    text = label(520, 900, [(name, 170, 78, False, True), (line, 330, 40, False, False), ("rose & aloe", 520, 40, False, True),
                            ("75 мл", 800, 34, False, False)], ink, rules=[(250, 4), (600, 2)])
    surface = printed(rgb(colour), text, front(-0.3, 0.3, 0.42, 1.46))
    return [Part(body, Surface(surface, 0.045, 0.25), (-0.48, 0.28, -0.4), (0.48, 1.92, 0.4)),
            Part(ribs, Surface(rgb(cap), 0.05, 0.2), (-0.34, 0, -0.34), (0.34, 0.35, 0.34))]


def jar(colour="#e9dccb", cap="#caa46a", ink="#5b4630", name="AURUM", metal=True):
    """A cream jar with a metal lid."""
    body = revolve(curve([(0, 0), (0, 0), (0.62, 0), (0.68, 0.04), (0.69, 0.15), (0.69, 0.5), (0.66, 0.62), (0.58, 0.66), (0, 0.66),
                          (0, 0.66)]))
    lid = revolve(curve([(0, 0.64), (0, 0.64), (0.67, 0.64), (0.69, 0.66), (0.69, 0.98), (0.66, 1.02), (0, 1.02), (0, 1.02)], rounds=3))
    text = label(900, 420, [(name, 130, 110, False, True), ("night repair cream", 270, 44, False, False), ("50 ml", 360, 34, False, False)], ink)
    return [Part(body, Surface(printed(rgb(colour), text, around(0.69, -0.5, 0.5, 0.1, 0.57)), 0.05, 0.15), (-0.7, 0, -0.7), (0.7, 0.68, 0.7)),
            Part(lid, Surface(rgb(cap), 0.5, 0.12, metal), (-0.71, 0.62, -0.71), (0.71, 1.05, 0.71))]


def mug(colour="#2f6f8f", inside="#f4f1ea"):
    body = revolve([(0, 0), *curve([(0.5, 0), (0.5, 0), (0.56, 0.0), (0.585, 0.04), (0.59, 0.2), (0.59, 1.14), (0.595, 1.17), (0.575, 1.185),
                                    (0.555, 1.17), (0.545, 0.4), (0.54, 0.16), (0.48, 0.09), (0.3, 0.08), (0.3, 0.08)]), (0, 0.08)])
    handle = wire(curve([(0.55, 0.95), (0.7, 1.0), (0.95, 0.98), (1.0, 0.6), (0.88, 0.3), (0.66, 0.24), (0.55, 0.27)]), 0.058, 1.5)

    def colours(x, y, z):
        r = np.sqrt(x * x + z * z)
        return np.where(((r < 0.567) & (y > 0.05) | (y < 0.02))[:, None], rgb(inside), rgb(colour))
    return [Part(lambda x, y, z: smooth_min(body(x, y, z), np.maximum(handle(x, y, z), 0.56 - np.sqrt(x * x + z * z)), 0.035),
                 Surface(colours, 0.055, 0.1), (-0.6, 0, -0.6), (1.1, 1.2, 0.6))]


def teapot(colour="#efece4", accent="#b7793f"):
    body = revolve(curve([(0, 0), (0, 0), (0.42, 0), (0.46, 0.02), (0.44, 0.08), (0.7, 0.25), (0.84, 0.6), (0.72, 0.95), (0.45, 1.12),
                          (0.36, 1.14), (0, 1.14), (0, 1.14)]))
    lid = revolve(curve([(0, 1.12), (0, 1.12), (0.36, 1.12), (0.38, 1.15), (0.34, 1.22), (0.12, 1.3), (0.06, 1.34), (0.06, 1.38), (0.13, 1.44),
                         (0.11, 1.53), (0, 1.56), (0, 1.56)]))
    spout = union(rod((-0.6, 0.42, 0), (-0.98, 0.72, 0), 0.2, 0.13), rod((-0.98, 0.72, 0), (-1.16, 1.08, 0), 0.13, 0.085), k=0.14)

    def pot(x, y, z):
        mouth = np.sqrt((x + 1.2) ** 2 + (y - 1.16) ** 2 + (z / 0.9) ** 2) - 0.11
        return smooth_min(body(x, y, z), np.maximum(spout(x, y, z), -mouth), 0.1)
    handle = wire(curve([(0.6, 0.95), (0.8, 1.08), (1.12, 1.05), (1.2, 0.72), (1.05, 0.42), (0.72, 0.32), (0.66, 0.34)]), 0.06, 1.3)
    band = lambda x, y, z: np.where((np.abs(y - 0.6) < 0.018)[:, None], rgb(accent), rgb(colour))
    return [Part(pot, Surface(band, 0.06, 0.08), (-1.3, 0, -0.86), (0.86, 1.22, 0.86)),
            Part(lid, Surface(rgb(colour), 0.06, 0.08), (-0.4, 1.1, -0.4), (0.4, 1.6, 0.4)),
            Part(handle, Surface(rgb(accent), 0.05, 0.3), (0.5, 0.2, -0.1), (1.3, 1.2, 0.1))]


def lamp(shade="#d9c3a0", metal="#b99055"):
    base = revolve(curve([(0, 0), (0, 0), (0.46, 0), (0.48, 0.03), (0.44, 0.07), (0.08, 0.1), (0.05, 0.16), (0.045, 0.9), (0.045, 1.4),
                          (0, 1.42), (0, 1.42)]))
    hood = revolve([(0.42, 2.1), (0.44, 2.1), (0.70, 1.25), (0.68, 1.25)], closed_on_axis=False)

    def linen(x, y, z):
        weave = 1 + 0.05 * np.sin(y * 300) * np.sin(np.arctan2(x, z) * 170)
        glow = 0.92 + 0.22 * np.exp(-((y - 1.6) / 0.25) ** 2)
        edge = np.where((np.abs(y - 1.265) < 0.016) | (np.abs(y - 2.085) < 0.016), 0.8, 1)
        return rgb(shade) * (weave * glow * edge)[:, None].astype(np.float32)
    return [Part(base, Surface(rgb(metal), 0.5, 0.16, True), (-0.5, 0, -0.5), (0.5, 1.45, 0.5)),
            Part(hood, Surface(linen, 0.02, 0.9), (-0.72, 1.22, -0.72), (0.72, 2.13, 0.72))]


def chair(seat="#3f5d52", wood="#a9774a"):
    legs = union(*(rod((0.5 * sx, 0.02, 0.48 * sz), (0.36 * sx, 0.95, 0.34 * sz), 0.038, 0.055) for sx in (-1, 1) for sz in (-1, 1)),
                 box(0, 0.93, 0, 0.74, 0.06, 0.7, 0.02))

    def shell(x, y, z):
        plate = box(0, 1.02, 0.02, 1.06, 0.15, 0.98, 0.07)(x, y - 0.1 * (x / 0.5) ** 2 * 0.5, z)
        lean = z + 0.47 - 0.22 * x * x + 0.2 * (y - 1.1)
        back = box(0, 1.56, 0, 1.0, 1.02, 0.12, 0.06)(x * (1 + 0.12 * (y - 1.3)), y, lean) * 0.8
        return smooth_min(plate, back, 0.12) * 0.85 + 0.0011 * np.sin(x * 190) * np.sin(y * 190 + z * 190)

    def grain(x, y, z):
        return rgb(wood) * (1 + 0.1 * np.sin(y * 9 + 5 * np.sin(x * 14 + z * 11)))[:, None].astype(np.float32)
    return [Part(legs, Surface(grain, 0.04, 0.4), (-0.56, 0, -0.54), (0.56, 0.98, 0.54)),
            Part(shell, Surface(rgb(seat), 0.02, 0.85), (-0.62, 0.9, -0.85), (0.62, 2.15, 0.6))]


def leather_grain(x, y):
    return 0.0006 * np.sin(x * 171 + 5 * np.sin(y * 97)) * np.sin(y * 163 + 5 * np.sin(x * 89))


def handbag(leather="#8c3b32", metal="#d6b36a"):
    outline = curve([(-0.78, 0.03), (-0.72, 0), (0.72, 0), (0.78, 0.03), (0.72, 0.9), (0.62, 1.12), (0.5, 1.16), (-0.5, 1.16), (-0.62, 1.12),
                     (-0.72, 0.9)], closed=True)
    sack = extrude(outline, 0.1, 0.04)
    def body(x, y, z):
        swell = 0.2 * np.sqrt(np.clip(1.18 - y, 0, 1))
        return sack(x, y, np.sign(z) * np.maximum(np.abs(z) - swell, 0)) * 0.7 + leather_grain(x, y)
    flap_line = curve([(-0.66, 1.14), (-0.69, 0.75), (-0.5, 0.56), (0, 0.5), (0.5, 0.56), (0.69, 0.75), (0.66, 1.14), (0.5, 1.17), (-0.5, 1.17)], closed=True)
    flap_2d, flap_edge = extrude(flap_line, 0.1, 0.03), Field(flap_line)
    flap = lambda x, y, z: flap_2d(x, y, (z - 0.2 * np.sqrt(np.clip(1.18 - y, 0, 1)) - 0.02)) * 0.7 + leather_grain(x, y)
    handle = wire(curve([(-0.42, 1.02), (-0.44, 1.3), (-0.36, 1.72), (0, 1.86), (0.36, 1.72), (0.44, 1.3), (0.42, 1.02)]), 0.042, 1.4)
    clasp = union(box(0, 0.6, 0.245, 0.16, 0.12, 0.06, 0.025), *(ellipsoid(s * 0.43, 1.1, 0.03, 0.06, 0.06, 0.07) for s in (-1, 1)))
    def stitched(x, y, z):
        thread = (np.abs(flap_edge(x, y) + 0.045) < 0.006) & (np.sin((x + y) * 130) > -0.4) & (z > 0)
        return np.where(thread[:, None], rgb("#d8a08f"), rgb(leather))
    return [Part(body, Surface(rgb(leather), 0.04, 0.45), (-0.8, 0, -0.32), (0.8, 1.2, 0.32)),
            Part(flap, Surface(stitched, 0.045, 0.4), (-0.72, 0.46, -0.05), (0.72, 1.2, 0.4)),
            Part(handle, Surface(rgb(leather), 0.045, 0.35), (-0.52, 0.98, -0.07), (0.52, 1.93, 0.07)),
            Part(clasp, Surface(rgb(metal), 0.6, 0.12, True), (-0.52, 0.5, -0.06), (0.52, 1.18, 0.32))]


def headphones(colour="#26282d", accent="#b9bdc4"):
    arch = curve([(-0.72, 0.75), (-0.76, 1.1), (-0.66, 1.62), (-0.3, 1.95), (0.3, 1.95), (0.66, 1.62), (0.76, 1.1), (0.72, 0.75)])
    band, pad = wire(arch, 0.045, 2.2), wire(curve([(-0.5, 1.72), (-0.3, 1.86), (0.3, 1.86), (0.5, 1.72)]), 0.06, 2.0)
    def cup(side, inner):
        turned = revolve(curve([(0, 0), (0, 0), (0.36, 0), (0.42, 0.04), (0.42, 0.1), (0.36, 0.17), (0.2, 0.19), (0, 0.19), (0, 0.19)]))
        ring = revolve(curve([(0.15, 0), (0.36, -0.02), (0.42, -0.08), (0.36, -0.18), (0.22, -0.18), (0.15, -0.1)], closed=True), False)
        shape = ring if inner else turned
        return lambda x, y, z: shape(y - 0.43, (x * side - 0.64), z / 0.9) * 0.9
    shells, cushions = union(cup(-1, False), cup(1, False)), union(cup(-1, True), cup(1, True))
    arms = union(*(rod((s * 0.78, 0.43, 0), (s * 0.755, 1.12, 0), 0.05, 0.04) for s in (-1, 1)))
    return [Part(band, Surface(rgb(colour), 0.05, 0.3), (-0.85, 0.7, -0.12), (0.85, 2.05, 0.12)),
            Part(pad, Surface(rgb("#17181b"), 0.03, 0.7), (-0.62, 1.6, -0.14), (0.62, 2.0, 0.14)),
            Part(arms, Surface(rgb(accent), 0.5, 0.2, True), (-0.86, 0.35, -0.08), (0.86, 1.2, 0.08)),
            Part(shells, Surface(rgb(colour), 0.05, 0.22), (-0.9, 0, -0.42), (0.9, 0.9, 0.42)),
            Part(cushions, Surface(rgb("#17181b"), 0.03, 0.7), (-0.7, 0, -0.42), (0.7, 0.9, 0.42))]


def sneaker(upper="#eceae6", accent="#2d5fa8", sole="#fafafa"):
    """Seen from its side: toe to the left. The foot's outline from above bounds a profile from the side."""
    profile = curve([(-1.22, 0.1), (-1.25, 0.28), (-1.12, 0.44), (-0.75, 0.56), (-0.35, 0.82), (-0.02, 1.12), (0.16, 1.2), (0.3, 1.1), (0.55, 0.98),
                     (0.8, 1.08), (0.98, 1.16), (1.05, 1.1), (1.02, 0.8), (1.08, 0.45), (1.08, 0.1), (0.9, 0.06), (-1.0, 0.06)], closed=True)
    tread = curve([(-1.32, 0.1), (-1.3, 0.22), (-1.1, 0.24), (-0.4, 0.22), (0.4, 0.27), (1.0, 0.32), (1.18, 0.3), (1.16, 0.08), (1.05, 0.0), (0.3, 0.0),
                   (-0.9, 0.0), (-1.15, 0.02)], closed=True)
    side, under = extrude(profile, 4.0), extrude(tread, 4.0)
    def half_width(x):
        return np.interp(x, [-1.35, -1.2, -0.95, -0.6, -0.1, 0.4, 0.9, 1.1, 1.22], [0.05, 0.27, 0.39, 0.44, 0.4, 0.34, 0.33, 0.25, 0.05]).astype(np.float32)
    def shoe(x, y, z):
        narrow = half_width(x) * (1 - 0.5 * smoothstep(0.25, 1.3, y))
        outer = smooth_max(side(x, y, z * 0), np.abs(z) - narrow, 0.16)
        foot = union(ellipsoid(0.58, 1.12, 0, 0.36, 0.46, 0.15), ellipsoid(0.5, 0.75, 0, 0.4, 0.3, 0.17), k=0.1)(x, y, z)
        return smooth_max(outer, -foot, 0.04) * 0.6
    bottom = lambda x, y, z: smooth_max(under(x, y, z * 0), np.abs(z) - half_width(x) - 0.05, 0.06) * 0.7 + 0.004 * np.sin(x * 60) * smoothstep(0.14, 0.1, y)
    bar = lambda left: extrude([(left, 0.34), (left + 0.11, 0.34), (left + 0.36, 0.8), (left + 0.25, 0.8)], 4)
    toe = extrude(curve([(-1.3, 0.1), (-1.3, 0.5), (-1.0, 0.5), (-0.82, 0.36), (-0.8, 0.1)], closed=True), 4)
    heel = extrude(curve([(0.86, 0.2), (0.9, 0.6), (0.86, 0.95), (0.9, 1.3), (1.2, 1.3), (1.2, 0.2)], closed=True), 4)
    def colours(x, y, z):
        out = np.repeat(rgb(upper)[None], x.size, 0)
        mesh = 1 - 0.1 * (np.sin(x * 150) * np.sin(y * 150) > 0.3)
        out *= mesh[:, None].astype(np.float32)
        flat = z * 0
        for shape, ink in ((toe, "#d8d4cd"), (bar(-0.18), accent), (bar(0.04), accent), (heel, accent)):
            d = shape(x, y, flat)
            out[d < 0] = rgb(ink)
            out[np.abs(d) < 0.008] *= 0.75
        tongue = (y > 0.62 - 0.9 * (x + 0.6)) & (np.abs(z) < 0.13) & (x < 0.2)
        out[tongue] = rgb("#d3cfc8")
        return out
    laces = union(*(rod((x0 - 0.05, y0 - 0.03, 0.2 - 0.04 * i), (x0 + 0.03, y0 + 0.05, -0.2 + 0.04 * i), 0.026)
                    for i, (x0, y0) in enumerate([(-0.6, 0.66), (-0.45, 0.77), (-0.3, 0.88), (-0.15, 1.01)])))
    return [Part(shoe, Surface(colours, 0.03, 0.6), (-1.3, 0.05, -0.5), (1.15, 1.25, 0.5)),
            Part(bottom, Surface(rgb(sole), 0.04, 0.4), (-1.36, 0, -0.52), (1.24, 0.36, 0.52)),
            Part(laces, Surface(rgb("#ffffff"), 0.03, 0.8), (-0.75, 0.5, -0.26), (0.0, 1.15, 0.26))]


def ball(colour="#c8622d", seam="#231915"):
    """A basketball of radius 0.9."""
    def seams(x, y, z):
        loops = np.minimum(np.abs(z - 0.5 * (1 - 0.9 * x * x) ), np.abs(z + 0.5 * (1 - 0.9 * x * x)))
        return np.minimum(np.minimum(np.abs(x), np.abs(y)), loops)

    def sphere(x, y, z):
        y = y - 0.9
        d = np.sqrt(x * x + y * y + z * z) - 0.9
        near = np.abs(d) < 0.05
        pebbles = 0.004 * np.sin(x * 110) * np.sin(y * 110) * np.sin(z * 110)
        return d + np.where(near, 0.014 * np.exp(-(seams(x, y, z) / 0.016) ** 2) + pebbles, 0)
    colours = lambda x, y, z: np.where((seams(x, y - 0.9, z) < 0.017)[:, None], rgb(seam), rgb(colour))
    return [Part(sphere, Surface(colours, 0.035, 0.45), (-0.92, 0, -0.92), (0.92, 1.82, 0.92))]


def perfume(colour="#e3a9a0", cap="#c9a25f", name="ÉLINE"):
    glass = box(0, 0.62, 0, 1.0, 1.22, 0.42, 0.1)
    text = label(700, 500, [(name, 180, 120, False, True), ("eau de parfum", 330, 44, False, True)], "#5a2f2a")

    def juice(x, y, z):  # thick clear walls, the liquid within: drawn, not traced
        inner = np.maximum(np.abs(x) - 0.4, np.maximum(0.16 - y, y - 1.02))
        shade = smoothstep(0.02, -0.04, inner)[:, None]
        edge = (0.75 + 0.25 * smoothstep(0.0, 0.35, 0.5 - np.abs(x)))[:, None]
        return (rgb("#f3eeec") * edge * (1 - shade) + rgb(colour) * shade * (0.8 + 0.3 * y[:, None])).astype(np.float32)
    top = union(revolve(curve([(0, 1.2), (0, 1.2), (0.17, 1.2), (0.17, 1.2), (0.17, 1.3), (0, 1.3), (0, 1.3)], rounds=2)),
                box(0, 1.5, 0, 0.46, 0.42, 0.36, 0.03))
    return [Part(glass, Surface(printed(juice, text, front(-0.38, 0.38, 0.35, 0.9)), 0.08, 0.05), (-0.52, 0, -0.23), (0.52, 1.25, 0.23)),
            Part(top, Surface(rgb(cap), 0.6, 0.1, True), (-0.25, 1.18, -0.2), (0.25, 1.73, 0.2))]


def carton(colour="#e9c3bb", ink="#7c3f38", name="ÉLINE", line="eau de parfum", width=0.95, height=1.75):
    """A product's own box."""
    text = label(600, 1000, [(name, 360, 110, False, True), (line, 500, 42, False, True), ("50 ml", 860, 34, False, False)], ink, rules=[(600, 4)])
    return [Part(box(0, height / 2, 0, width, height, 0.5, 0.012),
                 Surface(printed(rgb(colour), text, front(-width / 2, width / 2, 0, height, 0.245)), 0.03, 0.6),
                 (-width / 2, 0, -0.26), (width / 2, height, 0.26))]


def vase(colour="#5b7f86"):
    body = revolve([(0, 0), *curve([(0.3, 0), (0.3, 0), (0.36, 0.02), (0.62, 0.5), (0.6, 0.95), (0.28, 1.35), (0.2, 1.55), (0.3, 1.78), (0.29, 1.8),
                                    (0.26, 1.78), (0.16, 1.55), (0.15, 1.3), (0.15, 1.3)]), (0, 1.3)])
    return [Part(lambda x, y, z: (body(x, y, z) + 0.014 * np.abs(np.cos(np.arctan2(x, z) * 11)) * smoothstep(1.5, 1.2, y)) * 0.9,
                 Surface(rgb(colour), 0.055, 0.12), (-0.64, 0, -0.64), (0.64, 1.82, 0.64))]


# ---------------------------------------------------------------- props

def lemon(colour="#f2c230"):
    fruit = lambda x, y, z: smooth_min(ellipsoid(0, 0.26, 0, 0.34, 0.26, 0.26)(x, y, z), ellipsoid(0.34, 0.26, 0, 0.09, 0.06, 0.06)(x, y, z), 0.06) \
        + 0.0012 * np.sin(x * 130 + 4 * np.sin(z * 60)) * np.sin(y * 120 + 4 * np.sin(x * 70)) * np.sin(z * 125)
    return [Part(fruit, Surface(rgb(colour), 0.04, 0.4), (-0.36, 0, -0.28), (0.46, 0.54, 0.28))]


def pebble(colour="#8d8a86"):
    stone = ellipsoid(0, 0.14, 0, 0.34, 0.14, 0.25)
    speckle = lambda x, y, z: rgb(colour) * (1 + 0.16 * np.sin(x * 211 + 9 * np.sin(z * 97)) * np.sin(z * 183 + 9 * np.sin(x * 71 + y * 90)))[:, None].astype(np.float32)
    return [Part(stone, Surface(speckle, 0.03, 0.7), (-0.35, 0, -0.26), (0.35, 0.29, 0.26))]


def leaf(colour="#4d7d45"):
    outline = curve([(-0.6, 0), (-0.6, 0), (-0.3, 0.2), (0.1, 0.22), (0.6, 0.0), (0.6, 0), (0.1, -0.22), (-0.3, -0.2)], closed=True)
    blade = extrude(outline, 0.03, 0.012)

    def sdf(x, y, z):  # lies on the floor, bent upwards at its tip
        return blade(x, z, y - 0.03 - 0.25 * np.maximum(x + 0.2, 0) ** 2 - 0.25 * z * z) * 0.8
    veins = lambda x, y, z: rgb(colour) * (1 - 0.3 * np.exp(-(z / 0.012) ** 2) + 0.08 * np.sin((np.abs(z) * 1.2 - x) * 60))[:, None].astype(np.float32)
    return [Part(sdf, Surface(veins, 0.04, 0.4), (-0.62, 0, -0.25), (0.62, 0.3, 0.25))]


def gift(colour="#b83a3f", ribbon="#f0e2c4"):
    def colours(x, y, z):
        band = (np.abs(x) < 0.06) | (np.abs(z) < 0.06)
        return np.where(band[:, None], rgb(ribbon), rgb(colour))
    loops = union(*(wire(curve([(0, 0.72), (s * 0.1, 0.95), (s * 0.36, 0.98), (s * 0.36, 0.8), (0, 0.72)]), 0.03, 2.0) for s in (-1, 1)))
    return [Part(box(0, 0.36, 0, 0.9, 0.72, 0.8, 0.015), Surface(colours, 0.04, 0.4), (-0.46, 0, -0.41), (0.46, 0.73, 0.41)),
            Part(loops, Surface(rgb(ribbon), 0.05, 0.3), (-0.45, 0.68, -0.08), (0.45, 1.05, 0.08))]
