"""The page itself: what was run, the one comparison, tables, figures, clips and runs.

A pure function of the records, the arrays beside them and the figures drawn from both: the same bytes each time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmark.records import Record, write_atomically
from benchmark.report.captions import commit_of, listed, warning
from benchmark.report.collapse import reason
from benchmark.report.figures import arrays
from benchmark.report.page.elements import Markup, element, join, script_data, verbatim
from benchmark.report.page.films import embedded, films
from benchmark.report.page.run_data import run_data
from benchmark.report.page.table_view import Numbers, render
from benchmark.report.scores import Context, Scores
from benchmark.report.table import Table

HERE = Path(__file__).parent

LIMIT = 5_000_000
"""Bytes of figures that a page holds at most; others are named."""

NAMED = 4
"""Commits that the first line names at most."""

BUDGETS = ("paper", "quick", "smoke")
"""Those that say most come first."""


def write_report(
    records: Sequence[Record],
    out: Path,
    context: Context,
    figures: Iterable[Path],
    tables: Mapping[str, list[Table]],
) -> Path:
    """Write `report.html` into the output folder `out`, with those of its `figures` that are PNG.

    `tables` are all that these records give, as `everything` makes them. Raises OSError.
    """
    runs = sorted(records, key=lambda run: (run.suite, run.budget, run.dataset, run.method, run.digest, run.seed))
    numbers = {run.path.as_posix(): i for i, run in enumerate(runs)}
    sets = Scores.of(runs, context)
    body = [
        element("a", "Skip to the tables", href="#tables", class_="skip"),
        _header(runs),
        element(
            "main",
            *_headlines(tables, numbers),
            _what_was_run(sets),
            _tables(sets, tables, numbers),
            _section("Figures", *_figures(sets, [path for path in figures if path.suffix == ".png"])),
            _section("Clips", *films(sets, partial(arrays, out))),
            _section("Runs", _runs(runs)) if runs else None,
        ),
        element("dialog", id="window", aria_labelledby="window-title"),
        script_data("data", run_data(runs)),
        element("script", verbatim((HERE / "script.js").read_text(encoding="utf-8"))),
    ]
    path = out / "report.html"
    write_atomically(path, _document(body).encode("utf-8", "replace"))
    return path


def _document(body: Sequence[Markup]) -> str:
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", "slotbench report"),
        element("style", verbatim((HERE / "style.css").read_text(encoding="utf-8"))),
    )
    return f"<!doctype html>\n{element('html', head, element('body', *body), lang='en')}\n"


def _header(runs: Sequence[Record]) -> Markup:
    """Title, what was run in a line, and the filters."""
    choices = {name: sorted({getattr(run, name) for run in runs}, key=_order) for name in ("suite", "budget", "method")}
    filters = [_filter(name, values) for name, values in choices.items()]
    theme = element("button", "Light or dark", type="button", id="theme")
    return element(
        "header",
        element("h1", "slotbench report"),
        element("p", _summary(runs)),
        element("form", *filters, theme, aria_label="show only", id="filters") if runs else None,
    )


def _order(name: str) -> tuple[int, str]:
    return (BUDGETS.index(name) if name in BUDGETS else len(BUDGETS), name)


def _filter(name: str, values: Sequence[str]) -> Markup:
    options = [element("option", f"every {name}", value=""), *(element("option", v, value=v) for v in values)]
    return element("label", f"{name} ", element("select", *options, name=name))


def _summary(runs: Sequence[Record]) -> str:
    if not runs:
        return "There are no records yet: nothing was run, or nothing has finished."
    status = Counter(run.status for run in runs)
    collapsed = sum(reason(run) is not None for run in runs)
    counts = [f"{len(runs)} run{'s' if len(runs) > 1 else ''}", f"{status['failed']} failed"]
    counts += [f"{collapsed} collapsed"] * bool(collapsed)
    kinds = {"method": "method", "data set": "dataset", "seed": "seed"}
    sizes = {kind: len({getattr(run, name) for run in runs}) for kind, name in kinds.items()}
    commits = sorted({commit_of(run) or "unknown" for run in runs})
    told = [f"{count} {kind if count == 1 else f'{kind}s'}" for kind, count in sizes.items()]
    code = listed(commits) if len(commits) <= NAMED else f"of {len(commits)} commits, each named with its runs"
    return f"{', '.join(counts)}: {', '.join(told)}; code {code}."


def _headlines(tables: Mapping[str, list[Table]], numbers: Numbers) -> list[Markup]:
    """The one comparison of each budget."""
    found = {name.removeprefix("headline-"): each for name, each in tables.items() if name.startswith("headline-")}
    return [
        _section(f"All suites, budget {budget}", *(render(table, numbers) for table in found[budget]), budget=budget)
        for budget in sorted(found, key=_order)
        if found[budget]
    ]


def _section(title: str, *content: Markup, suite: str | None = None, budget: str | None = None) -> Markup:
    """With a warning where the budget's numbers mean nothing; empty if nothing is in it."""
    if not content:
        return join()
    told = warning(budget) if budget else ""
    above = element("p", told, class_="warning") if told else None
    return element("section", element("h2", title), above, *content, data_suite=suite, data_budget=budget)


