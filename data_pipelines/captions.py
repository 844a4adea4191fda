"""Captions that come with a video: name.json or name.txt beside name.mp4, or in a record.

    name.txt    the caption, one text for the whole video
    name.json   {"caption": "...", "label": 3,
                 "shots": [{"start_s": 0.0, "end_s": 1.2, "caption": "..."}, ...]}

All keys are optional. A clip takes the caption of the span of `shots` that it overlaps
most, else the video's `caption`, else none: a null caption, stored as such and counted.
`label` is a class for class-conditional models; -1 means none. Of a TFDS record the fields
are a text and `label`.
"""

import dataclasses
import json
import pathlib

from data_pipelines.places import Field, place, refused
from data_pipelines.quarantine import Reject

NO_LABEL = -1
MOST_LABEL = 2**63 - 1  # records keep 64 bits
_KEYS = {"caption", "label", "shots"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Span:
    """A caption of a part of a video, in seconds from its first frame."""

    start_s: float
    end_s: float
    caption: str | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Captions:
    """What is said about one video."""

    caption: str | None = None
    label: int = NO_LABEL
    spans: tuple[Span, ...] = ()
    spans_only: bool = False  # the rest of the video is not wanted

    def to_json(self) -> str:
        """What `ingest` keeps: the JSON of the fields."""
        fields = dataclasses.asdict(self)
        if not self.spans_only:
            del fields["spans_only"]
        return json.dumps(fields)

    @classmethod
    def from_json(cls, text: str) -> "Captions":
        data = json.loads(text)
        spans = tuple(Span(**span) for span in data.pop("spans"))
        return cls(spans=spans, **data)

    def at(self, start_s: float, end_s: float) -> str | None:
        """The caption of a clip of these seconds, or None."""
        overlaps = [
            (min(end_s, span.end_s) - max(start_s, span.start_s), -index)
            for index, span in enumerate(self.spans)
        ]
        overlap, index = max(overlaps, default=(0.0, 0))
        return self.spans[-index].caption if overlap > 0 else self.caption


def read_sidecar(path: str | None) -> Captions:
    """The captions of a sidecar; none without one. Raises Reject(BAD_SIDECAR or IO)."""
    if path is None:
        return Captions()
    try:
        if isinstance(field := place(path), Field):
            return _of_record(field.record(), field.name)
        return read_text(pathlib.Path(path).name, pathlib.Path(path).read_bytes())
    except OSError as error:
        raise refused("BAD_SIDECAR", error) from error


def read_text(name: str, content: bytes, *, key: str = "") -> Captions:
    """The captions of name.txt or name.json. Raises Reject(BAD_SIDECAR).

    With a `key` the JSON may be anybody's: that key holds the caption, others may be there.
    """
    try:
        text = content.decode()
        if name.endswith(".txt"):
            return Captions(caption=text.strip() or None)
        data = json.loads(text)
        if key and isinstance(data, dict) and not data.keys() <= _KEYS:
            data = {"caption": data.get(key)}
        return _from_json(data)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise Reject("BAD_SIDECAR", f"{name}: {error}") from error


def _of_record(record: dict[str, list], name: str) -> Captions:
    try:
        values = [bytes(value).decode().strip() for value in record.get(name, [])]
    except (ValueError, TypeError) as error:
        raise Reject("BAD_SIDECAR", f"{name}: {error}") from error
    labels = [v for v in record.get("label", []) if isinstance(v, int) and v >= 0]
    label = labels[0] if len(labels) == 1 else NO_LABEL
    return Captions(caption=" ".join(values) or None, label=label)


def _from_json(data: object) -> Captions:
    content = _check_keys(data, _KEYS)
    label = content.get("label", NO_LABEL)
    if type(label) is not int or not NO_LABEL <= label <= MOST_LABEL:
        raise ValueError(f"label={label!r} is not a whole number of 0 to 2**63 - 1")
    spans = content.get("shots", [])
    if not isinstance(spans, list):
        raise ValueError("shots is not a list")
    return Captions(
        caption=_text(content.get("caption")),
        label=label,
        spans=tuple(map(_span, spans)),
    )


def _span(data: object) -> Span:
    content = _check_keys(data, {"start_s", "end_s", "caption"})
    caption = _text(content.get("caption"))
    if len(content) < 3 or content["caption"] is None:
        raise ValueError(f"a shot needs start_s, end_s and caption: {content}")
    start_s, end_s = float(content["start_s"]), float(content["end_s"])
    if not start_s < end_s:
        raise ValueError(f"a shot of start_s={start_s}, end_s={end_s} is empty")
    return Span(start_s=start_s, end_s=end_s, caption=caption or "")


def _text(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ValueError(f"caption={value!r} is not a text")
    text = (value or "").strip()
    text.encode()  # JSON may hold half a character: a ValueError
    return text or None


def _check_keys(data: object, known: set[str]) -> dict:
    if not isinstance(data, dict):
        raise ValueError("not a JSON object")
    if unknown := data.keys() - known:
        raise ValueError(f"unknown key {min(unknown)!r} (one of: {sorted(known)})")
    return data
