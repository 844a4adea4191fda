"""A chat endpoint in this process, which answers as a test says and notes what it was asked."""

import contextlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

MODEL = "tiny-vision"
# (status, headers, body) of the n-th question, from 0.
Answer = tuple[int, dict[str, str], bytes]


def said(text: str | None, finish_reason: str = "stop") -> Answer:
    """A chat completion."""
    choice = {"message": {"role": "assistant", "content": text}}
    body = {"choices": [choice | {"finish_reason": finish_reason}]}
    return 200, {}, json.dumps(body).encode()


class FakeEndpoint:
    """answer(body, n) replies; `asked` has the bodies, `answered` those that got a reply."""

    def __init__(self):
        self.answer: Callable[[dict, int], Answer] = lambda body, n: said("a caption")
        self.models: Answer = (200, {}, json.dumps({"data": [{"id": MODEL}]}).encode())
        self.loading = 0  # so many more requests for the models are told to wait
        self.asked: list[dict[str, Any]] = []
        self.answered: list[dict[str, Any]] = []
        self.keys: set[str | None] = set()
        self.url = ""
        self._lock = threading.Lock()

    @property
    def seen(self) -> list[tuple[str, ...]]:
        """The images of each question that got a reply."""
        return [images(body) for body in self.answered]

    def reply(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        self.keys.add(handler.headers.get("Authorization"))
        if handler.command == "GET":
            busy, self.loading = self.loading > 0, max(0, self.loading - 1)
            self._send(handler, (503, {}, b"") if busy else self.models)
            return
        length = int(handler.headers["Content-Length"])
        body = json.loads(handler.rfile.read(length))
        with self._lock:
            number = len(self.asked)
            self.asked.append(body)
        answer = self.answer(body, number)
        self._send(handler, answer)
        with self._lock:
            if answer[0] == 200:
                self.answered.append(body)

    @staticmethod
    def _send(handler: http.server.BaseHTTPRequestHandler, answer: Answer) -> None:
        status, headers, content = answer
        handler.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(content))}).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)


def images(body: dict[str, Any]) -> tuple[str, ...]:
    """The image addresses of a question."""
    (message,) = body["messages"]
    return tuple(
        part["image_url"]["url"]
        for part in message["content"]
        if part["type"] == "image_url"
    )


@contextlib.contextmanager
def serving() -> Iterator[FakeEndpoint]:
    """The endpoint, while it runs."""
    fake = FakeEndpoint()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802
            with contextlib.suppress(OSError):  # the client may be gone
                fake.reply(self)

        do_POST = do_GET  # noqa: N815

        def log_message(self, format, *args):
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    fake.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
