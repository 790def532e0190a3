"""The photos that cards are made of: which ones, on which side of the split, and the object cut out of each."""
from __future__ import annotations

import csv
import functools
import multiprocessing
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

WORKING_SIDE = 320  # cards are composed at this size: small enough to be quick, large enough for 5 px letters to blur

# Whole shops kept out of training, so that validation meets kinds of goods, lights and cameras that were never seen.
HELD_OUT_REPOS = {
    "asrobin1052/Fusion-Tech-2.0-Online-Shop", "oroinc/orocommerce", "thanglb2005/Web_MyPham",
    "zzalobeiuzz/website_banmypham", "microsoft/TailwindTraders-Backend", "grandnode/grandnode2",
    "Kamii-Samaa/Product-Images", "thelia/thelia",
}
LOOSE, STRICT = 236, 246  # how dark the white of a photo's background may be
BACKGROUND_KINDS = {"scene", "scene_room", "scene_not_white"}
# Pictures labelled by eye, to measure on and, of other shops, to calibrate on: no card is made of them.
REAL_CARDS = Path(__file__).with_name("real.csv")
CALIBRATION_CARDS = Path(__file__).with_name("real-calibration.csv")
# What an eye found in the photos that the index does not tell: several things, a smear, a cut (unfit for a clean card), or
# that a cut-out is of beauty.
FINDINGS = Path(__file__).with_name("photos.csv")

# Of the drawn objects, those that cosmetics and food are photographed with.
INGREDIENTS = (
    "avocado", "banana", "blueberries", "bouquet", "cactus", "carrot", "cherries", "chocolate_bar", "coconut", "cucumber",
    "egg", "garlic", "glass_of_milk", "grapes", "green_apple", "honey_pot", "kiwi", "lemon", "mango", "melon", "olive", "peach",
    "pear", "pineapple", "potted_plant", "red_apple", "salt", "soap", "sponge", "strawberry", "tomato", "watermelon",
)


@dataclass
class Product:
    """One clean photo: as it came (rgb) and the object cut out of it (rgba), both at most WORKING_SIDE a side."""

    file: str
    key: str  # shared by other colours and views of the same thing
    group: str  # people, beauty, goods
    rgb: Image.Image
    rgba: Image.Image
    mask: Image.Image  # of the object in rgb, 0 or 255; rgba is its bounding box
    touches: frozenset[str]  # the edges of the photo that the object reaches
    render: bool  # one of the collections' drawings: no photo, and unlike what render.py draws, not like one

    @property
    def whole(self) -> bool:
        """Nothing of the object is outside of the photo, so that cutting it is up to us."""
        return not self.touches

    @property
    def anchor(self) -> str:
        """The one edge where a person's photo ends, at waist, knee or neck: there the card must end, too. Else nothing."""
        return next(iter(self.touches)) if self.group == "people" and self.touches in ({"top"}, {"bottom"}) else ""

    @property
    def movable(self) -> bool:
        """It can be put elsewhere than in its photo: anywhere, or along one edge."""
        return self.whole or bool(self.anchor)

    @property
    def ingredient(self) -> bool:
        return self.render and any(f"_{name}_3d" in self.file for name in INGREDIENTS)


