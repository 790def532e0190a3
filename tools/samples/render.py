"""A small studio: signed distance fields, one sphere tracer, soft light, and a white floor that takes a shadow.

World: x right, y up, z towards the viewer; a product stands on y = 0. Points are float32 arrays (3, n).
"""
import numpy as np
from PIL import Image

WIDTH, HEIGHT = 900, 1200
KEY = np.array([-0.50, 0.72, 0.48], np.float32)  # towards the large lamp, left above the viewer
KEY /= np.linalg.norm(KEY)


def smoothstep(low, high, x):
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def smooth_min(a, b, k):
    h = np.clip(0.5 + 0.5 * (b - a) / k, 0, 1)
    return b + (a - b) * h - k * h * (1 - h)


def smooth_max(a, b, k):
    return -smooth_min(-a, -b, k)


# ---------------------------------------------------------------- shapes: functions of (x, y, z)

def curve(points, closed=False, rounds=4):
    """Chaikin's corner cutting: a smooth polyline near `points`; a point given twice stays a corner."""
    p = np.array(points, np.float64)
    for _ in range(rounds):
        q = np.roll(p, -1, 0) if closed else p[1:]
        a = p if closed else p[:-1]
        cut = np.stack([0.75 * a + 0.25 * q, 0.25 * a + 0.75 * q], 1).reshape(-1, 2)
        p = cut if closed else np.vstack([p[:1], cut, p[-1:]])
    return p


class Field:
    """The distance to a plane curve, sampled once on a grid; negative inside if the curve is closed."""

    STEP = 1 / 160

    def __init__(self, points, closed=True):
        a = np.asarray(points, np.float64)
        b = np.roll(a, -1, 0)
        if not closed:
            a, b = a[:-1], b[:-1]
        keep = np.hypot(*(b - a).T) > 1e-9
        a, b = a[keep], b[keep]
        self.low = np.minimum(a, b).min(0) - 0.15
        self.n = np.ceil((np.maximum(a, b).max(0) + 0.15 - self.low) / self.STEP).astype(int) + 2
        u, v = np.meshgrid(*(self.low[i] + np.arange(self.n[i]) * self.STEP for i in (0, 1)), indexing="ij")
        best, inside = np.full(u.shape, 1e9), np.zeros(u.shape, bool)
        for (ax, ay), (bx, by) in zip(a, b):
            ex, ey = bx - ax, by - ay
            t = np.clip(((u - ax) * ex + (v - ay) * ey) / (ex * ex + ey * ey), 0, 1)
            best = np.minimum(best, (u - ax - t * ex) ** 2 + (v - ay - t * ey) ** 2)
            if ay != by:
                inside ^= ((ay > v) != (by > v)) & (u < ax + (v - ay) * ex / ey)
        self.grid = (np.sqrt(best) * (np.where(inside, -1, 1) if closed else 1)).astype(np.float32)

    def __call__(self, u, v):
        fu = (u - self.low[0]) / self.STEP
        fv = (v - self.low[1]) / self.STEP
        cu = np.clip(fu, 0, self.n[0] - 1.001).astype(np.float32)
        cv = np.clip(fv, 0, self.n[1] - 1.001).astype(np.float32)
        iu, iv = cu.astype(np.int32), cv.astype(np.int32)
        du, dv = cu - iu, cv - iv
        flat, at = self.grid.ravel(), iu * self.n[1] + iv
        row0 = flat[at] * (1 - dv) + flat[at + 1] * dv
        row1 = flat[at + self.n[1]] * (1 - dv) + flat[at + self.n[1] + 1] * dv
        return row0 * (1 - du) + row1 * du + np.hypot(fu - cu, fv - cv).astype(np.float32) * self.STEP


def revolve(outline, closed_on_axis=True):
    """The solid of (radius, y) points turned about the y axis."""
    points = np.asarray(outline, np.float64)
    if closed_on_axis:  # beyond the axis, so that the axis itself is no edge
        points = np.vstack([[-0.1, points[0][1]], points, [-0.1, points[-1][1]]])
    field = Field(points)
    return lambda x, y, z: field(np.sqrt(x * x + z * z), y)


