"""Links between the pages: each leads to a file that is there and, where it names one, to a heading in it."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def anchors(text: str) -> set[str]:
    """Of a page's headings, as they are made from them where the pages are shown."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    headings = re.findall(r"^#+ +(.+)$", prose, flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        there = page.parent / name if name else page
        assert there.exists(), f"{page.name} links to {link}"
        assert not anchor or anchor in anchors(there.read_text()), f"{page.name} links to {link}"


def test_a_link_to_no_heading_would_be_seen():
    assert anchors("# One, two's: three (4)\n\n```\n# a comment\n```\n") == {"one-twos-three-4"}
