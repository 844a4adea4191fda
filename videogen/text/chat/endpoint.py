"""An OpenAI-compatible /chat/completions endpoint: vLLM, llama.cpp's server, and others.

A request is repeated with exponential back-off and jitter while the server says that it is
busy (408, 429, 5xx) or does not answer in time; its Retry-After is honoured. What cannot
become better by itself (a wrong key, model or address) is a ConfigError at once.
"""

import dataclasses
import datetime
import email.utils
import http.client
import json
import os
import random
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any

from videogen.core.errors import ConfigError, suggest

BUSY = frozenset((408, 425, 429))  # and 500 and more
HOPELESS = frozenset((401, 403, 404, 405))  # for this request and any other
LONGEST_BACKOFF_S = 60.0
LONGEST_RETRY_AFTER_S = 600.0


class Unanswered(Exception):  # noqa: N818  a verdict on one question, not on the run
    """A question that has no usable answer: a code to count, a reason to read."""

    def __init__(self, code: str, reason: str):
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reply:
    """What the model said. cut: it had more to say than `max_tokens`."""

    text: str
    cut: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where to ask, which model, and how patiently."""

    url: str  # up to /v1
    model: str
    max_tokens: int = 512
    timeout_s: float = 120.0
    attempts: int = 6
    backoff_s: float = 1.0  # before the second attempt; then twice as long each time
    api_key: str = dataclasses.field(default="", repr=False)

    def __post_init__(self):
        if not self.url.startswith(("http://", "https://")):
            raise ConfigError(
                f"endpoint {self.url!r}: an address such as http://host:8000/v1 would work"
            )
        if not self.model:
            raise ConfigError(f"endpoint {self.url}: say which model to ask")
        for name in ("max_tokens", "timeout_s", "attempts"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name}={getattr(self, name)} must be positive")

    def check(self) -> None:
        """ConfigError when nobody answers there, or not for this model."""
        try:
            listed = self._patiently("models", None, time.sleep, fails_at_once=True)
        except Unanswered as error:
            raise ConfigError(
                f"endpoint {self.url} does not answer ({error.reason}): start the server, "
                "or give the address of one that runs"
            ) from error
        except _Unlisted:
            return  # a server may have no list of its models
        names = _names(listed)
        if names and self.model not in names:
            raise ConfigError(
                f"endpoint {self.url} has no model {self.model!r}"
                f"{suggest(self.model, names)}"
            )

    def ask(
        self,
        content: str | Sequence[dict[str, Any]],
        pause: Callable[[float], object] = time.sleep,
    ) -> Reply:
        """The reply to one message, a text or parts of texts and images.

        pause: waits that many seconds between attempts; true if it is time to give up.

        Raises Unanswered: TIMEOUT, UNREACHABLE, HTTP_<status> or BAD_RESPONSE; ConfigError
        where no question would be answered.
        """
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": content}],
            "max_tokens": self.max_tokens,
            "temperature": 0,
            "seed": 0,
        }
        try:
            answer = self._patiently("chat/completions", body, pause)
        except _Unlisted as error:
            raise ConfigError(
                f"endpoint {self.url} refuses model {self.model!r} ({error}): is the "
                "address right, up to /v1?"
            ) from error
        return _reply(answer)

    def _patiently(
        self,
        path: str,
        body: dict | None,
        pause: Callable[[float], object],
        *,
        fails_at_once: bool = False,
    ) -> Any:
        """The JSON that is answered, after as many attempts as it takes and are allowed."""
        for attempt in range(self.attempts):
            try:
                return self._request(path, body)
            except _Busy as busy:
                gone = fails_at_once and busy.code == "UNREACHABLE"
                if gone or attempt + 1 == self.attempts:
                    raise Unanswered(busy.code, busy.reason) from busy
                backoff_s = min(self.backoff_s * 2**attempt, LONGEST_BACKOFF_S)
                # Half of it at random: those who were refused together come back apart.
                backoff_s *= random.uniform(0.5, 1.0)
                if pause(max(backoff_s, busy.after_s)):
                    raise Unanswered(busy.code, busy.reason) from busy
        raise AssertionError("attempts is positive")

    def _request(self, path: str, body: dict | None) -> Any:
        request = urllib.request.Request(
            f"{self.url.rstrip('/')}/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        if self.api_key:  # not for whom a redirection leads to
            request.add_unredirected_header("Authorization", f"Bearer {self.api_key}")
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_s) as response:
                return json.loads(response.read())
        except urllib.error.HTTPError as error:
            with error:  # it holds the connection
                raise self._refusal(error) from error
        except TimeoutError as error:
            raise _Busy("TIMEOUT", f"nothing in {self.timeout_s:g} s") from error
        except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
            cause = getattr(error, "reason", error)
            if isinstance(cause, TimeoutError):
                raise _Busy("TIMEOUT", f"nothing in {self.timeout_s:g} s") from error
            raise _Busy("UNREACHABLE", _reason(cause)) from error
        except ValueError as error:
            raise Unanswered("BAD_RESPONSE", f"not JSON: {error}") from error

    def _refusal(self, error: urllib.error.HTTPError) -> Exception:
        """What an HTTP status means for this question, or for all of them."""
        said = f"{error.code} {error.reason}"
        if error.code in BUSY or error.code >= 500:
            return _Busy(f"HTTP_{error.code}", said, _retry_after_s(error.headers))
        if error.code in (401, 403):
            return ConfigError(
                f"endpoint {self.url} wants another key ({said}): the flag for its "
                "name says which environment variable holds it"
            )
        if error.code in HOPELESS:
            return _Unlisted(said)
        try:
            detail = error.read(300).decode(errors="replace")
        except (OSError, http.client.HTTPException):  # the status says enough
            detail = "no more"
        return Unanswered(f"HTTP_{error.code}", f"{said}: {' '.join(detail.split())}")


def is_absent(code: str) -> bool:
    """Whether a code of Unanswered is the server's, of any question: later it may answer.

    HTTP_500 may be the question's: servers fall over a few.
    """
    http = int(code.removeprefix("HTTP_")) if code.startswith("HTTP_") else 0
    return code in ("TIMEOUT", "UNREACHABLE") or http in BUSY or http > 500


def is_utf8(text: str) -> bool:
    """JSON may hold half of a pair of surrogates, which no file and no tokenizer takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def key_in(variable: str) -> str:
    """The key that an environment variable holds; none without its name. ConfigError."""
    key = os.environ.get(variable, "") if variable else ""
    if variable and not key:
        raise ConfigError(f"no environment variable {variable!r}, which holds the key")
    return key


