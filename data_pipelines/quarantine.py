"""What cannot be used is set aside with a code and a reason; the run goes on."""

import dataclasses
import json
from collections.abc import Iterable

CODES = {
    # of a file
    "UNREADABLE": "the file cannot be opened, or is no video",
    "BAD_NAME": "the path of the file is not UTF-8, so no table can hold it",
    "NO_VIDEO_STREAM": "the file opens, but holds no video",
    "UNSUPPORTED_CODEC": "no decoder for the video stream",
    "TRUNCATED": "fewer frames than the container declares, or a file that is cut",
    "DECODE_ERROR": "the decoder fails, or reports a corrupt frame",
    "ZERO_FRAMES": "the video stream decodes to nothing",
    "BAD_TIMESTAMPS": "a frame without a time, or times that do not rise",
    "TOO_LARGE": "more pixels or frames than the decoder is allowed",
    "BAD_SIDECAR": "the captions that came with the video cannot be understood",
    "BAD_ROW": "the row of a manifest cannot be understood",
    "MISSING": "a manifest names the file, but it is not there",
    "DUPLICATE": "the same bytes as an earlier video, or nearly the same frames",
    # of a file of latents made elsewhere
    "NO_TENSOR": "it has no tensor of the name that was given",
    "BAD_TENSOR": "of another rank, width or type, or with values that are not finite",
    "DAMAGED": "its bytes are not those of its checksums",
    "UNTRUSTED": "reading it would run code that it names",
    # of the machine, perhaps: tried again
    "TIMEOUT": "the work on it did not end in time",
    "CRASH": "an error that nobody foresaw, or the death of the process",
    "OOM": "the work on it needed more memory than it may have",
    "IO": "the system cannot read the file, or not now",
    # of a clip
    "TOO_SHORT": "no shot is long enough for a clip, or the clip for a bucket",
    "TOO_SMALL": "smaller than every bucket: it would have to be enlarged",
    "LOW_FPS": "fewer frames per second than the clips: some would repeat",
    "HELD_OUT": "shares time with a clip that is held out for validation",
    "LOW_MOTION": "nearly still",
    "HIGH_MOTION": "everything changes all the time",
    "BLUR": "few edges",
    "DARK": "too dark",
    "OVEREXPOSED": "too bright",
    "BORDER": "black bars",
    "TEXT": "text over the picture",
    "WATERMARK": "a watermark",
    "UNSAFE": "not safe",
    "LOW_SCORE": "another condition of --where is false",
}
RETRYABLE = {  # and what may help
    "TIMEOUT": "a longer --timeout-s may help",
    "CRASH": "more --memory-gib may help",
    "OOM": "more --memory-gib may help",
    "IO": "look whether the files can be read",
}
FILE = "quarantine.jsonl"


class Reject(Exception):  # noqa: N818  a verdict on one video, never seen by users
    """Raised while a video is read, to set it aside."""

    def __init__(self, code: str, reason: str):
        assert code in CODES, code
        super().__init__(code, reason)  # both, so that it survives pickling
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.code}: {self.reason}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rejected:
    """One line of quarantine.jsonl."""

    phase: str
    id: str  # of the clip, or of the source when all its clips are meant
    name: str  # of the video, as `ingest` has it
    code: str
    reason: str


def to_lines(rejected: Iterable[Rejected]) -> str:
    """A line of JSON each."""
    lines = (json.dumps(dataclasses.asdict(item)) + "\n" for item in rejected)
    return "".join(lines)


def from_lines(text: str) -> list[Rejected]:
    return [Rejected(**json.loads(line)) for line in text.splitlines()]
