"""A table as GitHub-flavoured Markdown, its columns padded so that it reads well in a terminal too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmark.report.table import Column, Row, Table, number, signed


def render(table: Table) -> str:
    """Caption, table, notes. A paper's values have a column of their own to the right of ours."""
    lines = [[table.corner, *(title for column in table.columns for title in _head(column))]]
    lines += [[_title(row), *_texts(table, row)] for row in table.rows]
    below = [f"\n{_escape(text)}" for text in (*table.notes, table.provenance) if text]
    return "\n".join([_escape(table.caption), "", grid(lines), *below]) + "\n"


def grid(lines: Sequence[Sequence[str]], prose: bool = False) -> str:
    """Texts as a table, the first line its heads. Columns after the first go to the right, unless they hold `prose`."""
    lines = [[_escape(text) for text in line] for line in lines]
    widths = [max(3, *(len(line[i]) for line in lines)) for i in range(len(lines[0]))]
    left = len(widths) if prose else 1
    rule = ["-" * width if i < left else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    return "\n".join(_line(line, widths, left) for line in (lines[0], rule, *lines[1:]))


def _head(column: Column) -> list[str]:
    return [column.full_title, *["paper"] * column.paper, *["diff."] * column.distance]


def _title(row: Row) -> str:
    title = f"{row.title} {row.mark}".strip()
    return f"*{title}*" if row.summary else title


def _texts(table: Table, row: Row) -> Iterator[str]:
    for column, cell in zip(table.columns, row.cells, strict=True):
        mean = number(cell.mean, column.decimals)
        rest = cell.spread(column.decimals) + table.remark(column, cell) + cell.signs
        yield (f"**{mean}**" if cell.best else mean) + rest
        if column.paper:
            yield number(cell.paper, column.decimals) + cell.paper_spread(column.decimals)
        if column.distance:
            yield signed(cell.distance)


def _line(texts: Sequence[str], widths: list[int], left: int) -> str:
    padded = (
        text.ljust(width) if i < left else text.rjust(width)
        for i, (text, width) in enumerate(zip(texts, widths, strict=True))
    )
    return "| " + " | ".join(padded) + " |"


def _escape(text: str) -> str:
    for sign in "\\|<`":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())
