"""Videos that cannot be used: set aside with a code and a reason; the run goes on."""

import dataclasses
import json
import pathlib
from collections.abc import Iterable

CODES = {
    "UNREADABLE": "the file cannot be opened, or is no video",
    "NO_VIDEO_STREAM": "the file opens, but holds no video",
    "UNSUPPORTED_CODEC": "no decoder for the video stream",
    "TRUNCATED": "fewer frames than the container declares",
    "DECODE_ERROR": "the decoder fails, or reports a corrupt frame",
    "ZERO_FRAMES": "the video stream decodes to nothing",
    "BAD_TIMESTAMPS": "a frame without a time, or times that do not rise",
    "TOO_LARGE": "more pixels or frames than the decoder is allowed",
    "TOO_SMALL": "smaller than the clips: it would have to be enlarged",
    "TOO_SHORT": "no shot is long enough for a clip",
    "LOW_FPS": "fewer frames per second than the clips: some would repeat",
    "BAD_SIDECAR": "the caption file beside the video cannot be understood",
    "CRASH": "an error that nobody foresaw, by its type and message",
    "DUPLICATE": "the same bytes as an earlier video",
}
FILE = "quarantine.jsonl"


class Reject(Exception):  # noqa: N818  a verdict on one video, never seen by users
    """Raised while a video is read, to set it aside."""

    def __init__(self, code: str, reason: str):
        assert code in CODES, code
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rejected:
    """One line of quarantine.jsonl."""

    name: str  # of the video, relative to its folder
    code: str
    reason: str


def write(directory: pathlib.Path, rejected: Iterable[Rejected]) -> None:
    """Writes <directory>/quarantine.jsonl, empty when every video is good."""
    lines = (json.dumps(dataclasses.asdict(item)) + "\n" for item in rejected)
    pathlib.Path(directory, FILE).write_text("".join(lines))
