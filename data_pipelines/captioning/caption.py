"""A finished dataset gets one more version of its captions; its latents stay as they are.

<dataset>/.captions/replies.sqlite      what endpoints answered; may be removed afterwards
<dataset>/.captions/shards-<version>/   of a run that is not done
"""

import contextlib
import os
import pathlib
import shutil
from collections.abc import Callable

from data_pipelines.alone import alone
from data_pipelines.captioning.answers import Captioner
from data_pipelines.captioning.asking import AskingAboutRows, make_endpoint
from data_pipelines.captioning.frames import frames_of_latents, frames_of_videos
from data_pipelines.captioning.given import make_given
from data_pipelines.captioning.settings import NO_TEXT, CaptionSettings
from data_pipelines.captioning.sidecars import SidecarWriter
from data_pipelines.captioning.tally import Tally
from data_pipelines.publish import Version, publish
from data_pipelines.text import load_text_encoder
from videogen.core.errors import ConfigError
from videogen.data.schema import CaptionInfo, DatasetInfo
from videogen.data.source import Dataset, open_dataset
from videogen.text.base import TextEncoder
from videogen.text.chat.replies import Replies

DENSE = "dense"


def caption(
    directory: str | os.PathLike[str],
    settings: CaptionSettings,
    say: Callable[[str], None] = print,
) -> DatasetInfo:
    """Adds `settings.version`. ConfigError or DataError: then the dataset is unchanged."""
    open_dataset(directory)  # a wrong directory, before anything is written there
    with alone(pathlib.Path(directory)) as work, contextlib.ExitStack() as stack:
        dataset = open_dataset(directory)
        captioner = _captioner(dataset, settings, work, stack)
        writer = SidecarWriter(
            dataset=dataset,
            version=settings.version,
            captioner=captioner,
            encoder=_encoder(dataset.info, settings),
            work=work / f"shards-{settings.version}",
        )
        if _is_there(writer):
            say(f"already captioned: {settings.version} of {directory}")
            return dataset.info
        if isinstance(captioner, AskingAboutRows):
            captioner.endpoint.check()
        return _write(writer, settings, say)


def _write(
    writer: SidecarWriter, settings: CaptionSettings, say: Callable[[str], None]
) -> DatasetInfo:
    shutil.rmtree(writer.work, ignore_errors=True)
    splits = [s for m in writer.dataset.manifests.values() for s in m.splits.values()]
    total = sum(split.records for split in splits)
    patience = 2 * settings.threads  # all that are asked at a time
    tally = Tally(total=total, most=settings.max_failures, patience=patience)
    captioner, version = writer.captioner, settings.version
    say(f"caption: {total} clips by {captioner.model}, {captioner.kind}")
    sidecars = writer.write(tally, say)
    made_by = CaptionInfo(
        model=captioner.model,
        kind=captioner.kind,
        origin=captioner.origin,
        nulls=dict(sorted(tally.nulls.items())),
    )
    new = Version(name=version, made_by=made_by, encoder=writer.encoder)
    info = publish(writer.dataset, new, sidecars, writer.work)
    text = info.text.get(version)
    say(
        f"  captions {total - tally.nulls.total()}, without {tally.nulls.total()}"
        + (f" ({tally.reasons()})" if tally.nulls else "")
        + (f"\n  text {text.name}, {text.length} tokens" if text else "\n  no text")
        + f"\ncaptioned: {version} of {writer.dataset.directory}"
    )
    return info


def _captioner(
    dataset: Dataset,
    settings: CaptionSettings,
    work: pathlib.Path,
    stack: contextlib.ExitStack,
) -> Captioner:
    if settings.from_file:
        return make_given(settings)
    frames = frames_of_latents(dataset, settings.frames)
    if settings.videos:
        frames = frames_of_videos(settings.sources(), settings.frames, frames)
    replies = stack.enter_context(contextlib.closing(Replies(work / "replies.sqlite")))
    return AskingAboutRows(
        endpoint=make_endpoint(settings),
        kind=settings.kind or DENSE,
        send=settings.send,
        frames=frames,
        replies=replies,
        threads=settings.threads,
        max_characters=settings.max_characters,
    )


def _encoder(info: DatasetInfo, settings: CaptionSettings) -> TextEncoder | None:
    """The one asked for, by default that of the dataset's first texts."""
    name, length = settings.text_encoder, settings.text_length
    own = next(
        (info.text[v] for v in (*info.captions, *info.text) if v in info.text), None
    )
    if name == NO_TEXT or (not name and own is None):
        return None
    encoder = load_text_encoder(
        name or own.name,  # type: ignore[union-attr]  one of them is there
        length or (own.length if own else 0),
    )
    # A folder has to be named, even to have the same weights; a bare name asks for its own.
    kind, _, folder = name.partition(":")
    same = own is not None and (not name or (folder and kind == own.name))
    if own and same and not length and encoder.fingerprint != own.fingerprint:
        new = f"--text-length={own.length}" if folder else f"--text-encoder={own.name}"
        raise ConfigError(
            f"text encoder {own.name} here ({encoder.fingerprint[:8]}) is not the one of "
            f"this dataset ({own.fingerprint[:8]}): have the same weights, or say {new} "
            "to have the new ones"
        )
    return encoder


def _is_there(writer: SidecarWriter) -> bool:
    """Whether the version is there as it would be made now. ConfigError: it is another."""
    dataset, version = writer.dataset, writer.version
    if version not in {*dataset.info.captions, *dataset.info.text}:
        return False
    made_by, text = dataset.info.captioners.get(version), dataset.info.text.get(version)
    captioner, encoder = writer.captioner, writer.encoder
    same = made_by is not None and (
        (made_by.model, made_by.kind, made_by.origin)
        == (captioner.model, captioner.kind, captioner.origin)
        and (text and text.fingerprint) == (encoder and encoder.fingerprint)
    )
    if not same:
        by = made_by.model if made_by else "its encoding"
        raise ConfigError(
            f"--version={version!r} of {dataset.directory} is there already, by {by}, of "
            f"text {text.name if text else NO_TEXT}: another --version would work"
        )
    return True
