"""The sound of a clip is that of its time span, or it is said to have none."""

import jax
import numpy as np
import pytest

from data_pipelines import sound
from data_pipelines.clips import Clip
from data_pipelines.encode_settings import EncodeSettings
from data_pipelines.sound import Track, read_sounds, read_track
from videogen.core.errors import ConfigError
from videogen.data.source import open_dataset
from videogen.eval.video import write_mp4
from videogen.tokenizers import make_audio

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:apache_beam.*"),
    pytest.mark.filterwarnings("ignore::FutureWarning:apache_beam.*"),
]
RATE = 16000


def tones(seconds, hertz):
    """A second of each pitch, one after the other."""
    time_s = np.arange(round(seconds * RATE)) / RATE
    pitch = np.asarray(hertz)[np.minimum(time_s.astype(int), len(hertz) - 1)]
    return (0.5 * np.sin(2 * np.pi * pitch * time_s)).astype(np.float32)


def pitch_of(sound_S):
    return np.abs(np.fft.rfft(sound_S)).argmax() * RATE / len(sound_S)


@pytest.fixture(scope="module")
def videos(tmp_path_factory, make_video):
    """Three seconds whose pitch tells the second, and a silent video."""
    folder = tmp_path_factory.mktemp("heard")
    frames = np.random.default_rng(0).integers(0, 255, (75, 32, 48, 3), np.uint8)
    frames = np.broadcast_to(frames[:1], frames.shape)  # one shot
    sound = {"sound_S": tones(3, [500, 1000, 2000]), "sound_rate": RATE}
    write_mp4(folder / "heard.mp4", frames, fps=25.0, **sound)
    make_video(folder / "silent.mp4", [40])
    return folder


def clip_at(path, start_s):
    return Clip(
        id="a", source_id="s", path=str(path), start_s=start_s, first_frame=0,
        last_frame=0, captions=(), label=-1,
    )  # fmt: skip


def test_a_clip_hears_its_own_span(videos):
    starts = [0.25, 1.25, 2.25]
    clips = [clip_at(videos / "heard.mp4", start) for start in starts]
    for want, (_, sound_S, heard) in zip(
        (500, 1000, 2000), read_sounds(clips, RATE, RATE // 2), strict=True
    ):
        assert heard and len(sound_S) == RATE // 2
        assert pitch_of(sound_S) == pytest.approx(want, abs=4)


def test_another_rate_keeps_pitch_and_length(videos):
    track = read_track(str(videos / "heard.mp4"), 8000, 0.0, 9.0)
    assert len(track.samples_S) / 8000 == pytest.approx(3, abs=0.15)
    sound_S, heard = track.cut(1.25, 4000)
    assert heard
    assert np.abs(np.fft.rfft(sound_S)).argmax() * 2 == pytest.approx(1000, abs=4)


def test_silence_beyond_the_track_and_without_one(videos):
    track = Track(samples_S=np.ones(100, np.float32), start_s=1.0, rate=100)
    sound_S, heard = track.cut(1.5, 100)
    assert (sound_S[:50] == 1).all() and not sound_S[50:].any() and not heard
    sound_S, heard = track.cut(0.95, 100)
    assert not sound_S[:5].any() and (sound_S[5:] == 1).all() and heard
    assert not track.cut(5.0, 100)[1]
    clips = [clip_at(videos / "silent.mp4", 0.0)]
    ((_, sound_S, heard),) = read_sounds(clips, RATE, 1000)
    assert not heard and not sound_S.any()


def test_a_dataset_with_sound_has_a_sidecar_that_decodes_to_it(
    videos, tmp_path, run_all
):
    settings = EncodeSettings(
        buckets="9x32x48", text_encoder="hash", audio_rate=RATE, audio_bands=64
    )
    info, _ = run_all(videos, tmp_path / "data", encode=settings)
    (version,) = info.audio
    audio = make_audio(**{f: getattr(info.audio[version], f) for f in _FIELDS})
    dataset = open_dataset(tmp_path / "data")
    clips = [
        source[row]
        for source in dataset.sources("train", audio=version)
        for row in range(len(source))
    ]
    heard = [clip for clip in clips if clip.audio.heard]
    assert heard and len(heard) < len(clips)
    mdct_frames = audio.num_frames(audio.num_samples(9 / 24))
    for clip in clips:
        assert clip.audio.audio_AC.shape == (mdct_frames, 64)
        assert clip.audio.audio_AC.any() == clip.audio.heard
    audio_BAC = heard[0].audio.audio_AC[None].astype("f")
    sound_S = np.asarray(jax.jit(audio.decode)(audio_BAC))[0]
    assert pitch_of(sound_S) == pytest.approx(500, abs=8)
    values = np.concatenate([clip.audio.audio_AC for clip in heard]).astype("f")
    np.testing.assert_allclose(values.mean(0), audio.mean_C, atol=1e-3)
    floored = np.maximum(values.std(0), 1e-5)
    np.testing.assert_allclose(floored, audio.std_C, rtol=0.02, atol=1e-4)


_FIELDS = ("name", "fingerprint", "rate", "channels", "mean", "std")


def test_without_sound_nothing_is_said_of_it():
    assert EncodeSettings().audio is None
    with pytest.raises(ConfigError, match="--audio-rate=16001 .* 16000, or 0 for none"):
        EncodeSettings(audio_rate=16001)


@pytest.mark.parametrize("second_s, length", [(1.01, 200), (1.99, 299)])
def test_a_gap_in_a_track_is_silence_and_a_rounded_time_is_none(
    monkeypatch, second_s, length
):
    ones = np.ones(100, np.float32)
    blocks = [(0.0, ones), (second_s, ones)]
    monkeypatch.setattr(sound, "_resampled", lambda path, rate: blocks)
    samples_S = read_track("any", 100, 0.0, 9.0).samples_S
    assert len(samples_S) == length
    assert not samples_S[100:-100].any() and samples_S.sum() == 200


def test_a_track_is_held_as_far_as_clips_need_it(monkeypatch):
    """However far its times jump: silence as long as a file says is no allocation."""
    ones = np.ones(100, np.float32)
    blocks = [(time_s, ones) for time_s in (-1e9, 0.0, 1.0, 2.0, 3.0, 1e9)]
    monkeypatch.setattr(sound, "_resampled", lambda path, rate: blocks)
    track = read_track("any", 100, 1.0, 2.9)
    assert (track.start_s, len(track.samples_S)) == (0.0, 300)
    sound_S, heard = track.cut(1.0, 190)
    assert heard and sound_S.all()
