"""What a video says of itself, its first frame, and the captions that came with it."""

from data_pipelines.captions import read_sidecar
from data_pipelines.decode import open_video
from data_pipelines.inputs.base import Source
from data_pipelines.places import place, source_id
from data_pipelines.quarantine import Reject
from data_pipelines.tables import Row


def probe(source: Source) -> list[Row]:
    """The row of `ingest` of one source. Raises Reject."""
    if source.fault:
        raise Reject(*source.fault)
    _check_name(source.name + source.path)
    id = source_id(source.path)
    captions = read_sidecar(source.sidecar) if source.sidecar else source.captions
    with open_video(source.path) as video:
        frame = next(iter(video.frames()))
        height, width = video.displayed_size(frame)
        row = {
            "id": id,
            "name": source.name,
            "path": source.path,
            "size": place(source.path).size(),
            "codec": video.codec,
            "height": height,
            "width": width,
            "captions": captions.to_json(),
        }
    return [row]


def _check_name(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise Reject("BAD_NAME", "the path of the file is not UTF-8") from error
