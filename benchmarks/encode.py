"""What the phase encode costs beside PyAV alone, which decodes to rgb24 at the target size.

    OPENBLAS_NUM_THREADS=1 .venv/bin/python -m benchmarks.encode    # ten minutes on two cores
    .venv/bin/python -m benchmarks.encode --sizes=64x96 --repeats=1

The video is the quickstart's bigbuckbunny.mp4 again and again: 1280x720, H.264, 24 frames per
second, so that clips of 17 frames, one after the other, hold every frame once. Figures are
frames per CPU second of all threads and of the processes that decode, without what is done
once: the work is done twice, and what it costs to do once is taken off. All are measured in
turn, again and again; the median is told. OpenBLAS's threads, of the fit alone, wait busily
on a machine that has other work: with one of them, CPU seconds are work.
"""

import argparse
import json
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import jax.numpy as jnp

from data_pipelines.buckets import Bucket, parse_buckets
from data_pipelines.clips import Caption, Clip
from data_pipelines.encode_settings import EncodeSettings
from data_pipelines.guard import Limits, end_idle
from data_pipelines.pixels import read_levels
from data_pipelines.plan import Shard
from data_pipelines.quickstart import find_videos
from data_pipelines.shard import ShardEncoder
from data_pipelines.sources import source_id
from videogen import tokenizers
from videogen.tokenizers.linear import STRIDES, Fitter

FPS, FRAMES, CLIPS, CHANNELS = 24, 17, 32, 16
ASKED = 0.7
LIMITS = Limits()


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.encode", description=__doc__)
    parser.add_argument("--sizes", default="64x96,256x384", help="height x width, ...")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    sizes = arguments.sizes.split(",")
    tokenizers.KINDS["picks"] = tokenizers.Kind(
        strides=STRIDES, load=Picks, fitter=Fitter
    )
    root = Path(tempfile.mkdtemp(prefix="videogen-encode-"))
    try:
        video = write_video(root / "a.mp4")
        found = {
            size: measure(works(root, video, size), arguments.repeats) for size in sizes
        }
    finally:
        shutil.rmtree(root)
    print(f"{'frames per CPU second':<46}" + "".join(f"{s:>16}" for s in sizes))
    for name in found[sizes[0]]:
        cells = "".join(cell(found[size], name) for size in sizes)
        print(f"{name:<46}{cells}")
    print(f"in brackets: the share of the first; asked of the encodings: {ASKED}")
    print(json.dumps(found))
    return 0


def cell(rates: dict[str, list[float]], name: str) -> str:
    alone, own = (
        statistics.median(of) for of in (next(iter(rates.values())), rates[name])
    )
    return f"{own:>9.0f} ({own / alone:.2f})"


def measure(
    named: dict[str, Callable[[], object]], repeats: int
) -> dict[str, list[float]]:
    """Name -> frames per CPU second, each time."""
    rates = {name: [] for name in named}
    for _ in range(repeats):
        for name, work in named.items():
            rates[name].append(rate(work))
    return rates


def works(root: Path, video: Path, size: str) -> dict[str, Callable[[], object]]:
    """What is measured, by name."""
    height, width = map(int, size.split("x"))
    (bucket,) = parse_buckets(f"{FRAMES}x{size}", STRIDES)
    shard = plan(video, bucket)
    linear = fit(shard)
    linear_file = linear.save(str(root))

    def encoder(kind: str, file: str) -> Callable[[], object]:
        settings = EncodeSettings(
            buckets=f"{FRAMES}x{size}",
            tokenizer=kind,
            channels=CHANNELS,
            text_encoder="hash",
        )
        encode = ShardEncoder(root, root / "parts", settings, file, LIMITS)
        return lambda: encode((0, shard))

    def read() -> None:
        for _ in read_levels(shard.clips, bucket.size, FPS, LIMITS):
            pass

    return {
        "PyAV alone, to rgb24": lambda: decode(video, height, width),
        "clips cropped, here": read,
        "  encode, by a tokenizer that picks pixels": encoder("picks", ""),
        "  encode, by the linear tokenizer": encoder("linear", linear_file),
        "the linear tokenizer's fit": lambda: fit(shard),
    }


def write_video(path: Path) -> Path:
    """The frames of all clips."""
    (source,) = (path for path, _ in find_videos() if path.stem == "bigbuckbunny")
    with av.open(str(source)) as container:
        frames = [f.to_ndarray(format="yuv420p") for f in container.decode(video=0)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "20"})
        stream.height, stream.width, stream.pix_fmt = 720, 1280, "yuv420p"
        for number in range(FRAMES * CLIPS):
            image = frames[number % len(frames)]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "yuv420p")))
        container.mux(stream.encode())
    return path


def plan(video: Path, bucket: Bucket) -> Shard:
    """Every frame in one clip."""
    clips = (
        Clip(
            id=f"{number:016x}",
            source_id=source_id(str(video)),
            path=str(video),
            start_s=number * FRAMES / FPS,
            first_frame=number * FRAMES,
            last_frame=(number + 1) * FRAMES - 1,
            captions=(Caption(text="a rabbit"),),
            label=-1,
        )
        for number in range(CLIPS)
    )
    return Shard(bucket=bucket, split="train", index=0, count=1, clips=tuple(clips))


def decode(video: Path, height: int, width: int) -> None:
    """What anybody would write."""
    with av.open(str(video)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for frame in container.decode(video=0):
            frame.to_ndarray(format="rgb24", height=height, width=width)


def fit(shard: Shard) -> tokenizers.LinearTokenizer:
    fitter = Fitter()
    for _, levels_THWC in read_levels(shard.clips, shard.bucket.size, FPS, LIMITS):
        fitter.update(levels_THWC[None])
    return fitter.finish(CHANNELS)


class Picks:
    """A tokenizer that does nothing: of each block of pixels it takes one, many times."""

    channels = CHANNELS

    def __init__(self, path: Path):
        """Of no file."""

    def encode(self, pixels_BTHWC):
        """latent_BFHWC as large as any of this shape."""
        t, h, w = STRIDES
        picked_BFHWC = pixels_BTHWC[:, ::t, ::h, ::w]
        return jnp.tile(picked_BFHWC, -(-CHANNELS // 3))[..., :CHANNELS]


def rate(work: Callable[[], object]) -> float:
    """Frames per CPU second of `work`, without what is done once."""
    once, twice = (cpu_s(work, times) for times in (1, 2))
    return FRAMES * CLIPS / (twice - once)


def cpu_s(work: Callable[[], object], times: int) -> float:
    """Of this process and of those that it has started and ended."""

    def used() -> float:
        end_idle()
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + children.ru_utime + children.ru_stime

    before = used()
    for _ in range(times):
        work()
    return used() - before


if __name__ == "__main__":
    raise SystemExit(main())