class _Busy(Exception):  # noqa: N818
    """Ask again, after so many seconds at least."""

    def __init__(self, code: str, reason: str, after_s: float = 0.0):
        super().__init__(reason)
        self.code, self.reason, self.after_s = code, reason, after_s


class _Unlisted(Exception):  # noqa: N818
    """The server does not know the path, or the model."""


def _reply(answer: Any) -> Reply:
    """Of a chat completion. Unanswered(BAD_RESPONSE) when it is none."""
    try:
        choice = answer["choices"][0]
        text = choice["message"]["content"]
        cut = choice.get("finish_reason") == "length"
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise Unanswered(
            "BAD_RESPONSE", f"no chat completion: {answer!r:.200}"
        ) from error
    if text is not None and not isinstance(text, str):
        raise Unanswered("BAD_RESPONSE", f"its content is no text: {text!r:.200}")
    if not is_utf8(text or ""):
        raise Unanswered("BAD_RESPONSE", f"its content is not UTF-8: {text!r:.200}")
    return Reply(text=text or "", cut=cut)


def _names(listed: Any) -> list[str]:
    """The models of a /models answer; none when it has another form."""
    try:
        return [str(model["id"]) for model in listed["data"]]
    except (KeyError, TypeError):
        return []


def _retry_after_s(headers: Any) -> float:
    """Seconds, from seconds or a date (RFC 9110, 10.2.3); 0 when it does not say."""
    value = (headers.get("Retry-After") or "").strip()
    try:
        after_s = float(value)
    except ValueError:
        try:
            until = email.utils.parsedate_to_datetime(value)
            now = datetime.datetime.now(datetime.UTC)
            after_s = (until - now).total_seconds()
        except (ValueError, TypeError):
            return 0.0
    return min(max(after_s, 0.0), LONGEST_RETRY_AFTER_S)


def _reason(cause: object) -> str:
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
