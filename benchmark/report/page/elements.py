"""HTML from Python values. Text is escaped unless it is Markup, and only functions of this file make that."""

from __future__ import annotations

import json
from html import escape
from typing import Any

VOID = ("img", "input", "meta")


class Markup(str):
    """Text that is HTML already."""


def element(tag: str, *children: str | None, **attributes: Any) -> Markup:
    """A tag with its children; None leaves one out.

    Attributes: "_" in a name becomes "-" and one at its end is dropped ("class_"); True is a bare name, False and None
    are left out.
    """
    told = "".join(_attribute(name.rstrip("_").replace("_", "-"), value) for name, value in attributes.items())
    if tag in VOID:
        return Markup(f"<{tag}{told}>")
    return Markup(f"<{tag}{told}>{join(*children)}</{tag}>")


def join(*children: str | None) -> Markup:
    """Children side by side."""
    return Markup("".join(c if isinstance(c, Markup) else escape(c) for c in children if c is not None))


def script_data(name: str, value: Any) -> Markup:
    """JSON for the page's script, which no text in it can end."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return Markup(f'<script type="application/json" id="{escape(name)}">{text}</script>')


def verbatim(text: str) -> Markup:
    """A style sheet or script of ours."""
    return Markup(text)


def _attribute(name: str, value: Any) -> str:
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'
