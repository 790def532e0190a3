"""Where things are: in the source tree, or in a bundle of tools/gpu-bundle."""
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUNDLED = (ROOT / "gpu-run").exists()
BGDET = [str(ROOT / "gpu-run"), str(ROOT / "bin/bgdet")] if BUNDLED else [str(ROOT / "build/release/bgdet")]  # how to run it
CARDS = ROOT / ("photos" if BUNDLED else "samples/cards")


def card_files(folder: Path) -> list[str]:
    """The JPEG files in it: what all peers can decode."""
    return sorted(str(path.resolve()) for path in folder.glob("*.jpg"))
