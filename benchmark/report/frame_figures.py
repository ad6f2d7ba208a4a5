"""Figures 2a, 3 and 4 of Löwe et al. 2020: frames, what a decoder makes of their slots, and the masks of every slot."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from textwrap import fill

import numpy as np

from benchmark.records import Record, digest
from benchmark.report.drawing import PAGE, Figure, Read
from benchmark.report.film import DECODED, Film
from benchmark.report.scores import Entrant, Scores
from benchmark.types import Float

Image = Float[np.ndarray, "h w 3"]

Row = Sequence[Image | None]
"""Tiles side by side; None leaves an empty one."""

GAP = 3
"""Pixels between two tiles of about TILE pixels; between two groups of them it is three times as many."""

TILE = 64


LARGEST = 0.45
"""Inches of a tile at most."""

LABEL = 23
"""Characters in a line of a row's name: as many as fit beside the tiles."""

LONGEST = 100
"""Characters, in ASCII, of a title in a file's name, which file systems allow 255."""

MISSING = {"ok": "no frames kept", "failed": "failed"}


def one_frame(scores: Scores, read: Read) -> Iterator[tuple[str, Figure]]:
    """For each data set and seed one frame as every method sees it, decoded and in the masks of each slot."""
    return _by_seed("frames", scores, read, "decoder", DECODED[:2])


def frames_ahead(scores: Scores, read: Read) -> Iterator[tuple[str, Figure]]:
    """For each data set and seed one frame, decoded from slots predicted up to five steps before."""
    return _by_seed("frames-ahead", scores, read, "decoder-rollout", DECODED)


