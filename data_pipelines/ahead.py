"""What `all` can see to be wrong before its first phase, which may be days before its last."""

from collections.abc import Mapping
from typing import Any

from data_pipelines import caption_clips, dedup, encode, score, shots, where
from data_pipelines.text import check_files


def check_ahead(settings: Mapping[str, Any]) -> None:
    """Of the settings of all phases. ConfigError or DataError, as the phase itself."""
    columns = {*shots.COLUMNS, *dedup.COLUMNS, *score.columns(settings["score"])}
    for condition in where.parse(settings["select"].where):
        condition.check(columns)
    if asked := settings.get("caption-clips"):
        caption_clips.make_endpoint(asked)
    check_files(settings["encode"].text_encoder)
    if settings["encode"].tokenizer_from:
        encode.take_tokenizer(settings["encode"])
