"""One pass over a video: is it sound, where are its shots, which clips does it give?"""

import dataclasses

import numpy as np

from data_pipelines import clips
from data_pipelines.captions import read_sidecar
from data_pipelines.decode import Video, open_video
from data_pipelines.quarantine import Reject, Rejected
from data_pipelines.settings import EncodeSettings
from data_pipelines.shots import ShotFinder
from data_pipelines.sources import Source, source_id

# A source this much slower than the clips' rate repeats one frame in twenty.
SLOWEST = 0.95


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inspection:
    """A sound source and its clips, in order of time."""

    name: str
    source_id: str
    shots: int
    clips: tuple[clips.Clip, ...]


class Inspector:
    """Source -> Inspection or Rejected as JSON: the work of one Beam element."""

    def __init__(self, settings: EncodeSettings):
        self._settings = settings

    def __call__(self, source: Source) -> dict:
        return dataclasses.asdict(inspect(source, self._settings))


def inspect(source: Source, settings: EncodeSettings) -> Inspection | Rejected:
    """The source's clips, or why it has none. No error of one video leaves here."""
    try:
        return _inspect(source, settings)
    except Reject as reject:
        return Rejected(name=source.name, code=reject.code, reason=reject.reason)
    except Exception as error:  # of OpenCV, numpy, PyAV: a bad file finds new ways
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return Rejected(name=source.name, code="CRASH", reason=reason)


def from_json(data: dict) -> Inspection | Rejected:
    if "code" in data:
        return Rejected(**data)
    found = (clips.Clip(**{**c, "frames": tuple(c["frames"])}) for c in data["clips"])
    return Inspection(**{**data, "clips": tuple(found)})


def _inspect(source: Source, settings: EncodeSettings) -> Inspection:
    id = source_id(source.path)
    captions = read_sidecar(source.sidecar)
    with open_video(source.path) as video:
        times_s, shots = _scan(video, settings)
    fps = settings.fps
    _check_rate(times_s, fps)
    spans = clips.cut(
        times_s,
        shots,
        num_frames=settings.num_frames,
        stride=settings.stride,
        fps=fps,
    )
    if not spans:
        raise Reject("TOO_SHORT", _too_short(shots, settings))
    found = []
    for frames in spans:
        start_s = float(times_s[frames[0]])
        clip = clips.Clip(
            id=clips.clip_id(id, frames, fps, settings.height, settings.width),
            source_id=id,
            path=source.path,
            frames=frames,
            start_s=start_s,
            caption=captions.at(start_s, start_s + len(frames) / fps),
            label=captions.label,
        )
        found.append(clip)
    return Inspection(
        name=source.name, source_id=id, shots=len(shots), clips=tuple(found)
    )


def _scan(
    video: Video, settings: EncodeSettings
) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Times in seconds from the first frame, and the shots."""
    finder = ShotFinder(settings.shot_threshold)
    times_s = []
    for frame in video.frames():
        height, width = video.displayed_size(frame)
        if height < settings.height or width < settings.width:
            size = f"{settings.height} x {settings.width}"
            raise Reject("TOO_SMALL", f"{height} x {width} pixels, clips are {size}")
        finder.feed(frame)
        times_s.append(frame.time)
    times_s = np.asarray(times_s) - times_s[0]
    if (np.diff(times_s) <= 0).any():
        number = int(np.argmax(np.diff(times_s) <= 0)) + 1
        raise Reject(
            "BAD_TIMESTAMPS", f"frame {number} is not later than the one before"
        )
    return times_s, finder.shots()


def _check_rate(times_s: np.ndarray, fps: float) -> None:
    if len(times_s) > 1:
        own = (len(times_s) - 1) / times_s[-1]
        if own < SLOWEST * fps:
            raise Reject("LOW_FPS", f"{own:.4g} frames per second, clips have {fps:g}")


def _too_short(shots: list[tuple[int, int]], settings: EncodeSettings) -> str:
    longest = max(end - start for start, end in shots)
    return (
        f"the longest shot has {longest} frames; a clip needs {settings.num_frames} at "
        f"{settings.fps:g} per second, and {clips.TRIM} more at each end"
    )
