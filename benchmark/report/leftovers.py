"""Removes tables and figures of records that are gone, so that a folder shows what its records say and no more."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from benchmark.suites import SUITES


def remove_others(out: Path, written: Iterable[Path], endings: tuple[str, ...]) -> None:
    """Of the files with those endings (".md"), leave in our folders in `out` only what was written now.

    Ours are those that hold something written now and all that a (suite, budget) has, as "atari-quick". Other files and
    folders are not touched; one of ours that is empty then goes too. Raises OSError.
    """
    kept = set(written)
    budgets = {budget for suite in SUITES.values() for budget in suite.budgets}
    ours = {out / f"{suite}-{budget}" for suite in (*SUITES, "headline") for budget in budgets}
    for folder in ours | {path.parent for path in kept}:
        for path in [*folder.glob("*")]:
            if path.suffix in endings and path not in kept:
                path.unlink(missing_ok=True)
        with suppress(OSError):  # it holds something, is a link, or another command is at it
            folder.rmdir()