def extrude(outline, depth, rounding=0.0):
    field = Field(outline)

    def sdf(x, y, z):
        a, b = field(x, y) + rounding, np.abs(z) - depth / 2 + rounding
        return np.minimum(np.maximum(a, b), 0) + np.hypot(np.maximum(a, 0), np.maximum(b, 0)) - rounding
    return sdf


def wire(points, radius, flat=1.0):
    """A tube along a curve in the plane z = 0; `flat` > 1 presses it into a strap."""
    field = Field(points, closed=False)
    return lambda x, y, z: (np.hypot(field(x, y), z / flat) - radius)


def box(cx, cy, cz, w, h, d, r=0.02):
    def sdf(x, y, z):
        a, b, c = np.abs(x - cx) - w / 2 + r, np.abs(y - cy) - h / 2 + r, np.abs(z - cz) - d / 2 + r
        out = np.sqrt(np.maximum(a, 0) ** 2 + np.maximum(b, 0) ** 2 + np.maximum(c, 0) ** 2)
        return out + np.minimum(np.maximum(np.maximum(a, b), c), 0) - r
    return sdf


def rod(a, b, r0, r1=None):
    """A round rod from a to b, tapering from r0 to r1."""
    a, b = np.array(a, np.float32), np.array(b, np.float32)
    e, r1 = b - a, r0 if r1 is None else r1

    def sdf(x, y, z):
        px, py, pz = x - a[0], y - a[1], z - a[2]
        t = np.clip((px * e[0] + py * e[1] + pz * e[2]) / (e @ e), 0, 1)
        return np.sqrt((px - t * e[0]) ** 2 + (py - t * e[1]) ** 2 + (pz - t * e[2]) ** 2) - (r0 + (r1 - r0) * t)
    return sdf


