"""How fast batches are made, beside what reading the same bytes costs at the least.

    .venv/bin/python -m benchmarks.input                      # a few minutes, 0.6 GB of disk
    .venv-parity/bin/pip install webdataset                   # once, for its peer:
    .venv-parity/bin/python -m benchmarks.input --peer        # and PyTorch + WebDataset

128 latents of 4.19 MB (21, 60, 104, 16) in bfloat16, noise, in 4 ArrayRecord shards, read at
random from the page cache. CPU seconds are of this process, all its threads; wall clock is
what other work on the machine leaves.
"""

import argparse
import itertools
import json
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np

from benchmarks import input_peer
from videogen.data import records
from videogen.data.packs import Packs
from videogen.data.pipeline import Conditioning, make_batches
from videogen.data.plan import Bucket, Plan
from videogen.data.readers import Readers
from videogen.data.source import Clip, Shards, Source
from videogen.data.writer import shard_name, write_shard

SHAPE = (21, 60, 104, 16)
SHARDS, PER_SHARD, BATCH = 4, 32, 8
LATENCY_S = 0.05
ROUNDS = 5


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.input", description=__doc__)
    parser.add_argument(
        "--folder", help="where there is disk for 0.6 GB (1.2 with --peer)"
    )
    parser.add_argument(
        "--steps", type=int, default=256, help="batches of 8 a measurement"
    )
    parser.add_argument(
        "--peer", action="store_true", help="PyTorch and WebDataset too"
    )
    parser.add_argument(
        "--long", type=int, default=10_000, help="steps of the memory test"
    )
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="videogen-input-", dir=options.folder))
    try:
        rows = measure(root, options.steps, options.long)
        if options.peer:
            rows |= input_peer.measure(root / "tars", latents(), options.steps, BATCH)
    finally:
        shutil.rmtree(root)
    for name, value in rows.items():
        print(f"{name:<58}{value:>12.4g}")
    print(json.dumps(rows))
    return 0


def measure(root: Path, steps: int, long: int) -> dict[str, float]:
    """Name -> figure."""
    source, shards = write(root)
    order = np.random.default_rng(0).permutation(len(source))
    clips = BATCH * steps
    bare, fresh, ours = in_turn(
        lambda: read_bare(shards, order, steps),
        lambda: read_fresh(shards, order, steps),
        lambda: drain(batches(source, steps, threads=1)),
        clips=clips,
    )
    both = rate(lambda: drain(batches(source, steps, threads=2)), clips)
    rows = {
        "bare random read and one copy, clips / CPU s": bare,
        "host batch ready, 1 thread, clips / CPU s": ours,
        "  share of bare (asked: 0.8)": ours / bare,
        "  share of bare that copies into a new array a batch": ours / fresh,
        "host batch ready, 2 threads, clips / s": both.wall,
        "host to device, ms / batch": 1e3 * transfer(source),
    }
    plain = steady(source, 4 * steps, threads=48)
    late = steady(Slow(source, shards), 4 * steps, threads=48)
    rows["with 50 ms of latency a read, 48 threads, share (asked: 0.9)"] = late / plain
    rows["plan of 100 million clips, CPU ms / step"] = 1e3 * planning(plan_of_many())
    rows["packs of 100 million clips, CPU ms / step"] = 1e3 * planning(packs_of_many())
    rows[f"memory grown over {long} steps, MB"] = growth(long)
    return rows


def latents() -> Iterator[np.ndarray]:
    """The clips."""
    rng = np.random.default_rng(0)
    for _ in range(SHARDS * PER_SHARD):
        yield rng.standard_normal(SHAPE, np.float32).astype(records.BFLOAT16)


def write(root: Path) -> tuple[Source, Shards]:
    """The dataset as training sees it, and its records."""
    clips = enumerate(latents())
    infos = []
    for index in range(SHARDS):
        rows = (
            records.latent_record(
                id=f"{number:016x}",
                source_id=f"{number:016x}",
                latent_FHWC=latent_FHWC,
                fps=24.0,
                start_s=0.0,
                num_frames=81,
                height=480,
                width=832,
            )
            for number, latent_FHWC in itertools.islice(clips, PER_SHARD)
        )
        path = root / shard_name("latents", "train", index, SHARDS)
        infos.append(write_shard(path, rows))
    bucket = Bucket(
        name="f21_h60_w104",
        num_records=SHARDS * PER_SHARD,
        latent_shape=SHAPE,
        ids_sha256="",
    )
    shards = Shards(root, tuple(infos), Readers())
    return Source(bucket, shards), shards


class Slow(Source):
    """The same clips, from a storage that answers late."""

    def __init__(self, source: Source, shards: Shards):
        super().__init__(source.bucket, shards)

    def clip(self, *args, **options) -> Clip:
        time.sleep(LATENCY_S)
        return super().clip(*args, **options)


