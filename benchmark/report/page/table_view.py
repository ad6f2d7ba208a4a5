"""A table as HTML: sortable heads, every number a link to the runs behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from benchmark.report.captions import PLUMBING, sentences
from benchmark.report.page.elements import Markup, element, join
from benchmark.report.table import ALIKE, APART, COLLAPSED, Cell, Column, Row, Table, number, signed

Numbers = Mapping[str, int]
"""The number of each run in the page, by the path of its record."""

MEANINGS = {
    ALIKE: "not significantly worse than the best",
    COLLAPSED: "a run in it collapsed",
    APART: "of other frames, and not compared",
}


def render(table: Table, numbers: Numbers) -> Markup:
    """Caption, scrolling table, and notes."""
    first, *others = sentences(table.caption.removeprefix(PLUMBING).strip())  # the section says that
    more = filter(None, [*others, table.provenance])
    rows = [_row(table, row, numbers) for row in table.rows if not row.summary]
    below = [_row(table, row, numbers) for row in table.rows if row.summary]
    whole = element(
        "table",
        element("caption", first),
        element("thead", *_heads(table)),
        element("tbody", *rows),
        element("tfoot", *below) if below else None,
    )
    return element(
        "div",
        element("div", whole, class_="scroll", tabindex=0, role="region", aria_label=f"table {table.name}"),
        *(element("p", note, class_="note") for note in table.notes),
        element("details", element("summary", "How it was measured"), element("p", " ".join(more))),
        class_="table",
    )


def _heads(table: Table) -> Iterator[Markup]:
    """A line of groups, if there are any, one of titles, and one of what was measured here and what the paper has."""
    papers = any(column.paper for column in table.columns)
    deep = any(column.group for column in table.columns) + 1 + papers
    corner = element("th", _sort(table.corner), scope="col", rowspan=deep, data_column=0)
    places = _places(table.columns)
    titles = [_title(column, place, papers) for column, place in zip(table.columns, places, strict=True)]
    if any(column.group for column in table.columns):
        grouped = [(name, [*members]) for name, members in groupby(table.columns, lambda column: column.group)]
        groups = [
            element("th", name, scope="colgroup", colspan=sum(map(_span, members)), class_="group")
            for name, members in grouped
        ]
        yield element("tr", corner, *groups)
        yield element("tr", *titles)
    else:
        yield element("tr", corner, *titles)
    if papers:
        pairs = zip(table.columns, places, strict=True)
        yield element("tr", *(join(*_parts(column, place)) for column, place in pairs if column.paper))


def _places(columns: Sequence[Column]) -> list[int]:
    """The index of each column's first cell in a row, after the row's own title."""
    return [1 + sum(map(_span, columns[:i])) for i in range(len(columns))]


def _span(column: Column) -> int:
    return 1 + column.paper + column.distance


def _title(column: Column, place: int, papers: bool) -> Markup:
    if column.paper:
        return element("th", column.title, scope="colgroup", colspan=_span(column), data_method=column.method or None)
    below = 2 if papers else 1
    head = {"scope": "col", "rowspan": below, "data_column": place, "data_method": column.method or None}
    return element("th", _sort(column.title), **head)


def _parts(column: Column, place: int) -> Iterator[Markup]:
    for i, name in enumerate(("here", *["paper"] * column.paper, *["diff."] * column.distance)):
        head = {"scope": "col", "data_column": place + i, "data_method": column.method or None}
        yield element("th", _sort(name), **head)


def _sort(title: str) -> Markup:
    return element("button", title, type="button", class_="sort", title="sort by this column")


def _row(table: Table, row: Row, numbers: Numbers) -> Markup:
    head = element("th", f"{row.title} {row.mark}".strip(), scope="row")
    cells = [
        part
        for column, cell in zip(table.columns, row.cells, strict=True)
        for part in _cells(table, column, cell, numbers)
    ]
    return element("tr", head, *cells, data_method=row.method or None)


def _cells(table: Table, column: Column, cell: Cell, numbers: Numbers) -> Iterator[Markup]:
    whose = {"data_method": column.method or None}
    yield element("td", *_ours(table, column, cell, numbers), data_value=_exact(cell.mean), **whose)
    if column.paper:
        paper = number(cell.paper, column.decimals) + cell.paper_spread(column.decimals)
        yield element("td", paper, data_value=_exact(cell.paper), **whose)
    if column.distance:
        yield element("td", signed(cell.distance), data_value=_exact(cell.distance), **whose)


def _ours(table: Table, column: Column, cell: Cell, numbers: Numbers) -> Iterator[Markup]:
    """The mean, linked to its runs, then its error and marks."""
    text = number(cell.mean, column.decimals)
    mean = element("strong", text) if cell.best else text
    runs = [numbers[path] for path in cell.runs if path in numbers]
    if runs:
        mean = element("a", mean, href=f"#run-{runs[0]}", data_runs=" ".join(map(str, runs)), class_="number")
    yield join(mean)
    rest = cell.spread(column.decimals) + table.remark(column, cell)
    yield element("small", rest) if rest else join()
    for sign in cell.signs:
        yield element("sup", element("abbr", sign, title=MEANINGS[sign]))


def _exact(value: float | None) -> str | None:
    return None if value is None else f"{value:.9g}"
