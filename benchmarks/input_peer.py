"""The same clips through PyTorch: a shuffled WebDataset of tars and a DataLoader."""

import io
import tarfile
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

PER_TAR = 32


def measure(
    root: Path, latents: Iterable[np.ndarray], steps: int, batch: int
) -> dict[str, float]:
    """Clips per second of the wall clock, with as many workers as ours has threads."""
    import torch
    import webdataset as wds

    urls = write_tars(root, latents)

    def decode(sample: dict[str, bytes]) -> torch.Tensor:
        return torch.frombuffer(bytearray(sample["bin"]), dtype=torch.bfloat16)

    dataset = (
        wds.WebDataset(urls, shardshuffle=True, seed=0, empty_check=False)
        .shuffle(32)
        .map(decode)
        .repeat()
    )
    loader = torch.utils.data.DataLoader(dataset, batch_size=batch, num_workers=2)
    iterator = iter(loader)
    for _ in range(8):
        next(iterator)
    start = time.perf_counter()
    for _ in range(steps):
        next(iterator)
    seconds = time.perf_counter() - start
    return {
        "PyTorch DataLoader + WebDataset, 2 workers, clips / s": batch * steps / seconds
    }


def write_tars(root: Path, latents: Iterable[np.ndarray]) -> list[str]:
    """Tars of `PER_TAR` clips; their paths."""
    root.mkdir(parents=True)
    tars: list[tarfile.TarFile] = []
    for number, latent_FHWC in enumerate(latents):
        if number % PER_TAR == 0:
            tars.append(tarfile.open(root / f"{len(tars):05d}.tar", "w"))
        data = latent_FHWC.tobytes()
        entry = tarfile.TarInfo(f"{number:08d}.bin")
        entry.size = len(data)
        tars[-1].addfile(entry, io.BytesIO(data))
    for tar in tars:
        tar.close()
    return [str(Path(str(tar.name))) for tar in tars]
