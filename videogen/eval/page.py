"""Self-contained HTML pages: templates filled, pictures inside, written whole or not."""

import base64
import io
import os
from pathlib import Path
from typing import Any

import jinja2
from PIL import Image

from videogen.core.errors import ConfigError

PICTURE_WIDTH = 900  # pixels


def fill(template: str, **values: Any) -> str:
    """The page that a template beside this file makes of the values."""
    pages = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return pages.get_template(template).render(**values)


def write_page(out: Path, text: str) -> Path:
    """Writes the page; returns its path. ConfigError when that is impossible."""
    part = out.with_name(f".{out.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, out)
    except OSError as error:
        raise ConfigError(
            f"{out}: cannot be written ({error.strerror}); name another file with --out"
        ) from error
    return out


def jpeg_url(image: Image.Image) -> str:
    """The picture as a data URL, made small."""
    small = image.convert("RGB")
    small.thumbnail((PICTURE_WIDTH, 10 * PICTURE_WIDTH))
    data = io.BytesIO()
    small.save(data, "JPEG", quality=85)
    return data_url("image/jpeg", data.getvalue())


def data_url(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
