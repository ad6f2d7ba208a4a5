"""The numbers that papers print, from results/papers."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

PAPERS = Path(__file__).parents[2] / "results" / "papers"
"""A TOML file a paper."""


@cache
def published(paper: str) -> dict[str, Any]:
    """One paper's tables, as in its file there ("racah2020")."""
    return tomllib.loads((PAPERS / f"{paper}.toml").read_text(encoding="utf-8"))
