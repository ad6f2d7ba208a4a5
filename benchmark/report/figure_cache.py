"""What was drawn last time, and from what: `drawn.json` in the folder of figures, so as not to draw it twice."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from benchmark.records import write_atomically

NAME = "drawn.json"


def files(folder: Path, sources: str) -> list[Path] | None:
    """The figures that were drawn from these `sources` (a digest); None unless all are there in their sizes."""
    try:
        known = json.loads((folder / NAME).read_bytes())
        sizes = {folder / name: size for name, size in known["files"].items()} if known["sources"] == sources else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if sizes is None or not all(path.is_file() and path.stat().st_size == size for path, size in sizes.items()):
        return None
    return [*sizes]


def remember(folder: Path, sources: str, written: Iterable[Path]) -> None:
    """Note what was drawn from these sources. Raises OSError."""
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in written}
    write_atomically(folder / NAME, json.dumps({"sources": sources, "files": sizes}, indent=1).encode())
