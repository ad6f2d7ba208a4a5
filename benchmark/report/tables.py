"""Tables: what one is made of, and writing them as LaTeX, Markdown and CSV.

A pure function of the records: no wall times, no paths, so that the same records give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from benchmark.records import Record, write_atomically
from benchmark.report import (
    aggregate_tables,
    colour_tables,
    cswm_tables,
    headline,
    latex,
    markdown,
    probe_tables,
    scn_tables,
    setcon_tables,
)
from benchmark.report.leftovers import remove_others
from benchmark.report.scores import Context, Scores
from benchmark.report.table import Table, csv

Maker = Callable[[Scores], list[Table]]

MAKERS: dict[str, tuple[Maker, ...]] = {
    "atari": (scn_tables.tables, aggregate_tables.tables),
    "synthetic": (setcon_tables.tables,),
    "colours": (colour_tables.tables,),
}
"""Whose tables a suite gets; any other suite gets those of all papers for which it has the metrics."""

EVERY: tuple[Maker, ...] = (cswm_tables.tables, setcon_tables.tables, scn_tables.tables, aggregate_tables.tables)


def build(records: Iterable[Record], context: Context) -> dict[str, list[Table]]:
    """All tables, by the (suite, budget) that they hold, as "atari-quick"."""
    return {
        scores.folder: [
            table for make in (*MAKERS.get(scores.suite, EVERY), probe_tables.tables) for table in make(scores)
        ]
        for scores in Scores.of(records, context)
    }


def everything(records: Sequence[Record], context: Context) -> dict[str, list[Table]]:
    """The one comparison over suites of each budget, as "headline-quick", then all tables of `build`."""
    sets = Scores.of(records, context)
    budgets = sorted({scores.budget for scores in sets})
    headlines = {f"headline-{budget}": headline.tables([s for s in sets if s.budget == budget]) for budget in budgets}
    return headlines | build(records, context)


def write(sets: Mapping[str, list[Table]], out: Path, form: latex.Form = latex.PLAIN) -> list[Path]:
    """Write tables into `out`, one folder a (suite, budget), and `all-tables.tex`, which compiles by itself.

    Earlier tables of ours that are not written now are removed. Raises OSError.
    """
    written = []
    for folder, tables in sets.items():
        for table in tables:
            forms = {
                ".tex": latex.render(table, folder, form),
                "-tabular.tex": latex.render_tabular(table, form),
                ".md": markdown.render(table),
                ".csv": csv(table),
            }
            for ending, text in forms.items():
                written.append(_write(out / folder / f"{table.name}{ending}", text))
    remove_others(out, written, (".tex", ".md", ".csv"))
    inputs = [f"{folder}/{table.name}" for folder, tables in sets.items() for table in tables]
    return [*written, _write(out / "all-tables.tex", latex.document(inputs, form))]


def in_markdown(sets: Mapping[str, list[Table]]) -> str:
    """Tables in one text, for a terminal."""
    parts = ((folder, table) for folder, tables in sets.items() for table in tables)
    return "\n".join(f"## {folder}: {table.name}\n\n{markdown.render(table)}" for folder, table in parts)


def _write(path: Path, text: str) -> Path:
    write_atomically(path, text.encode())
    return path