def _what_was_run(sets: Sequence[Scores]) -> Markup:
    """How many runs of each method succeeded, in each suite and budget, and why others failed."""
    if not sets:
        return join()
    entrants = sorted({entrant.title for scores in sets for entrant in scores.entrants()})
    heads = [element("th", f"{scores.suite}, {scores.budget}", scope="col") for scores in sets]
    rows = [
        element("tr", element("th", title, scope="row"), *(element("td", _succeeded(s, title)) for s in sets))
        for title in entrants
    ]
    caption = element("caption", "Runs that succeeded, of how many there are records.")
    head = element("thead", element("tr", element("th", "method", scope="col"), *heads))
    table = element("table", caption, head, element("tbody", *rows))
    failed = sorted({f"{run}: {run.reason}" for s in sets for run in s.runs.values() if run.status == "failed"})
    reasons = [element("ul", *(element("li", line) for line in failed))] if failed else []
    return _section("What was run", _scrolling(table, "what was run"), *reasons)


def _scrolling(table: Markup, name: str, class_: str = "scroll") -> Markup:
    """A table that may be wider than its page, and can be scrolled with the keyboard."""
    return element("div", table, class_=class_, tabindex=0, role="region", aria_label=name)


def _succeeded(scores: Scores, title: str) -> str:
    found = [run.status == "ok" for (entrant, _, _), run in scores.runs.items() if entrant.title == title]
    return f"{sum(found)} of {len(found)}" if found else "—"


def _tables(sets: Sequence[Scores], tables: Mapping[str, list[Table]], numbers: Numbers) -> Markup:
    parts = []
    for scores in sorted(sets, key=lambda s: (_order(s.budget), s.suite)):
        found = [render(table, numbers) for table in tables[scores.folder]]
        name = f"Suite {scores.suite}, budget {scores.budget}"
        parts.append(_section(name, *found, suite=scores.suite, budget=scores.budget))
    return element("div", *parts, id="tables")


def _figures(sets: Sequence[Scores], paths: Sequence[Path]) -> list[Markup]:
    """As many as LIMIT allows, smallest first; the others are named."""
    of = {scores.folder: scores for scores in sets}
    sizes = {path: path.stat().st_size for path in sorted(paths)}
    shown, total = set(), 0
    for path in sorted(sizes, key=lambda p: (sizes[p], p)):
        total += sizes[path]
        shown |= {path} if total <= LIMIT else set()
    found = [_figure(path, of[path.parent.name]) for path in sizes if path in shown and path.parent.name in of]
    others = [f"{path.parent.name}/{path.name}" for path in sizes if path not in shown]
    left = element("p", f"Too large to be shown here, see the folder of figures: {listed(others)}.", class_="note")
    return [*found, *[left] * bool(others)]


def _figure(path: Path, scores: Scores) -> Markup:
    title = f"{path.stem.replace('-', ' ')} ({scores.suite}, {scores.budget})"
    picture = element("img", src=embedded(path.read_bytes()), alt=title, loading="lazy")
    large = element("button", picture, type="button", class_="large", title="show large")
    suite, budget = scores.suite, scores.budget
    return element("figure", large, element("figcaption", title), data_suite=suite, data_budget=budget)


def _runs(runs: Sequence[Record]) -> Markup:
    """A row a run."""
    columns = ("suite", "budget", "dataset", "method", "seed", "status")
    heads = [
        element("th", element("button", name, type="button", class_="sort"), scope="col", data_column=i)
        for i, name in enumerate(columns)
    ]
    rows = [
        element(
            "tr",
            *(element("td", str(getattr(run, name))) for name in columns[:-1]),
            element("td", element("a", _status(run), href=f"#run-{i}", data_runs=i)),
            id=f"run-{i}",
            class_=run.status,
            data_suite=run.suite,
            data_budget=run.budget,
            data_method=run.method,
        )
        for i, run in enumerate(runs)
    ]
    caption = element("caption", "Every run; its status leads to its record.")
    table = element("table", caption, element("thead", element("tr", *heads)), element("tbody", *rows))
    return _scrolling(table, "every run", "scroll runs")


def _status(run: Record) -> str:
    why = run.reason if run.status == "failed" else reason(run)
    told = "collapsed" if run.status == "ok" and why else run.status
    return f"{told}: {why}" if why else told