def read_index(data: Path) -> list[dict[str, str]]:
    with open(data / "INDEX.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def noted(path: Path, column: str) -> dict[str, str]:
    """What a list beside this file says of pictures; nothing where it is not at hand."""
    if not path.exists():
        return {}
    with open(path, newline="", encoding="utf-8") as file:
        return {row["file"]: row[column] for row in csv.DictReader(file)}


def product_key(row: dict[str, str]) -> str:
    return f"{row['source_repo']}:{row['product_key']}"


def is_validation(row: dict[str, str]) -> bool:
    """Held-out shops, and of the other shops every tenth product (by its key, so that colour variants stay together)."""
    return row["source_repo"] in HELD_OUT_REPOS or zlib.crc32(product_key(row).encode()) % 10 == 0


def flatten(rgba: Image.Image, colour: tuple[int, int, int] = (255, 255, 255)) -> Image.Image:
    base = Image.new("RGB", rgba.size, colour)
    base.paste(rgba, mask=rgba.getchannel("A"))
    return base


def picture(path: Path, size: tuple[int, int]) -> np.ndarray:
    """(h, w, 3) bytes: a file as the engine would show it to a network, every pixel decoded."""
    image = ImageOps.exif_transpose(Image.open(path))
    image = flatten(image.convert("RGBA")) if "A" in image.getbands() or "transparency" in image.info else image.convert("RGB")
    return np.asarray(image.resize(size, Image.BILINEAR))


def unreached(darkest: np.ndarray, level: int) -> Image.Image:
    """255 where a flood from the border over all that is `level` or lighter does not come."""
    flood = Image.fromarray(((darkest >= level) * 255).astype(np.uint8))
    flood = ImageOps.expand(flood, 1, 255)  # a white ring joins every border pixel, so one seed reaches them all
    ImageDraw.floodfill(flood, (0, 0), 128)
    return flood.crop((1, 1, flood.width - 1, flood.height - 1)).point(lambda v: 0 if v == 128 else 255)


def object_mask(rgb: Image.Image) -> np.ndarray:
    """True where the object is: all that a flood of near-white from the border does not reach.

    A flood down to LOOSE leaks into white objects. One that keeps to the border's own white does not, but stops at the noise
    that JPEG leaves around objects; so of what it spares beyond the first only broad parts are taken for object.
    """
    darkest = np.asarray(rgb).min(axis=2)
    border = np.concatenate([darkest[0], darkest[-1], darkest[:, 0], darkest[:, -1]])
    ground = np.percentile(border[border >= LOOSE], 10) if (border >= LOOSE).any() else LOOSE
    loose, strict = unreached(darkest, LOOSE), unreached(darkest, int(np.clip(ground - 6, LOOSE, STRICT)))
    leaked = ImageChops.subtract(strict, loose).filter(ImageFilter.MinFilter(7)).filter(ImageFilter.MaxFilter(9))
    mask = ImageOps.expand(ImageChops.lighter(loose, ImageChops.darker(leaked, strict)), 2, 0)
    mask = mask.filter(ImageFilter.MaxFilter(5)).filter(ImageFilter.MinFilter(5))  # closes cracks that letters left
    whole = unreached(255 - np.asarray(mask), 128)  # holes that are closed now are of the object
    return np.asarray(whole)[2:-2, 2:-2] > 0


def cut_out(image: Image.Image, has_alpha: bool) -> tuple[Image.Image, Image.Image, np.ndarray]:
    """The photo on white, the photo with alpha, and the object's mask."""
    image = image.convert("RGBA" if has_alpha else "RGB")
    image.thumbnail((WORKING_SIDE, WORKING_SIDE))
    if has_alpha:
        return flatten(image), image, np.asarray(image.getchannel("A")) > 128
    mask = object_mask(image)
    # Soft by one pixel, or every pasted object would carry a rim of the old background.
    alpha = Image.fromarray((mask * 255).astype(np.uint8)).filter(ImageFilter.MinFilter(3))
    rgba = image.copy()
    rgba.putalpha(alpha.filter(ImageFilter.GaussianBlur(0.7)))
    return image, rgba, mask


def touched(mask: Image.Image) -> frozenset[str]:
    """The edges of the photo that its object reaches."""
    left, top, right, bottom = mask.getbbox()
    reached = {"left": left <= 1, "top": top <= 1, "right": right >= mask.width - 1, "bottom": bottom >= mask.height - 1}
    return frozenset(edge for edge, there in reached.items() if there)


def group_of(row: dict[str, str], found: dict[str, str]) -> str:
    return row["file"].split("/")[1] if row["file"].startswith("clean/") else found.get(row["file"], "goods")


def load_product(data: Path, found: dict[str, str], row: dict[str, str]) -> Product | None:
    """None where no object can be told from its background (white on white, or filling everything)."""
    is_cutout = row["kind"].startswith("cutout")
    rgb, rgba, mask = cut_out(Image.open(data / row["file"]), is_cutout)
    if not 0.02 < mask.mean() < 0.97:
        return None
    mask_image = Image.fromarray((mask * 255).astype(np.uint8))
    touches = frozenset() if is_cutout else touched(mask_image)
    return Product(file=row["file"], key=product_key(row), group=group_of(row, found), rgb=rgb,
                   rgba=rgba.crop(mask_image.getbbox()), mask=mask_image, touches=touches,
                   render=row["kind"] == "cutout_3d_render")


def load_background(data: Path, row: dict[str, str]) -> Image.Image:
    photo = Image.open(data / row["file"]).convert("RGB")
    photo.thumbnail((WORKING_SIDE, WORKING_SIDE))
    return photo


def load(data: Path, validation: bool, renders: Path | None = None) -> tuple[list[Product], list[Image.Image]]:
    """The products and background photos of one side of the split, in the order of the index; then what render.py drew."""
    found = noted(FINDINGS, "found")
    unfit = {file for file, finding in found.items() if finding != "beauty"}
    judged = {*noted(REAL_CARDS, "file"), *noted(CALIBRATION_CARDS, "file")}
    index = read_index(data)
    # In whatever photo: training must not know them.
    shown = set() if validation else {product_key(row) for row in index if row["file"] in judged}
    rows = [row for row in index if is_validation(row) == validation and row["file"] not in unfit | judged
            and not (row["file"].startswith(("clean/", "cutouts/")) and product_key(row) in shown)]
    with multiprocessing.Pool() as pool:
        backgrounds = pool.map(functools.partial(load_background, data),
                               [row for row in rows if row["kind"] in BACKGROUND_KINDS])
        products = pool.map(functools.partial(load_product, data, found),
                            [row for row in rows if row["file"].startswith(("clean/", "cutouts/"))], chunksize=16)
        if renders:
            drawn = [row for row in read_index(renders) if is_validation(row) == validation]
            beauty = {row["file"]: "beauty" for row in drawn}
            products += pool.map(functools.partial(load_product, renders, beauty), drawn, chunksize=16)
    return [product for product in products if product], backgrounds
