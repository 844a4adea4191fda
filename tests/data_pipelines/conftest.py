"""Small videos with known cuts, drawn and coded by PyAV; all phases at once."""

import fractions
import json
import pathlib
from collections.abc import Callable, Sequence

import av
import numpy as np
import pytest
from fake_endpoint import serving

from data_pipelines.encode_settings import EncodeSettings
from data_pipelines.phases import Run
from data_pipelines.settings import (
    DedupSettings,
    IngestSettings,
    ScoreSettings,
    SelectSettings,
    ShotsSettings,
)
from data_pipelines.tables import Tables
from data_pipelines.units import Engine
from videogen.data import example
from videogen.data.tfds_layout import INFO
from videogen.data.writer import write_shard

BACKGROUNDS = ((200, 40, 40), (30, 160, 60), (40, 60, 210), (220, 220, 60))
WIDTH, HEIGHT = 96, 64


def draw(number: int, scene: int, height: int, width: int) -> np.ndarray:
    """A white square that moves over the scene's background."""
    image = np.empty((height, width, 3), np.uint8)
    image[:] = BACKGROUNDS[scene % len(BACKGROUNDS)]
    left, top = 2 * number % (width - 16), number % (height - 16)
    image[top : top + 16, left : left + 16] = 255
    return image


def write_video(
    path: pathlib.Path,
    scenes: Sequence[int],
    *,
    fps: fractions.Fraction | int = 24,
    height: int = HEIGHT,
    width: int = WIDTH,
    codec: str = "libx264",
    first: int = 0,
    container_options: dict[str, str] | None = None,
) -> pathlib.Path:
    """A video of `scenes[i]` frames of scene i, cut hard from one to the next."""
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if codec == "libx264":
            stream.options = {"crf": "12"}
        number = first
        for scene, count in enumerate(scenes):
            for _ in range(count):
                image = draw(number, scene, height, width)
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                container.mux(stream.encode(frame))
                number += 1
        container.mux(stream.encode())
    return path


def settings_for(videos: pathlib.Path, **changes) -> dict:
    """Of small overlapping clips and no conditions; `encode=...` replaces a phase's."""
    settings = {
        "ingest": IngestSettings(videos=str(videos)),
        "shots": ShotsSettings(
            min_seconds=8 / 24, max_seconds=8 / 24, stride_seconds=4 / 24
        ),
        "score": ScoreSettings(),
        "dedup": DedupSettings(max_distance=0),  # what we draw is all alike
        "select": SelectSettings(where=""),
        "encode": EncodeSettings(
            buckets="9x32x48", text_encoder="hash", shard_mib=0.011
        ),
    }
    return {**settings, **changes}


def run_phases(videos, out, engine=None, overwrite=False, say=None, **changes):
    """All phases: (what dataset.json says, whether it was there already)."""
    run = Run(
        tables=Tables(out / "tables"),
        out=out,
        engine=engine or Engine(),
        overwrite=overwrite,
        say=say or (lambda line: None),
    )
    return run.all(settings_for(videos, **changes))


@pytest.fixture(scope="session")
def run_all() -> Callable[..., tuple]:
    return run_phases


@pytest.fixture(scope="session")
def make_video() -> Callable[..., pathlib.Path]:
    return write_video


def write_prepared(folder: pathlib.Path, records: Sequence, split="train") -> str:
    """What --videos calls a TFDS dataset of one file, of records of {field: value}."""
    shard = f"set-{split}.array_record-00000-of-00001"
    write_shard(folder / shard, map(example.encode, records))
    splits = [{"name": split, "shardLengths": [str(len(records))]}]
    info = {"fileFormat": "array_record", "name": "set", "splits": splits}
    (folder / INFO).write_text(json.dumps(info))
    return f"tfds:{folder}"


@pytest.fixture(scope="session")
def prepare() -> Callable[..., str]:
    return write_prepared


@pytest.fixture
def fake(monkeypatch):
    """An endpoint of a model that writes captions."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving() as endpoint:
        yield endpoint


@pytest.fixture
def sound_alone(tmp_path) -> pathlib.Path:
    """A file that opens, with sound and no picture."""
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        samples = np.zeros((1, 4096), np.float32)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
