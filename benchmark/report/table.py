"""A table before it has a form: columns, rows, and cells that set our value beside a paper's."""

from __future__ import annotations

import csv as csv_format
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from benchmark.report.statistics import Summary

__all__ = ["DASH", "Cell", "Column", "Row", "Table", "csv", "number", "strongest"]

DASH = "—"


@dataclass(frozen=True)
class Cell:
    """Our value and the paper's; None where there is none. `best`: no other that may be called best beats it.

    `paper_se` is the standard error that the paper prints, if it does.
    """

    ours: Summary | None = None
    paper: float | None = None
    best: bool = False
    paper_se: float | None = None


@dataclass(frozen=True)
class Column:
    """One measurement a row, printed with that many decimals; `paper` tells whether papers' values stand beside it."""

    title: str
    decimals: int
    paper: bool = False


@dataclass(frozen=True)
class Row:
    """Cells in the order of the columns. `mark` refers to a note; a `summary` is set apart from the rows above it."""

    title: str
    cells: tuple[Cell, ...]
    mark: str = ""
    summary: bool = False


@dataclass(frozen=True)
class Table:
    """`name` is a file's, `corner` heads the rows' titles; a cell says its n where that is not `num_seeds`."""

    name: str
    caption: str
    corner: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    num_seeds: int
    notes: tuple[str, ...] = ()


def number(value: float | None, decimals: int) -> str:
    """As printed: a dash for None, and no minus before a zero."""
    if value is None:
        return DASH
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text


def strongest(
    values: Sequence[Summary | None],
    eligible: Sequence[bool],
    decimals: int,
    best: Callable[[Iterable[float]], float] = max,
) -> list[bool]:
    """Which of the eligible print the best mean, `max` or `min`; none where there are not two to compare."""
    printed = [
        float(number(value.mean, decimals)) if value and may else None
        for value, may in zip(values, eligible, strict=True)
    ]
    rivals = [value for value in printed if value is not None]
    return [len(rivals) > 1 and value == best(rivals) for value in printed]


def csv(table: Table) -> str:
    """One line a cell, unrounded: our mean, standard error, n, Student's 95 % interval, the paper's value and error."""
    text = io.StringIO()
    lines = csv_format.writer(text, lineterminator="\n")
    lines.writerow(["row", "column", "mean", "se", "n", "low95", "high95", "paper", "paper_se"])
    for row in table.rows:
        for column, cell in zip(table.columns, row.cells, strict=True):
            ours = [cell.ours.mean, cell.ours.se, cell.ours.n] if cell.ours else [None, None, 0]
            interval = (cell.ours.interval() if cell.ours else None) or (None, None)
            lines.writerow([row.title, column.title, *ours, *interval, cell.paper, cell.paper_se])
    return text.getvalue()
