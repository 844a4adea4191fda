"""A writer of PyTorch's files."""

import pytest
from foreign_files import pt_writer


@pytest.fixture
def save_pt(monkeypatch):
    return pt_writer(monkeypatch)
