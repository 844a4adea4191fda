"""What a video file says of itself, its first frame, and the captions beside it."""

import dataclasses
import json
import pathlib

from data_pipelines.captions import read_sidecar
from data_pipelines.decode import open_video
from data_pipelines.quarantine import Reject
from data_pipelines.sources import Source, source_id
from data_pipelines.tables import Row


def probe(source: Source) -> list[Row]:
    """The row of `ingest` of one source. Raises Reject."""
    _check_name(source.path)
    id = source_id(source.path)
    captions = read_sidecar(source.sidecar)
    with open_video(source.path) as video:
        frame = next(iter(video.frames()))
        height, width = video.displayed_size(frame)
        row = {
            "id": id,
            "name": source.name,
            "path": source.path,
            "size": pathlib.Path(source.path).stat().st_size,
            "codec": video.codec,
            "height": height,
            "width": width,
            "captions": json.dumps(dataclasses.asdict(captions)),
        }
    return [row]


def _check_name(path: str) -> None:
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise Reject("BAD_NAME", "the path of the file is not UTF-8") from error
