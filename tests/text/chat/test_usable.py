"""What is taken for a caption, and what is not."""

import pytest

from videogen.text.chat.endpoint import Reply, Unanswered
from videogen.text.chat.usable import usable


@pytest.mark.parametrize(
    ("text", "caption"),
    [
        (" A dog\n runs. ", "A dog runs."),
        ('"A dog runs."', "A dog runs."),
        ("<think>hm, a cat?\nno</think>\nA dog runs.", "A dog runs."),
        ("I see a dog.", "I see a dog."),
        ("Sorrel horses graze.", "Sorrel horses graze."),
    ],
)
def test_captions(text, caption):
    assert usable(Reply(text=text)) == caption


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "EMPTY"),
        (" \n...", "EMPTY"),
        ("<think>nothing</think>", "EMPTY"),
        ("I'm sorry, but I can't help with that.", "REFUSAL"),
        ("I\u2019m sorry, there is nothing.", "REFUSAL"),
        ("Sorry, I cannot see videos.", "REFUSAL"),
        ("I cannot describe this.", "REFUSAL"),
        ("As an AI model, I have no eyes.", "REFUSAL"),
        ("dog " * 30, "TOO_LONG"),
    ],
)
def test_what_is_none(text, code):
    with pytest.raises(Unanswered) as caught:
        usable(Reply(text=text), most_characters=100)
    assert caught.value.code == code


def test_an_answer_that_was_cut_off():
    with pytest.raises(Unanswered, match="TOO_LONG"):
        usable(Reply(text="A dog", cut=True))
