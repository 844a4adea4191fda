"""The sound of clips: mono, at one rate, from the instant of their first frame."""

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator, Sequence

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.error import FFmpegError

from data_pipelines.clips import Clip
from data_pipelines.decode import open_video
from data_pipelines.places import place

# Times of a track that are this far off their place are a gap: containers round less.
GAP_S = 0.05
# Of a clip, at most half may be without sound, and no more: coders pad and cut.
SLACK_S = 0.1


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Track:
    """Samples in [-1, 1], the first at `start_s` of the container's time."""

    samples_S: np.ndarray
    start_s: float
    rate: int

    def cut(self, start_s: float, num_samples: int) -> tuple[np.ndarray, bool]:
        """(sound_S from start_s on, silent beyond the track, whether the track covers it)."""
        first = round((start_s - self.start_s) * self.rate)
        sound_S = np.zeros(num_samples, np.float32)
        begin, end = max(first, 0), min(first + num_samples, len(self.samples_S))
        if begin < end:
            sound_S[begin - first : end - first] = self.samples_S[begin:end]
        missing = num_samples - max(end - begin, 0)
        return sound_S, missing <= min(SLACK_S * self.rate, num_samples // 2)


def read_sounds(
    clips: Sequence[Clip], rate: int, num_samples: int
) -> Iterator[tuple[Clip, np.ndarray, bool]]:
    """(clip, sound_S, whether it has sound) of each, in order; without it, zeros.

    Clips of one source must be neighbours. A damaged track counts up to the damage.
    """
    for path, group in itertools.groupby(clips, key=lambda clip: clip.path):
        with open_video(path) as video:
            origin_s = float(next(video.frames()).time)
        mine = list(group)
        starts_s = [origin_s + clip.start_s for clip in mine]
        end_s = max(starts_s) + num_samples / rate
        track = read_track(path, rate, min(starts_s), end_s)
        for clip, start_s in zip(mine, starts_s, strict=True):
            sound_S, heard = track.cut(start_s, num_samples)
            yield clip, sound_S if heard else np.zeros_like(sound_S), heard


def read_track(path: str, rate: int, begin_s: float, end_s: float) -> Track:
    """The first audio stream of a video, enough for [begin_s, end_s); without any, empty."""
    blocks: list[np.ndarray] = []
    start_s, count, late = 0.0, 0, 0
    end_s += GAP_S  # blocks follow each other, so one may come so much before its time
    for time_s, block in _resampled(path, rate):
        if time_s >= end_s:
            break
        if blocks:
            late = round((time_s - start_s) * rate) - count
        # After a gap as long as the span, what was before it lies before the span.
        if not blocks or late > (end_s - begin_s) * rate:
            blocks, start_s, count, late = [], time_s, 0, 0
        if late > GAP_S * rate:
            blocks.append(np.zeros(late, np.float32))
            count += late
        blocks.append(block)
        count += len(block)
    samples_S = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    return Track(samples_S=samples_S, start_s=start_s, rate=rate)


def _resampled(path: str, rate: int) -> Iterator[tuple[float, np.ndarray]]:
    """(time in seconds, samples) of a track's blocks, as far as it decodes."""
    resampler = AudioResampler(format="fltp", layout="mono", rate=rate)
    with (
        place(path).opened() as readable,
        av.open(readable, "r") as container,
        contextlib.suppress(FFmpegError),
    ):
        if not container.streams.audio:
            return
        for frame in itertools.chain(container.decode(audio=0), [None]):
            for made in resampler.resample(frame):
                yield float(made.time or 0), made.to_ndarray()[0]
