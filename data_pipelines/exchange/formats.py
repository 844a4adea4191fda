"""The formats that `import` reads: their files, reader, and names of tensors."""

import dataclasses

from data_pipelines.exchange.fastvideo import LATENT, TEXT, read_fastvideo
from data_pipelines.exchange.pickled import read_pickled
from data_pipelines.exchange.record import Reader
from data_pipelines.exchange.safetensor import read_safetensors
from data_pipelines.exchange.tfrecord import read_tfrecord


@dataclasses.dataclass(frozen=True, kw_only=True)
class Format:
    """One kind of file."""

    suffixes: tuple[str, ...]
    read: Reader
    latents: str = "latents"
    text: str = ""  # how its own programs name the text, told in --help


FORMATS: dict[str, Format] = {
    "safetensors": Format(suffixes=(".safetensors",), read=read_safetensors),
    "pt": Format(suffixes=(".pt", ".pth"), read=read_pickled),
    "tfrecord": Format(
        suffixes=(".tfrec", ".tfrecord", ".tfrecords"),
        read=read_tfrecord,
        text="encoder_hidden_states",
    ),
    "fastvideo": Format(
        suffixes=(".parquet",), read=read_fastvideo, latents=LATENT, text=TEXT
    ),
}
