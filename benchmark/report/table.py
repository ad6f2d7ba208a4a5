"""A table before it has a form: columns, rows, and cells that set our value beside a paper's."""

from __future__ import annotations

import csv as csv_format
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from benchmark.report.statistics import Summary, in_standard_errors

DASH = "—"

ALIKE = "°"
"""Beside a mean that is not significantly worse than the best."""

COLLAPSED = "§"
"""Beside a mean with a collapsed run in it."""

APART = "¶"
"""Beside a mean that is not compared with the others, as it is of other frames."""


@dataclass(frozen=True)
class Cell:
    """Our value and the paper's; None where there is none. `best`: no other that may be called best beats it.

    `paper_se` is the standard error that the paper prints, if it does. `alike`: not significantly worse than the best,
    None where that was not tested; `apart`: of other frames, so that it is neither. `bounds` are the ends of an
    interval to be printed instead of the standard error. `covered`: how many of how many have a value, of the data sets
    whose mean is missing or of what else a table is about. `like_the_paper`: both are of the same data sets. `runs` are
    the paths of the records behind it.
    """

    ours: Summary | None = None
    paper: float | None = None
    best: bool = False
    paper_se: float | None = None
    alike: bool | None = None
    collapsed: bool = False
    apart: bool = False
    bounds: tuple[float, float] | None = None
    covered: tuple[int, int] | None = None
    like_the_paper: bool = True
    runs: tuple[str, ...] = field(default=(), compare=False)

    @property
    def mean(self) -> float | None:
        """Of our value; None where there is none."""
        return self.ours.mean if self.ours else None

    @property
    def distance(self) -> float | None:
        """Ours less the paper's in units of the combined standard error, as `in_standard_errors` has it."""
        if self.ours is None or self.paper is None or not self.like_the_paper:
            return None
        return in_standard_errors(self.ours, self.paper, self.paper_se)

    @property
    def signs(self) -> str:
        """What stands beside the mean."""
        if self.ours is None:
            return ""
        return ALIKE * bool(self.alike and not self.best) + COLLAPSED * self.collapsed + APART * self.apart

    def spread(self, decimals: int) -> str:
        """What follows the mean, after a space: the bounds if there are any, else the standard error."""
        if self.ours and self.bounds:
            return " [{}, {}]".format(*(number(end, decimals) for end in self.bounds))
        return _error(self.ours.se if self.ours else None, decimals)

    def paper_spread(self, decimals: int) -> str:
        """What follows the paper's value, after a space: its standard error, if it prints one."""
        return _error(self.paper_se, decimals)


@dataclass(frozen=True)
class Column:
    """One measurement a row, printed with that many decimals.

    `paper` tells whether papers' values stand beside it, `distance` whether the distance from them does. Neighbours of
    one `group` share a title above theirs. A cell says its n where that is not `num_seeds` (None: the table's).
    `method` is whose numbers these are, where a column is a method's.
    """

    title: str
    decimals: int
    paper: bool = False
    distance: bool = False
    group: str = ""
    num_seeds: int | None = None
    method: str = ""

    @property
    def full_title(self) -> str:
        """With the group's before it."""
        return f"{self.group}: {self.title}" if self.group else self.title


@dataclass(frozen=True)
class Row:
    """Cells in the order of the columns. `mark` refers to a note; each `summary` stands below, set apart.

    `method` is whose numbers these are, where a row is a method's.
    """

    title: str
    cells: tuple[Cell, ...]
    mark: str = ""
    summary: bool = False
    method: str = ""


@dataclass(frozen=True)
class Table:
    """`name` is a file's, `corner` heads the rows' titles; a cell says its n where that is not its column's.

    `provenance` is for whoever traces the numbers; what a reader of the table must know stands in caption and notes.
    """

    name: str
    caption: str
    corner: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    num_seeds: int
    notes: tuple[str, ...] = ()
    provenance: str = ""

    def remark(self, column: Column, cell: Cell) -> str:
        """What a cell says of what it covers or else of its n (" (2 of 3)" seeds); "" where none is missing.

        What needs no model may be of more seeds than any method's mean.
        """
        seeds = column.num_seeds or self.num_seeds
        if cell.covered:
            return " ({} of {})".format(*cell.covered)
        return f" ({cell.ours.n} of {seeds})" if cell.ours and cell.ours.n < seeds else ""


def number(value: float | None, decimals: int) -> str:
    """As printed: a dash for None, and no minus before a zero."""
    return DASH if value is None else f"{value:z.{decimals}f}"


def signed(value: float | None) -> str:
    """A distance in standard errors as printed: with its sign, to a tenth."""
    return DASH if value is None else f"{value:+z.1f}"


def _error(se: float | None, decimals: int) -> str:
    return "" if se is None else f" ± {number(se, decimals)}"


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
    """One line a cell, unrounded: our mean, its standard error, n, and Student's 95 % interval or the cell's own; the
    marks, the distance from the paper's value in standard errors, that value and its error."""
    text = io.StringIO()
    lines = csv_format.writer(text, lineterminator="\n")
    lines.writerow(COLUMNS)
    for row in table.rows:
        for column, cell in zip(table.columns, row.cells, strict=True):
            ours = [cell.ours.mean, cell.ours.se, cell.ours.n] if cell.ours else [None, None, 0]
            interval = cell.bounds or (cell.ours.interval() if cell.ours else None) or (None, None)
            marks = [int(cell.best), None if cell.alike is None else int(cell.alike), int(cell.collapsed)]
            paper = [cell.distance, cell.paper, cell.paper_se]
            lines.writerow([row.title, column.full_title, *ours, *interval, *marks, *paper])
    return text.getvalue()


COLUMNS = (
    *("row", "column", "mean", "se", "n", "low95", "high95"),
    *("best", "not_worse", "collapsed", "distance", "paper", "paper_se"),
)