def batches(source: Source, steps: int, threads: int) -> Iterator[dict]:
    """What training reads."""
    null = Conditioning.of(
        np.zeros((1, 384), np.float32), length=32, drop_rate=0.1, seed=0
    )
    plan = Plan(buckets=(source.bucket,), seed=0, global_batch=BATCH)
    return make_batches(
        [source],
        plan,
        conditioning=null,
        stop_step=steps,
        num_threads=threads,
    )


def drain(iterator: Iterator[dict]) -> None:
    for _ in iterator:
        pass


def read_bare(shards: Shards, order: np.ndarray, steps: int) -> None:
    """Records at random, each copied once."""
    for number in range(BATCH * steps):
        np.frombuffer(shards[int(order[number % len(order)])], np.uint8).copy()


def read_fresh(shards: Shards, order: np.ndarray, steps: int) -> None:
    """The same into memory that is new, as batches that wait for the device are."""
    size = len(shards[0])
    for step in range(steps):
        batch = np.empty((BATCH, size), np.uint8)
        for row in range(BATCH):
            record = shards[int(order[(step * BATCH + row) % len(order)])]
            batch[row] = np.frombuffer(record, np.uint8)


class Rate:
    """Clips per CPU second and per second of the wall clock."""

    def __init__(self, clips: int, cpu_s: float, wall_s: float):
        self.cpu, self.wall = clips / cpu_s, clips / wall_s


def rate(work: Callable[[], None], clips: int) -> Rate:
    """Of the second of two runs: the first warms the page cache and the threads."""
    work()
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return Rate(clips, time.process_time() - cpu, time.perf_counter() - wall)


def planning(planned: Callable[[int], object], steps: int = 200) -> float:
    """CPU seconds a step, warm."""
    planned(0)
    start = time.process_time()
    for step in range(10**6, 10**6 + steps):
        planned(step)
    return (time.process_time() - start) / steps


def buckets_of_many(count: int) -> tuple[Bucket, ...]:
    """So many shapes, of 100 million clips in all."""
    shares = np.random.default_rng(0).dirichlet(np.ones(count))
    return tuple(
        Bucket(
            name=str(i),
            num_records=int(1 + 1e8 * share),
            latent_shape=(1, 1 + i, 8, 16),
            ids_sha256=str(i),
        )
        for i, share in enumerate(shares)
    )


def plan_of_many() -> Callable[[int], object]:
    """Batches of 256 clips of 12 shapes."""
    return Plan(buckets=buckets_of_many(12), seed=0, global_batch=256).batch


def packs_of_many() -> Callable[[int], object]:
    """64 rows of 32768 tokens, of clips of 40 lengths."""
    buckets = buckets_of_many(40)
    lengths = np.random.default_rng(1).choice(
        np.arange(100, 8000, 4), 40, replace=False
    )
    return Packs(
        buckets=buckets,
        tokens=tuple(lengths.tolist()),
        counts=tuple(bucket.num_records for bucket in buckets),
        seed=0,
        global_batch=64,
        row_tokens=32768,
        row_clips=64,
    ).rows


def in_turn(*works: Callable[[], None], clips: int) -> list[float]:
    """Clips per CPU second of each: medians, as the machine's own speed wanders."""
    rounds = [[rate(work, clips).cpu for work in works] for _ in range(ROUNDS)]
    return [statistics.median(found) for found in zip(*rounds, strict=True)]


def steady(source: Source, steps: int, threads: int) -> float:
    """Clips a second after as many steps as threads, which wait for the first answers."""
    iterator = batches(source, threads + steps, threads)
    drain(itertools.islice(iterator, threads))
    start = time.perf_counter()
    drain(iterator)
    return BATCH * steps / (time.perf_counter() - start)


def transfer(source: Source) -> float:
    """Seconds to put one batch on the device."""
    batch = next(batches(source, 1, threads=1))
    jax.block_until_ready(jax.device_put(batch))
    start = time.perf_counter()
    for _ in range(8):
        jax.block_until_ready(jax.device_put(batch))
    return (time.perf_counter() - start) / 8


def growth(steps: int) -> float:
    """MB of peak memory that the last nine tenths of so many steps add, small clips."""
    with tempfile.TemporaryDirectory() as folder:
        source = small(Path(folder))
        iterator = batches(source, steps, threads=2)
        for _ in range(steps // 10):
            next(iterator)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        drain(iterator)
        return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def small(root: Path) -> Source:
    """Clips of 32 KB."""
    shape = (1, 16, 64, 16)
    latent_FHWC = np.zeros(shape, records.BFLOAT16)
    info = write_shard(
        root / shard_name("latents", "train", 0, 1),
        (
            records.latent_record(
                id=f"{i:016x}",
                source_id="0",
                latent_FHWC=latent_FHWC,
                fps=24.0,
                start_s=0.0,
                num_frames=1,
                height=128,
                width=512,
            )
            for i in range(256)
        ),
    )
    bucket = Bucket(
        name="f1_h16_w64", num_records=256, latent_shape=shape, ids_sha256=""
    )
    return Source(bucket, Shards(root, (info,), Readers()))


if __name__ == "__main__":
    raise SystemExit(main())
