"""Removes tables and figures of records that are gone, so that a folder shows what its records say and no more."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

__all__ = ["remove_others"]


def remove_others(out: Path, written: Iterable[Path], endings: tuple[str, ...]) -> None:
    """Of the files with those endings (".md"), leave in the folders in `out` only what was written now.

    Others are not touched; a folder that is empty then goes too. Raises OSError.
    """
    kept = set(written)
    for path in [*out.glob("*/*")]:
        if path.suffix in endings and path not in kept:
            path.unlink(missing_ok=True)
    for folder in [*out.glob("*/")]:
        if not any(folder.iterdir()):
            folder.rmdir()
