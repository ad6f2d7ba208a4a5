"""Removes tables and figures of records that are gone, so that a folder shows what its records say and no more."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

__all__ = ["remove_others"]


def remove_others(folder: Path, written: Iterable[Path], endings: tuple[str, ...]) -> None:
    """Of the files with those endings (".md"), leave in the folder only what was written now; others are not touched.

    Raises OSError.
    """
    kept = set(written)
    for path in [*folder.glob("*")]:
        if path.suffix in endings and path not in kept:
            path.unlink(missing_ok=True)
