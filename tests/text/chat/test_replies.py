"""What was put is there, for the next process too."""

import pytest

from videogen.core.errors import DataError
from videogen.text.chat.endpoint import Reply
from videogen.text.chat.replies import Replies, key_of


def test_put_and_get_again(tmp_path):
    path = tmp_path / "replies.sqlite"
    reply = Reply(text="caf\u00e9 'x' \n", cut=True)
    first = Replies(path)
    assert first.get("a") is None
    first.put("a", reply)
    second = Replies(path)  # while the first is open, as after a kill
    assert second.get("a") == reply and second.get("b") is None
    first.close()
    second.close()


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "replies.sqlite"
    path.write_text("no database " * 100)
    with pytest.raises(DataError, match=r"replies.sqlite: .*or one of replies"):
        Replies(path)


def test_a_folder_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(DataError, match=r"replies.sqlite: unable to open"):
        Replies(tmp_path / "none" / "replies.sqlite")
    assert not list(tmp_path.iterdir())


def test_keys_know_where_parts_end():
    assert key_of("ab", "c") != key_of("a", "bc") != key_of("a", "b", "c")
    assert key_of("ab", "c") == key_of("ab", "c")
