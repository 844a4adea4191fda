"""Patience with a busy server, none with a wrong address; every failure has a code."""

import datetime
import email.utils
import socket
import threading
import time

import pytest
from fake_endpoint import MODEL, said, serving

from videogen.core.errors import ConfigError
from videogen.text.chat.endpoint import Endpoint, Unanswered


def of(fake, **changes):
    return Endpoint(**{"url": fake.url, "model": MODEL, "backoff_s": 0.01, **changes})


def closed_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_a_question_and_its_reply(fake):
    fake.answer = lambda body, n: said("yes", finish_reason="length")
    endpoint = of(fake, max_tokens=7, api_key="secret")
    endpoint.check()
    reply = endpoint.ask("is it?")
    assert (reply.text, reply.cut) == ("yes", True)
    (body,) = fake.asked
    assert body["messages"] == [{"role": "user", "content": "is it?"}]
    assert (body["model"], body["max_tokens"], body["temperature"]) == (MODEL, 7, 0)
    assert fake.keys == {"Bearer secret"} and "secret" not in repr(endpoint)


def test_an_endpoint_that_is_down_is_told_at_once(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    endpoint = Endpoint(url=f"http://127.0.0.1:{closed_port()}/v1", model=MODEL)
    with pytest.raises(
        ConfigError, match="does not answer .*refused.*start the server"
    ):
        endpoint.check()


def test_an_unknown_model_names_the_nearest(fake):
    with pytest.raises(ConfigError, match="no model 'tiny-visio'.*'tiny-vision'"):
        of(fake, model="tiny-visio").check()


def test_a_server_without_a_list_of_models_will_do(fake):
    fake.models = (404, {}, b"")
    of(fake).check()


def test_a_server_that_is_loading_is_waited_for(fake):
    fake.loading = 2
    of(fake).check()
    assert fake.loading == 0


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503, 520])
def test_a_busy_server_is_asked_again(fake, status):
    fake.answer = lambda body, n: said("at last") if n == 3 else (status, {}, b"")
    waits = []
    assert of(fake, backoff_s=8.0).ask("?", waits.append).text == "at last"
    assert len(fake.asked) == 4
    for attempt, waited in enumerate(waits):
        assert 4.0 * 2**attempt <= waited <= 8.0 * 2**attempt


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_honoured(fake, form):
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=31)
    value = (
        "30" if form == "seconds" else email.utils.format_datetime(later, usegmt=True)
    )
    busy = (429, {"Retry-After": value}, b"")
    fake.answer = lambda body, n: said("x") if n else busy
    waits = []
    of(fake).ask("?", waits.append)
    assert 25 < waits[0] <= 31


def test_attempts_end(fake):
    fake.answer = lambda body, n: (503, {}, b"")
    with pytest.raises(Unanswered) as caught:
        of(fake, attempts=3).ask("?")
    assert (caught.value.code, len(fake.asked)) == ("HTTP_503", 3)


def test_one_who_stops_waiting_gets_no_answer(fake):
    fake.answer = lambda body, n: (429, {"Retry-After": "500"}, b"")
    with pytest.raises(Unanswered, match="HTTP_429"):
        of(fake).ask("?", lambda seconds: True)
    assert len(fake.asked) == 1


def test_a_slow_server_is_a_timeout(fake):
    fake.answer = lambda body, n: (time.sleep(0.4), said("late"))[1]
    with pytest.raises(Unanswered) as caught:
        of(fake, timeout_s=0.1, attempts=2).ask("?")
    assert (caught.value.code, len(fake.asked)) == ("TIMEOUT", 2)


HALF = said("half a pair: \ud800")[2]


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"choices": []}', b"\xff", HALF])
def test_a_body_of_another_kind(fake, body):
    fake.answer = lambda _, n: (200, {}, body)
    with pytest.raises(Unanswered) as caught:
        of(fake).ask("?")
    assert caught.value.code == "BAD_RESPONSE" and len(fake.asked) == 1


def test_a_question_that_is_refused_is_not_repeated(fake):
    fake.answer = lambda body, n: (400, {}, b"too many\nimages")
    with pytest.raises(Unanswered, match="HTTP_400: .*too many images"):
        of(fake).ask("?")
    assert len(fake.asked) == 1


def test_a_refusal_without_the_rest_of_its_body(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as server:  # says no more
        endpoint = Endpoint(
            url=f"http://127.0.0.1:{server.getsockname()[1]}/v1",
            model=MODEL,
            timeout_s=0.2,
        )

        def stall():
            connection, _ = server.accept()
            with connection:
                connection.recv(9999)
                connection.sendall(b"HTTP/1.1 400 Bad\r\nContent-Length: 9\r\n\r\n")
                connection.recv(9999)  # until the other end gives up

        thread = threading.Thread(target=stall)
        thread.start()
        with pytest.raises(Unanswered, match="HTTP_400: 400 Bad"):
            endpoint.ask("?")
        thread.join()


def test_another_host_is_not_told_the_key(fake):
    with serving() as other:
        fake.models = (302, {"Location": f"{other.url}/models"}, b"")
        of(fake, api_key="secret").check()
        assert (fake.keys, other.keys) == ({"Bearer secret"}, {None})


@pytest.mark.parametrize(
    ("status", "message"), [(401, "wants another key"), (404, "is the address right")]
)
def test_what_no_question_can_mend(fake, status, message):
    fake.answer = lambda body, n: (status, {}, b"")
    with pytest.raises(ConfigError, match=message):
        of(fake).ask("?")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"url": "host:8000"}, "http://host:8000/v1 would work"),
        ({"url": "file:///etc"}, "http://host:8000/v1 would work"),
        ({"model": ""}, "which model"),
        ({"attempts": 0}, "attempts=0"),
    ],
)
def test_fields_that_cannot_work(changes, message):
    with pytest.raises(ConfigError, match=message):
        Endpoint(**{"url": "http://h/v1", "model": "m", **changes})
