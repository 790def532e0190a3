"""The photographer's studio: what POV-Ray is told of a product, its lights and the camera, and how the picture is traced."""
from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from canvas import Colour, chance, one_of
from loft import Part, loft

LONGEST = 400  # pixels
ROOM = 0.02  # around the object, in parts of its longer side
DISTANCE = 7.0  # of the camera, in heights of the object: as a studio's long lens
SOFT_BOX = 5  # brightness of white in the picture of the studio

# What a surface does with light.
MATERIALS = {
    "gloss": "finish { ambient 0.2 diffuse 0.62 specular 0.4 roughness 0.004 reflection { 0.035, 0.4 falloff 4 } }",
    "satin": "finish { ambient 0.22 diffuse 0.66 specular 0.22 roughness 0.03 reflection { 0.012, 0.15 falloff 4 } }",
    "matt": "finish { ambient 0.26 diffuse 0.68 specular 0.05 roughness 0.1 }",
    "metal": "finish { ambient 0.03 diffuse 0.15 specular 0.5 roughness 0.01 metallic reflection { 0.6, 0.8 metallic } }",
    "glass": "finish { ambient 0 diffuse 0.04 specular 0.6 roughness 0.002 "
             "reflection { 0.045, 0.9 falloff 4 } conserve_energy }",
    "liquid": "finish { ambient 0.2 emission 0.2 diffuse 0.6 }",
}
POVRAY = ("povray", "-D", "+UA", "+FN", "+WT1", "Output_Alpha=on")


def studio(rng: np.random.Generator) -> Image.Image:
    """What gloss and metal reflect, as a map of the sphere: a room, soft boxes at the sides and above, a pale table.

    It shines SOFT_BOX times as brightly as it looks, or plastic, which reflects 4 % of it, would not show it.
    """
    sky = Image.new("L", (360, 180), int(rng.integers(60, 150)))
    draw = ImageDraw.Draw(sky)
    draw.rectangle((90, 0, 270, 180), fill=int(rng.integers(20, 100)))  # the camera's side, its middle behind the camera
    for side in (-1, 1):
        if chance(rng, 0.85):
            middle, half = 180 + side * rng.uniform(40, 120), rng.uniform(5, 26)
            box = (middle - half, rng.uniform(10, 50), middle + half, rng.uniform(110, 175))
            draw.rectangle(box, fill=int(rng.integers(190, 256)))
    draw.rectangle((0, 0, 360, rng.uniform(10, 40)), fill=int(rng.integers(120, 256)))
    draw.rectangle((0, rng.uniform(125, 165), 360, 180), fill=int(rng.integers(90, 140)))
    return sky.filter(ImageFilter.GaussianBlur(rng.uniform(1.5, 7))).convert("RGB")


def lights(rng: np.random.Generator) -> str:
    """A key light at one side of the camera, a weaker one at the other, one above."""
    key, side = rng.uniform(0.85, 1.15), one_of(rng, (-1, 1))
    lamps = [(side * rng.uniform(2, 8), rng.uniform(2, 6), -7, key),
             (-side * rng.uniform(4, 10), rng.uniform(0, 4), -5, key * rng.uniform(0.15, 0.5)),
             (rng.uniform(-1, 1), 8, rng.uniform(-2, 3), rng.uniform(0.2, 0.5))]
    return "".join(f"light_source {{ <{x:.3f},{y:.3f},{z:.3f}> rgb {power:.3f} shadowless }}\n" for x, y, z, power in lamps)


def vectors(rows: np.ndarray) -> str:
    return ",".join("<" + ",".join(map("{:.5f}".format, row)) + ">" for row in rows.reshape(-1, rows.shape[-1]).tolist())


def faces(rows: int, columns: int) -> str:
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).reshape(-1, 1)
    triangles = np.concatenate([corner + (0, 1, columns), corner + (1, columns + 1, columns)])
    return f"{len(triangles)}," + ",".join(f"<{a},{b},{c}>" for a, b, c in triangles.tolist())


