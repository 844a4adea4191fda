"""FastVideo's Parquet rows of text-to-video: tensors as bytes, shape and dtype.

The fields and their order are those of pyarrow_schema_t2v in hao-ai-lab/FastVideo,
fastvideo/dataset/dataloader/schema.py. Its loader (fastvideo/dataset/utils.py) takes all bytes
for float32, whatever the dtype says, so that is what we write: a bfloat16 is one exactly.
Latents are (C, F, H, W), unnormalised; `num_frames` counts latent frames, as its own
preprocessing has it; text is of the valid tokens, which its loader pads.
"""

import io
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from data_pipelines.exchange.record import Places, Record, Tensor, view, wanted
from data_pipelines.quarantine import Reject
from videogen.data.writer import write_file

LATENT, TEXT = "vae_latent", "text_embedding"
ROWS_PER_FILE = 8  # as its preprocessing


def _triplet(name: str) -> list[pa.Field]:
    return [
        pa.field(f"{name}_bytes", pa.binary()),
        pa.field(f"{name}_shape", pa.list_(pa.int64())),
        pa.field(f"{name}_dtype", pa.string()),
    ]


SCHEMA = pa.schema(
    [
        pa.field("id", pa.string()),
        *_triplet(LATENT),
        *_triplet(TEXT),
        pa.field("file_name", pa.string()),
        pa.field("caption", pa.string()),
        pa.field("media_type", pa.string()),
        *(pa.field(name, pa.int64()) for name in ("width", "height", "num_frames")),
        *(pa.field(name, pa.float64()) for name in ("duration_sec", "fps")),
    ]
)


def read_fastvideo(path: str, places: Places = None) -> Iterator[Record]:
    """The rows of a file. Reject for what is no Parquet, or not of these triplets."""
    try:
        file = parquet.ParquetFile(path)
        place = 0
        for batch in file.iter_batches(batch_size=1):
            for row in batch.to_pylist():
                if wanted(place, places):
                    yield _record(place, row)
                place += 1
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise Reject("UNREADABLE", f"no whole Parquet file: {reason}") from error


def write_fastvideo(path: pathlib.Path, rows: Sequence[dict[str, Any]]) -> None:
    """Whole or not at all."""
    sink = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(list(rows), schema=SCHEMA), sink)
    write_file(path, sink.getvalue())


def triplet(name: str, values: np.ndarray) -> dict[str, Any]:
    """The three columns of a tensor."""
    values = np.ascontiguousarray(values, np.float32)
    return {
        f"{name}_bytes": values.tobytes(),
        f"{name}_shape": list(values.shape),
        f"{name}_dtype": "float32",
    }


def _record(place: int, row: Mapping[str, Any]) -> Record:
    names = [x.removesuffix("_bytes") for x in row if x.endswith("_bytes")]
    tensors = {
        name: _tensor(name, row)
        for name in names
        if row.get(f"{name}_shape") is not None and row[f"{name}_bytes"] is not None
    }
    facts = {x: row[x] for x in ("id", "caption", "fps") if row.get(x)}
    if row.get("file_name"):
        facts["source_id"] = row["file_name"]
    return Record(place=place, tensors=tensors, facts=facts)


def _tensor(name: str, row: Mapping[str, Any]) -> Tensor:
    shape, data = tuple(row[f"{name}_shape"]), row[f"{name}_bytes"]
    dtype = (row.get(f"{name}_dtype") or "float32").removeprefix("torch.")
    return Tensor(shape=shape, load=lambda: view(data, dtype, shape))