def ellipsoid(cx, cy, cz, rx, ry, rz):
    def sdf(x, y, z):
        k = np.sqrt(((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 + ((z - cz) / rz) ** 2)
        return (k - 1) * min(rx, ry, rz)
    return sdf


def union(*shapes, k=0.0):
    def sdf(x, y, z):
        d = shapes[0](x, y, z)
        for shape in shapes[1:]:
            d = smooth_min(d, shape(x, y, z), k) if k else np.minimum(d, shape(x, y, z))
        return d
    return sdf


# ---------------------------------------------------------------- surfaces

def rgb(text):
    """'#rrggbb' as linear light."""
    return (np.array([int(text[i:i + 2], 16) for i in (1, 3, 5)], np.float32) / 255) ** 2.2


class Surface:
    """`colour` is linear RGB or a function of local (x, y, z) giving (n, 3). `shine`: reflected share face on."""

    def __init__(self, colour, shine=0.04, rough=0.3, metal=False):
        self.colour, self.shine, self.rough, self.metal = colour, shine, rough, metal

    def albedo(self, x, y, z):
        if callable(self.colour):
            return self.colour(x, y, z)
        return np.broadcast_to(self.colour, (x.size, 3))


def printed(base, texture, where):
    """Prints an RGBA picture: where(x, y, z) gives (u, v) in 0..1 from its left top; outside it is `base`."""
    pixels = np.asarray(texture.convert("RGBA"), np.float32) / 255

    def colour(x, y, z):
        u, v = where(x, y, z)
        out = base(x, y, z).copy() if callable(base) else np.repeat(base[None].astype(np.float32), x.size, 0)
        h, w = pixels.shape[:2]
        inside = (u >= 0) & (u < 1) & (v >= 0) & (v < 1)
        texel = pixels[(v[inside] * h).astype(int), (u[inside] * w).astype(int)]
        out[inside] += (texel[:, :3] ** 2.2 - out[inside]) * texel[:, 3:]
        return out
    return colour


# ---------------------------------------------------------------- scenes

class Part:
    def __init__(self, sdf, surface, low, high):
        self.sdf, self.surface = sdf, surface
        self.low, self.high = np.array(low, np.float32), np.array(high, np.float32)
        self.turn, self.scale, self.move = np.eye(3, dtype=np.float32), 1.0, np.zeros(3, np.float32)

    def local(self, p):
        return (self.turn.T @ (p - self.move[:, None])) / np.float32(self.scale)

    def distance(self, p):
        return self.sdf(*self.local(p)) * self.scale

    def bounds(self):
        corners = np.array([[(self.low, self.high)[i >> k & 1][k] for k in range(3)] for i in range(8)]).T
        world = self.turn @ corners * self.scale + self.move[:, None]
        return world.min(1), world.max(1)


def turn_matrix(yaw=0, pitch=0, roll=0):
    y, p, r = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    return (about_y @ about_x @ about_z).astype(np.float32)


def place(parts, x=0.0, z=0.0, y=0.0, yaw=0, pitch=0, roll=0, scale=1.0):
    """Puts a freshly made product somewhere; returns its parts."""
    for part in parts:
        part.turn, part.scale = turn_matrix(yaw, pitch, roll), scale
        part.move = np.array([x, y, z], np.float32)
    return parts


def scene_distance(parts, p):
    d = parts[0].distance(p)
    for part in parts[1:]:
        d = np.minimum(d, part.distance(p))
    return d


def scene_bounds(parts):
    bounds = [part.bounds() for part in parts]
    return np.min([b[0] for b in bounds], 0), np.max([b[1] for b in bounds], 0)


def trace(parts, origin, ray):
    """The distance along each ray (3, n) to the first surface, inf where there is none."""
    low, high = scene_bounds(parts)
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = (low[:, None] - origin) / ray, (high[:, None] - origin) / ray
    near, far = np.fmax(np.minimum(a, b).max(0), 0), np.maximum(a, b).min(0)
    t = np.full(ray.shape[1], np.inf, np.float32)
    alive = np.flatnonzero(near < far)
    at = near[alive].astype(np.float32)
    for _ in range(110):
        if not alive.size:
            break
        d = scene_distance(parts, origin[:, alive] + at * ray[:, alive])
        hit = d < 0.0012
        t[alive[hit]] = at[hit]
        at += d * 0.85  # some shapes overstate their distance
        on = ~hit & (at < far[alive])
        alive, at = alive[on], at[on]
    return t


def normals(parts, p):
    n = np.zeros_like(p)
    for k in ((1, -1, -1), (-1, -1, 1), (-1, 1, -1), (1, 1, 1)):
        k = np.array(k, np.float32)[:, None]
        n += k * scene_distance(parts, p + k * np.float32(0.004))
    return n / np.maximum(np.linalg.norm(n, axis=0), 1e-9)


def light_seen(parts, p, start=0.03, penumbra=5.0, reach=2.2):
    """0 in the key lamp's umbra, 1 in full light: the closest miss on the way tells (Quilez's soft shadow)."""
    seen, t = np.ones(p.shape[1], np.float32), np.full(p.shape[1], start, np.float32)
    for _ in range(22):
        d = scene_distance(parts, p + t * KEY[:, None])
        seen = np.minimum(seen, penumbra * d / t)
        t = np.minimum(t + np.clip(d, 0.03, 0.25), reach)
    return smoothstep(-0.15, 1, seen)


def openness(parts, p, n):
    """Ambient light that arrives: less where surfaces are near (five probes along the normal); the floor counts."""
    shade = np.zeros(p.shape[1], np.float32)
    for i, h in enumerate((0.03, 0.08, 0.16, 0.3, 0.5)):
        q = p + n * np.float32(h)
        d = np.minimum(scene_distance(parts, q), np.maximum(q[1], 0) + 0.02)
        shade += np.clip(h - d, 0, h) / h * (0.34, 0.24, 0.18, 0.14, 0.1)[i]
    return 1 - 0.85 * np.clip(shade, 0, 1)


def studio(r, rough):
    """What a mirror sees: a bright room, a large soft box on the left, a strip on the right, dark flags beside them."""
    soft = 0.05 + 0.7 * rough
    across, up = np.arctan2(r[0], r[2]), np.arcsin(np.clip(r[1], -1, 1))

    def window(a0, a1, e0, e1, level):
        inside = smoothstep(a0 - soft, a0 + soft, across) * smoothstep(-a1 - soft, -a1 + soft, -across)
        return level * inside * smoothstep(e0 - soft, e0 + soft, up) * smoothstep(-e1 - soft, -e1 + soft, -up)

    room = 0.45 + 0.5 * smoothstep(-0.1, 1.1, up)
    room = room * (1 - window(-2.6, -1.5, -2, 1.1, 0.6) - window(1.6, 2.5, -2, 1.1, 0.6))
    room = np.where(up < 0, room + (0.85 - room) * smoothstep(0, 0.35 + soft, -up), room)
    return room + window(-1.25, -0.55, -0.15, 0.95, 2.6) + window(0.85, 1.12, -0.2, 0.9, 1.7) + \
        window(-0.9, 0.9, 1.0, 1.4, 0.8)


def shade(parts, p, ray):
    """Linear light (n, 3) that leaves the points p against the rays."""
    each = np.stack([part.distance(p) for part in parts])
    owner, n = each.argmin(0), normals(parts, p)
    open_, seen = openness(parts, p, n), light_seen(parts, p + n * np.float32(0.012))
    facing = np.clip((n * KEY[:, None]).sum(0) * 0.8 + 0.2, 0, 1)
    fill = 0.5 + 0.28 * n[1] + 0.14 * n[0] + 0.08 * n[2]
    diffuse = 0.7 * fill * open_ + 0.84 * facing * seen * (0.4 + 0.6 * open_)
    cos = np.clip(-(n * ray).sum(0), 0, 1)
    mirror = ray + 2 * cos * n
    out = np.zeros((p.shape[1], 3), np.float32)
    for i, part in enumerate(parts):
        mine = owner == i
        if not mine.any():
            continue
        s, q = part.surface, part.local(p[:, mine])
        albedo = s.albedo(*q)
        room = (studio(mirror[:, mine], s.rough) * (0.35 + 0.65 * open_[mine]))[:, None]
        rim = ((1 - cos[mine]) ** 5)[:, None] * (1 - s.rough)
        if s.metal:
            out[mine] = room * (albedo + (1 - albedo) * rim) * 0.82
        else:
            out[mine] = albedo * diffuse[mine, None] + room * (s.shine + (0.6 - s.shine) * rim * 0.6)
    return out


# ---------------------------------------------------------------- pictures

class Camera:
    """Looks at (x, y, 0) from `away`, `pitch` degrees above it; `tall`: world units from bottom to top there."""

    def __init__(self, y=1.0, tall=2.9, pitch=9, x=0.0, away=11.0):
        self.target, self.tall, self.away = np.array([x, y, 0], np.float32), tall, away
        a = np.radians(pitch)
        self.back = np.array([0, np.sin(a), np.cos(a)], np.float32)
        self.up = np.array([0, np.cos(a), -np.sin(a)], np.float32)

    def rays(self, width, height):
        u = (np.arange(width, dtype=np.float32) + 0.5) / width - 0.5
        v = 0.5 - (np.arange(height, dtype=np.float32) + 0.5) / height
        u, v = (g.ravel() * np.float32(self.tall) for g in np.meshgrid(u * WIDTH / HEIGHT, v))
        ray = np.array([[1], [0], [0]], np.float32) * u + self.up[:, None] * v - self.back[:, None] * np.float32(self.away)
        origin = self.target[:, None] + self.back[:, None] * np.float32(self.away)
        return np.broadcast_to(origin, ray.shape), ray / np.linalg.norm(ray, axis=0)


def resize(array, width, height, filter=Image.BICUBIC):
    return np.asarray(Image.fromarray(array.astype(np.float32), "F").resize((width, height), filter))


class Shot:
    """`light` (h, w, 3): linear, times coverage; `cover` (h, w); `floor` (h, w): the light left on the floor, 0..1."""

    def __init__(self, light, cover, floor):
        self.light, self.cover, self.floor = light, cover, floor


def floor_light(parts, camera, depth, scale=4):
    """The floor's light at 1 / scale, enlarged: shadows are soft, so nobody sees the difference."""
    w, h = WIDTH // scale, HEIGHT // scale
    origin, ray = camera.rays(w, h)
    with np.errstate(divide="ignore"):
        t = np.where(ray[1] < -1e-4, -origin[1] / ray[1], np.inf)
    low, high = scene_bounds(parts)
    p = origin + np.where(np.isfinite(t), t, 0) * ray
    near = np.isfinite(t) & (p[0] > low[0] - 1.6) & (p[0] < high[0] + 1.6) & (p[2] > low[2] - 2) & (p[2] < high[2] + 1.6)
    p = p[:, near].astype(np.float32)
    contact = np.zeros(p.shape[1], np.float32)
    for height, share in ((0.02, 0.2), (0.07, 0.25), (0.18, 0.25), (0.4, 0.18), (0.8, 0.12)):
        q = p + np.array([[0], [height], [0]], np.float32)
        contact += share * np.clip(1 - scene_distance(parts, q) / height, 0, 1)
    fade = smoothstep(1.25, 0.0, scene_distance(parts, p))  # studio light fills what is far from the product
    dark = 0.85 * contact + 0.4 * (1 - light_seen(parts, p, penumbra=1.6, reach=3)) * fade
    light = np.ones(w * h, np.float32)
    light[near] = 1 - depth * np.clip(dark, 0, 0.95)
    return np.clip(resize(light.reshape(h, w), WIDTH, HEIGHT), 0, 1)


def take(parts, camera, shadow=0.75, samples=2, reflection=0.0):
    """Photographs the parts. `shadow`: how deep; `reflection`: the floor's mirrored share."""
    w, h = WIDTH * samples, HEIGHT * samples
    light, cover = np.zeros((h * w, 3), np.float32), np.zeros(h * w, np.float32)
    band = w * 200
    for first in range(0, h * w, band):  # in bands: memory stays at a few hundred MB
        origin, ray = (a[:, first:first + band] for a in camera_rays(camera, w, h))
        t = trace(parts, origin, ray)
        hit = np.flatnonzero(np.isfinite(t))
        if hit.size:
            light[first + hit] = shade(parts, origin[:, hit] + t[hit] * ray[:, hit], ray[:, hit])
            cover[first + hit] = 1
        if reflection:
            add_reflection(parts, origin, ray, hit, light[first:first + band], cover[first:first + band], reflection)
    light = light.reshape(HEIGHT, samples, WIDTH, samples, 3).mean((1, 3))
    cover = cover.reshape(HEIGHT, samples, WIDTH, samples).mean((1, 3))
    floor = floor_light(parts, camera, shadow) if shadow else np.ones((HEIGHT, WIDTH), np.float32)
    return Shot(light, cover, floor)


def camera_rays(camera, w, h):
    if getattr(camera, "cached", (None,))[0] != (w, h):
        camera.cached = ((w, h), camera.rays(w, h))
    return camera.cached[1]


def add_reflection(parts, origin, ray, hit, light, cover, share):
    """Floor points see the product mirrored, weaker with its height."""
    floor = np.ones(ray.shape[1], bool)
    floor[hit] = False
    floor = np.flatnonzero(floor & (ray[1] < -1e-3))
    at = (-origin[1, floor] / ray[1, floor]).astype(np.float32)
    p = origin[:, floor] + at * ray[:, floor]
    mirrored = ray[:, floor] * np.array([[1], [-1], [1]], np.float32)
    t = trace(parts, p, mirrored)
    seen = np.flatnonzero(np.isfinite(t))
    if not seen.size:
        return
    q = p[:, seen] + t[seen] * mirrored[:, seen]
    weight = share * np.exp(-2.2 * np.maximum(q[1], 0))
    light[floor[seen]] = shade(parts, q, mirrored[:, seen]) * weight[:, None]
    cover[floor[seen]] = weight


def develop(linear):
    """Linear light to 8-bit sRGB, with a soft shoulder so that highlights do not clip hard."""
    x = np.maximum(linear, 0)
    x = np.where(x > 0.8, 0.8 + 0.2 * (1 - np.exp(-(x - 0.8) / 0.2)), x)
    return (np.clip(x, 0, 1) ** (1 / 2.2) * 255 + 0.5).astype(np.uint8)


def compose(shot, background=None):
    """The shot on a linear background (h, w, 3), white if None. White stays 255 where no shadow falls."""
    base = np.ones((HEIGHT, WIDTH, 3), np.float32) if background is None else background
    cover = shot.cover[..., None]
    tint = shot.floor[..., None] ** np.array([1.02, 1.0, 0.97], np.float32)
    product = np.where(cover > 0, shot.light / np.maximum(cover, 1e-6), 0)
    product = (develop(product).astype(np.float32) / 255) ** 2.2
    out = product * cover + base * tint * (1 - cover)
    return Image.fromarray((np.clip(out, 0, 1) ** (1 / 2.2) * 255 + 0.5).astype(np.uint8))
