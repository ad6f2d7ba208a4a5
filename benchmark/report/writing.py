"""The report of an output folder, written: tables, figures and page of its records; or what two folders differ in.

What draws and counts is imported when it is needed, so that a plan does not wait for it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark import parameters, records, variants
from benchmark.errors import UserError
from benchmark.progress import say
from benchmark.records import Record
from benchmark.registry import datasets, methods, probes

if TYPE_CHECKING:
    from benchmark.report.scores import Context


PATIENCE = 2.0
"""Seconds to wait for another command before that is said."""


def compare(before: Path, after: Path, shown: Callable[[Record], bool] = lambda record: True) -> str:
    """What changed between the records of two output folders that are `shown`, whatever the versions of the code that
    made them.

    Raises UserError where one has none.
    """
    from benchmark.report import changes

    found = {out: [record for record in read_records(out) if shown(record)] for out in (before, after)}
    for out in found:
        if not found[out]:
            of = "of what is named " if read_records(out) else ""
            raise UserError(f"--compare: no records {of}under {str(out)!r}; name two output folders, as --out does")
    context = replace(report_context(), variant=partial(variants.settings, versions=False))
    return changes.as_markdown(found[before], found[after], context)


def report_context() -> Context:
    """What records do not say of themselves: variants by the present defaults, floors and ceilings."""
    from benchmark.report.scores import Context

    return Context(
        variant=variants.variant,
        asked=partial(variants.probe_settings, default=cache(variants.probe_default)),
        floors=frozenset(name for name in methods if not methods.entry(name)[0].trains),
        ceilings=frozenset(name for name in methods if methods.entry(name)[0].reads_labels),
    )


def read_records(out: Path) -> list[Record]:
    """All records under `out`; the damaged ones are named."""
    found, damaged = records.read_all(out)
    for path, reason in damaged:
        say(f"left out: {path.relative_to(out)}: {reason}", sys.stderr)
    return found


def say_damaged_arrays(found: Iterable[Record], out: Path) -> None:
    """Name the files of arrays beside records that are not as the records say, as figures do without them."""
    for record in found:
        if parameters.arrays_damaged(out, record):
            told = "damaged, so no figure shows it; the command that made it makes it again while parameters are kept"
            say(f"left out: {record.arrays}: {told}", sys.stderr)


def say_unregistered(found: Iterable[Record]) -> None:
    """What plug-ins say of a method or a probe is not in its records: name those that are not registered here."""
    strangers = {record.method for record in found} - {*methods} | {record.dataset for record in found} - {*datasets}
    strangers |= {name for record in found for name in record.probes} - {*probes}
    if strangers:
        told = "with their --plugin the tables tell floors and ceilings and name what is set"
        say(f"not registered here: {', '.join(sorted(strangers))}; {told}", sys.stderr)


def report(out: Path, siunitx: bool = False, shown: Callable[[Record], bool] = lambda record: True) -> None:
    """Write tables, figures and page of the records under `out` that are `shown`, and print the tables; damaged records
    are named.

    One command at a time, so that none removes what another writes, and the last one knows all records. Raises
    UserError where there are records and none is shown.
    """
    with _alone(out):
        found = read_records(out)
        some = [record for record in found if shown(record)]
        if found and not some:
            named = "the methods, data sets, suites and budget that are named"
            raise UserError(
                f"none of the {len(found)} records under {str(out)!r} is of {named}; --report-only shows all"
            )
        _report(some, out, siunitx)


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """While no other command has the folder, where its file system knows locks."""
    from filelock import FileLock, Timeout

    lock = FileLock(out / ".report.lock")
    with suppress(OSError, NotImplementedError):
        try:
            lock.acquire(timeout=PATIENCE)
        except Timeout:
            say(f"waiting for another command that writes the report of {str(out)!r}")
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _report(found: list[Record], out: Path, siunitx: bool) -> None:
    from benchmark.report import figures, latex, tables, tidy
    from benchmark.report.page.report import write_report

    say_damaged_arrays(found, out)
    say_unregistered(found)
    context = report_context()
    try:
        made = tables.everything(found, context)
        tables.write(made, out / "tables", latex.ALIGNED if siunitx else latex.PLAIN)
        tidy.write_metrics(found, out / "tables", variants.settings, say)
        page = write_report(found, out, context, figures.write_figures(found, out, context), made)
    except OSError as error:
        raise UserError(f"tables and figures cannot be written to {str(out)!r} ({error.strerror})") from None
    if not found:
        say(f"no records under {str(out)!r} yet; {page} says so")
        return
    say(tables.in_markdown(made))
    say(f"{page}; tables (LaTeX, Markdown, CSV): {out / 'tables'}; figures (PNG, PDF): {out / 'figures'}")
