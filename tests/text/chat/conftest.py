"""An endpoint per test."""

import pytest
from fake_endpoint import serving


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving() as endpoint:
        yield endpoint
