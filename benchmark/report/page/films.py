"""Clips to be played: for a data set and method the frames, what was decoded from slots, and every mask, over time."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator

import numpy as np
from jaxtyping import UInt8

from benchmark.report.drawing import Read
from benchmark.report.film import Film
from benchmark.report.page.elements import Markup, element
from benchmark.report.scores import Scores
from benchmark.types import Float

LIMIT = 2_000_000
"""Bytes of clips that a page holds at most."""


def films(sets: list[Scores], read: Read) -> Iterator[Markup]:
    """A player each, the first seed that has a clip; as many as LIMIT allows."""
    left = LIMIT
    for scores in sets:
        for dataset in scores.datasets:
            for entrant, _, film in scores.firsts(dataset, lambda record: Film.of(read(record), "decoder")):
                if len(picture := _strip(film)) <= left:
                    left -= len(picture)
                    title = f"{dataset}, {entrant.title}, {scores.budget}"
                    yield _player(film, picture, title, scores, entrant.method)


def _columns(film: Film) -> dict[str, Float[np.ndarray, "t h w 3"]]:
    """Tiles of an instant from left to right."""
    columns = {"frame": film.frames} | {f"from {target}": frames for target, frames in film.decoded.items()}
    for kind, masks in (("mask", film.masks), ("attention", film.attention)):
        if masks is not None:
            columns |= {f"{kind} {k + 1}": np.repeat(masks[:, k, ..., None], 3, -1) for k in range(masks.shape[1])}
    return columns


def _strip(film: Film) -> bytes:
    """One picture: an instant a line, tiles of one size with a border of one pixel."""
    tiles = [np.pad(tile, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=0.5) for tile in _columns(film).values()]
    canvas = np.concatenate(np.concatenate(tiles, 2))
    return _png(np.rint(255 * canvas.clip(0, 1)).astype(np.uint8))


def _png(pixels: UInt8[np.ndarray, "h w 3"]) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG", optimize=True)
    return content.getvalue()


def embedded(picture: bytes) -> str:
    """A PNG as an address."""
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"


def _player(film: Film, picture: bytes, title: str, scores: Scores, method: str) -> Markup:
    names = [*_columns(film)]
    height, width = film.frames.shape[1:3]
    ratio = f"aspect-ratio:{len(names) * (width + 2)}/{height + 2}"
    image = element("img", src=embedded(picture), alt=f"Clip of {title}: {', '.join(names)}")
    labels = element("div", *(element("span", name) for name in names), class_="labels", aria_hidden="true")
    slider = {"type": "range", "min": 0, "max": len(film.times) - 1, "value": 0}
    return element(
        "figure",
        element("figcaption", title),
        element("div", image, class_="strip", style=ratio),
        labels,
        element(
            "div",
            element("button", "Play", type="button", class_="play"),
            element("input", **slider, aria_label=f"instant of {title}"),
            element("output", f"t = {film.times[0] + 1}"),
            class_="controls",
        ),
        class_="film",
        data_times=" ".join(str(time + 1) for time in film.times),
        data_suite=scores.suite,
        data_budget=scores.budget,
        data_method=method,
    )
