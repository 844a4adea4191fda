"""Captions by a model behind an endpoint, several clips at a time, none asked twice."""

import collections
import dataclasses
import hashlib
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from data_pipelines.captioning.answers import Answer, Row
from data_pipelines.captioning.frames import Frames, data_url, mp4_of
from data_pipelines.captioning.instructions import instructions, instructions_sha256
from data_pipelines.captioning.settings import CaptionSettings
from videogen.text.chat.endpoint import Endpoint, Unanswered, key_in
from videogen.text.chat.replies import Replies, key_of
from videogen.text.chat.usable import usable

T = TypeVar("T")
R = TypeVar("R")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Question:
    """About one clip."""

    id: str
    seconds: float
    jpegs: list[bytes]  # in order of time


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asking:
    """Asks an endpoint about each clip's frames, several at a time."""

    endpoint: Endpoint
    kind: str
    send: str  # of instructions.SHOWN
    replies: Replies
    threads: int
    max_characters: int

    @property
    def model(self) -> str:
        return self.endpoint.model

    @property
    def origin(self) -> str:
        return instructions_sha256(self.kind)

    def about(self, questions: Iterable[Question]) -> Generator[Answer, None, None]:
        """The answers in the order of the questions, few of which wait at any time."""
        stopped = threading.Event()

        def answer(question: Question) -> Answer:
            id = question.id
            try:
                caption = self._ask(question, stopped.wait)
            except Unanswered as error:
                return Answer(id=id, caption=None, code=error.code, reason=error.reason)
            return Answer(id=id, caption=caption)

        yield from in_order(answer, questions, self.threads, stopped)

    def _ask(self, question: Question, pause: Callable[[float], object]) -> str:
        """The caption, of a reply from the disk where it is. Raises Unanswered."""
        jpegs = question.jpegs
        text = instructions(self.kind, self.send, len(jpegs))
        seen = hashlib.sha256(b"".join(jpegs)).hexdigest()
        asked = self.endpoint.model, str(self.endpoint.max_tokens), text
        key = key_of(question.id, *asked, seen)
        reply = self.replies.get(key)
        if reply is None:
            shown = self._shown(question)
            reply = self.endpoint.ask([*shown, {"type": "text", "text": text}], pause)
            self.replies.put(key, reply)
        return usable(reply, self.max_characters)

    def _shown(self, question: Question) -> list[dict[str, object]]:
        """The frames as parts of a message."""
        if self.send == "images":
            urls = [data_url(jpeg, "image/jpeg") for jpeg in question.jpegs]
            return [{"type": "image_url", "image_url": {"url": url}} for url in urls]
        film = data_url(mp4_of(question.jpegs, question.seconds), "video/mp4")
        return [{"type": "video_url", "video_url": {"url": film}}]


@dataclasses.dataclass(frozen=True, kw_only=True)
class AskingAboutRows(Asking):
    """Asks about the clips of a finished dataset (answers.Captioner)."""

    frames: Frames

    def __call__(self, rows: Iterable[Row]) -> Iterator[Answer]:
        latents = (row.source.clip(row.index).latent for row in rows)
        return self.about(
            Question(id=row.id, seconds=row.num_frames / row.fps, jpegs=jpegs)
            for row, jpegs in self.frames(latents)
        )


def make_endpoint(settings: CaptionSettings) -> Endpoint:
    """The endpoint of the settings, unchecked. ConfigError for a key that is not set."""
    return Endpoint(
        url=settings.endpoint,
        model=settings.model,
        max_tokens=settings.max_tokens,
        timeout_s=settings.timeout_s,
        attempts=settings.attempts,
        api_key=key_in(settings.api_key_env),
    )


def in_order(
    function: Callable[[T], R],
    items: Iterable[T],
    num_threads: int,
    stopped: threading.Event,
) -> Iterator[R]:
    """function(item) of each, in order, by threads; few items wait at any time.

    `stopped` is set when no more is wanted, for functions that would wait.
    """
    waiting: collections.deque[Future[R]] = collections.deque()
    with ThreadPoolExecutor(num_threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) == 2 * num_threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