def _by_seed(name: str, scores: Scores, read: Read, probe: str, targets: Sequence[str]) -> Iterator[tuple[str, Figure]]:
    """A row a method, those that failed too; a figure for each configuration of the data set."""
    for dataset in scores.datasets:
        for seed in scores.seeds:
            runs = {e: record for e in scores.entrants() if (record := scores.runs.get((e, dataset, seed)))}
            for number, same in enumerate(_on_the_same_frames(runs), start=1):
                films = {e: Film.of(read(record), probe) for e, record in same.items()}
                if common := _common_times([film for film in films.values() if film]):
                    names = [e.title if film else f"{e.title} ({MISSING[same[e].status]})" for e, film in films.items()]
                    figure = _compared(names, [*films.values()], targets, common[len(common) // 2])
                    yield f"{name}-{dataset}-seed-{seed}" + (f"-{number}" if number > 1 else ""), figure


def _on_the_same_frames(runs: Mapping[Entrant, Record]) -> list[dict[Entrant, Record]]:
    """The runs by the configuration of their data set, the one with most runs first."""
    groups: dict[str, dict[Entrant, Record]] = {}
    for entrant, record in runs.items():
        configuration = json.dumps(record.configuration.get("dataset"), sort_keys=True)
        groups.setdefault(configuration, {})[entrant] = record
    return sorted(groups.values(), key=len, reverse=True)


def _common_times(films: Sequence[Film]) -> list[int]:
    """Those that all of the films have, in order."""
    return sorted(set.intersection(*(set(film.times) for film in films))) if films else []


def _compared(names: Sequence[str], films: Sequence[Film | None], targets: Sequence[str], time: int) -> Figure:
    """The frame of that time in every row."""
    slots = max(film.num_slots for film in films if film)
    masks = [f"{kind} {k + 1}" for kind in ("attn", "mask") for k in range(slots)]
    titles = ["frame", *targets, *masks]
    rows = [_row(film, film.times.index(time), targets, slots) if film else [None] * len(titles) for film in films]
    after = 1 + len(targets)
    return mosaic(rows, names, titles, breaks=(1, after, after + slots))


def _row(film: Film, t: int, targets: Sequence[str], slots: int) -> Row:
    decoded = [film.decoded[target][t] if target in film.decoded else None for target in targets]
    masks = [_grey(part, t, k) for part in (film.attention, film.masks) for k in range(slots)]
    return [film.frames[t], *decoded, *masks]


def over_time(scores: Scores, read: Read) -> Iterator[tuple[str, Figure]]:
    """For each data set and method one clip, time from left to right; of the first seed that has it."""
    slugs = _slugs(scores.entrants())
    for dataset in scores.datasets:
        for entrant, record, film in scores.firsts(dataset, lambda record: Film.of(read(record), "decoder")):
            yield f"clip-{dataset}-{slugs[entrant]}", _clip(film, f"{entrant.title}, seed {record.seed}")


def _clip(film: Film, title: str) -> Figure:
    times = range(len(film.times))
    rows: dict[str, Row] = {"frame": list(film.frames)}
    rows |= {f"decoded from {target}": list(frames) for target, frames in film.decoded.items()}
    for kind, masks in (("attention", film.attention), ("decoder mask", film.masks)):
        if masks is not None:
            rows |= {f"{kind}, slot {k + 1}": [_grey(masks, t, k) for t in times] for k in range(masks.shape[1])}
    return mosaic(list(rows.values()), list(rows), [f"t = {time + 1}" for time in film.times], title=title)


def _grey(masks: Float[np.ndarray, "t k h w"] | None, t: int, k: int) -> Image | None:
    """Black is 0, white is 1."""
    if masks is None or k >= masks.shape[1]:
        return None
    return np.repeat(masks[t, k, ..., None], 3, -1)


def _slugs(entrants: Sequence[Entrant]) -> dict[Entrant, str]:
    """Their titles as parts of files' names; with a part of its hash one that is too long, or like another."""
    plain = {entrant: re.sub(r"[^A-Za-z0-9_.=-]+", "-", entrant.title).strip("-") for entrant in entrants}
    alike = Counter(text.lower() for text in plain.values())  # names that some file systems do not tell apart
    fits = {text for text in plain.values() if len(text) <= LONGEST and alike[text.lower()] == 1}
    return {
        entrant: text if text in fits else f"{text[:LONGEST]}-{digest(entrant.title)[:8]}"
        for entrant, text in plain.items()
    }


def mosaic(
    rows: Sequence[Row], names: Sequence[str], titles: Sequence[str], breaks: Sequence[int] = (), title: str = ""
) -> Figure:
    """Tiles in rows with `names`, under column `titles`; before each column of `breaks` the gap is wider."""
    from matplotlib.figure import Figure as NewFigure

    size = next(tile.shape[:2] for row in rows for tile in row if tile is not None)
    times = max(1, TILE // max(size))
    height, width = size[0] * times, size[1] * times
    lefts = [x * (width + GAP) + 2 * GAP * sum(x >= start for start in breaks) for x in range(len(titles))]
    tops = [y * (height + GAP) for y in range(len(rows))]
    canvas = np.ones((tops[-1] + height, lefts[-1] + width, 3))
    for top, row in zip(tops, rows, strict=True):
        for left, tile in zip(lefts, row, strict=True):
            canvas[top : top + height, left : left + width] = 0.93 if tile is None else _enlarged(tile, times)
    margin, above = 1.3, 0.35 if title else 0.2
    wide = min(PAGE - margin, LARGEST * len(titles))
    tall = wide * canvas.shape[0] / canvas.shape[1]
    figure = NewFigure(figsize=(margin + wide, tall + above))
    panel = figure.add_axes((margin / (margin + wide), 0, wide / (margin + wide), tall / (tall + above)))
    panel.imshow(canvas, interpolation="none", aspect="auto")
    panel.xaxis.tick_top()
    panel.set_xticks([left + width / 2 for left in lefts], titles)
    panel.set_yticks([top + height / 2 for top in tops], [fill(name, LABEL) for name in names])
    panel.tick_params(length=0, pad=2)
    panel.grid(visible=False)
    panel.spines[:].set_visible(False)
    if title:
        figure.text(margin / (margin + wide), 0.99, title, va="top")
    return figure


def _enlarged(tile: Image, times: int) -> Float[np.ndarray, "H W 3"]:
    """Each pixel as a square of `times` x `times`: viewers that smooth images leave its edges sharp."""
    return np.clip(tile, 0, 1).repeat(times, 0).repeat(times, 1)