def srgb(colour: Colour, clear: float = 0.0) -> str:
    return "srgbft <" + ",".join(f"{c / 255:.4f}" for c in colour) + f",{clear:.3f},0>"


def object_text(part: Part, view: np.ndarray, picture: str) -> tuple[str, np.ndarray]:
    """The part as POV-Ray reads it, and its vertices before the camera."""
    points, normals, places = loft(part)
    points, normals = points @ view.T, normals @ view.T
    pigment = f'uv_mapping pigment {{ image_map {{ png "{picture}" interpolate 2 }} }}' if part.picture else (
        f"pigment {{ {srgb(part.colour, part.clear)} }}")
    count = points.shape[0] * points.shape[1]
    text = (f"mesh2 {{ vertex_vectors {{ {count},{vectors(points)} }} normal_vectors {{ {count},{vectors(normals)} }}\n"
            f"uv_vectors {{ {count},{vectors(places)} }} face_indices {{ {faces(*points.shape[:2])} }}\n"
            f"texture {{ {pigment} {MATERIALS[part.material]} }}"
            + (" interior { ior 1.25 }" if part.material == "glass" else "") + " }\n")
    return text, points.reshape(-1, 3)


def scene(rng: np.random.Generator, parts: list[Part], view: np.ndarray, folder: Path) -> tuple[str, tuple[int, int]]:
    """The scene, whose pictures are put into the folder, and the size of its image."""
    texts, clouds = [], []
    for number, part in enumerate(parts):
        if part.picture:
            part.picture.save(folder / f"{number}.png")
        text, points = object_text(part, view, f"{number}.png")
        texts.append(text)
        clouds.append(points)
    studio(rng).save(folder / "studio.png")
    points = np.concatenate(clouds)
    eye = points.mean(axis=0) - (0, 0, DISTANCE)
    seen = (points - eye)[:, :2] / (points - eye)[:, 2:]
    low, high = seen.min(axis=0), seen.max(axis=0)
    room = (high - low).max() * ROOM
    centre, (w, h) = (low + high) / 2, high - low + 2 * room
    size = (max(8, round(LONGEST * w / max(w, h))), max(8, round(LONGEST * h / max(w, h))))
    camera = (f"camera {{ location <{eye[0]:.5f},{eye[1]:.5f},{eye[2]:.5f}> direction <{centre[0]:.5f},{centre[1]:.5f},1>\n"
              f"right <{w:.5f},0,0> up <0,{h:.5f},0> }}\n")
    sky = ("sphere { 0, 60 hollow no_image no_shadow\n"
           'pigment { image_map { png "studio.png" map_type 1 interpolate 2 } rotate -90*y }\n'
           f"finish {{ ambient 0 diffuse 0 emission {SOFT_BOX} }} }}\n")
    head = "#version 3.7; global_settings { assumed_gamma 1 max_trace_level 7 }\n"
    return head + camera + lights(rng) + sky + "".join(texts), size


def trace(folder: Path, size: tuple[int, int], quality: int) -> np.ndarray:
    """The scene in the folder as RGBA, 0 to 1."""
    command = [*POVRAY, f"+W{size[0]}", f"+H{size[1]}", f"+Q{quality}", "+A0.2", "+R3", "+Iscene.pov", "+Oout.png"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError("povray: " + " / ".join([line for line in done.stderr.splitlines() if line.strip()][-4:]))
    return np.asarray(Image.open(folder / "out.png").convert("RGBA"), np.float64) / 255


def photograph(folder: Path, size: tuple[int, int], clear: bool) -> Image.Image:
    """What is behind glass is taken to be white; the alpha is that of the outline, which the lowest quality draws opaque."""
    full = trace(folder, size, 9)
    alpha = (trace(folder, size, 0) if clear else full)[..., 3:]
    on_white = full[..., :3] * full[..., 3:] + 1 - full[..., 3:]
    colour = np.clip((on_white - (1 - alpha)) / np.maximum(alpha, 1 / 255), 0, 1)
    return Image.fromarray(np.round(np.concatenate([colour, alpha], 2) * 255).astype(np.uint8), "RGBA")
