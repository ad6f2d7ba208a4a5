"""report.html: what it holds, that it holds it safely and for everyone, and in a browser that it works."""

import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from made import decoded, failed, film, record, row, written

from benchmark.records import Record
from benchmark.report.page.elements import Markup, element, join
from benchmark.report.page.report import write_report
from benchmark.report.page.run_data import run_data
from benchmark.report.page.table_view import render
from benchmark.report.scores import Context
from benchmark.report.statistics import Summary
from benchmark.report.table import Cell, Column, Row, Table
from benchmark.report.tables import everything

CONTEXT = Context(floors=frozenset({"random-cnn"}), ceilings=frozenset({"supervised"}))
HOSTILE = "<img src=x onerror=alert(1)>\"'&amp;</script>"
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


class Page(HTMLParser):
    """The tags of a page with their attributes, and the text of each kind of tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, str] = Counter()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        tag = self.tags[-1][0] if self.tags else ""
        self.text[tag] = str(self.text.get(tag, "")) + data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def game(method: str, seed: int = 0, value: float = 0.5, **fields) -> Record:
    rows = [row("linear", metric, "all", value) for metric in ("r2", "r2_ridge")]
    return record("pong", method, seed, rows, **({"suite": "atari"} | fields))


def runs() -> list[Record]:
    return [
        *(game("scn", seed, 0.5 + 0.1 * seed, curve=[[1, 3.0], [2, 1.0]]) for seed in (0, 1)),
        game("cswm", 0, 0.2),
        game("cswm", 0, 0.3, budget="smoke", digest="d1"),
        record("gridworld", "setcon", 0, decoded(0.01, 0.02)),
        replace(failed("gridworld", "slotwise"), traceback="Traceback:\n  DivergedError"),
    ]


def write(records: list[Record], out: Path, figures: Sequence[Path] = ()) -> Path:
    return write_report(records, out, CONTEXT, figures, everything(records, CONTEXT))


def page(records: list[Record], out: Path, figures: Sequence[Path] = ()) -> Page:
    return Page(write(records, out, figures).read_text(encoding="utf-8"))


def payload(found: Page, path: Path) -> dict:
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', path.read_text(), re.S)
    return json.loads(text)


def test_text_is_escaped_and_markup_is_not():
    assert element("p", "<b>", element("i", "&"), class_='a"b') == '<p class="a&quot;b">&lt;b&gt;<i>&amp;</i></p>'
    assert element("input", disabled=True, value=None) == "<input disabled>"
    assert join(Markup("<i>"), None, "<") == "<i>&lt;"


def test_names_and_texts_of_records_are_never_read_as_html(tmp_path):
    hostile = replace(
        game(HOSTILE, suite="atari", budget=HOSTILE),
        dataset=HOSTILE,
        status="failed",
        reason=HOSTILE,
        traceback=HOSTILE,
    )
    twin = replace(game(HOSTILE), dataset=HOSTILE, notes={"diagnostics": {"collapsed": HOSTILE}})
    harmless = page([replace(hostile, dataset="a"), twin], tmp_path / "a")
    found = page([hostile, twin], tmp_path / "b")
    assert Counter(tag for tag, _ in found.tags) == Counter(tag for tag, _ in harmless.tags)
    assert not found.all("img") and not any("onerror" in attributes for _, attributes in found.tags)
    assert HOSTILE in {attributes.get("value") for attributes in found.all("option")}
    assert payload(found, tmp_path / "b" / "report.html")["runs"][0]["traceback"] == HOSTILE


def test_nothing_is_fetched(tmp_path):
    figure = tmp_path / "figures" / "atari-quick" / "a.png"
    figure.parent.mkdir(parents=True)
    figure.write_bytes(b"png")
    found = page(runs(), tmp_path, [figure])
    addresses = [a[name] for _, a in found.tags for name in ("src", "href", "srcset", "action") if name in a]
    assert addresses and all(address.startswith(("#", "data:image/png;base64,")) for address in addresses)
    assert "@import" not in found.text["style"] and "url(" not in found.text["style"]


def test_the_first_thing_is_the_one_comparison_of_the_budget_that_says_most(tmp_path):
    found = page(runs(), tmp_path)
    heads = re.findall(r"<h2>(.*?)</h2>", (tmp_path / "report.html").read_text())
    assert heads[:3] == ["All suites, budget quick", "All suites, budget smoke", "What was run"]
    assert "6 runs, 1 failed: 4 methods, 2 data sets, 2 seeds; code 0123456789ab." in found.text["p"]
    assert found.text["p"].count("Plumbing test: the numbers mean nothing.") == 2


def test_many_commits_are_counted_and_few_named(tmp_path):
    made = [game("scn", seed) for seed in range(5)]
    made = [replace(run, provenance=run.provenance | {"commit": f"{run.seed}" * 12}) for run in made]
    many, few = page(made, tmp_path / "many").text["p"], page(made[:4], tmp_path / "few").text["p"]
    assert "; code of 5 commits, each named with its runs." in many
    assert "; code 000000000000, 111111111111, 222222222222 and 333333333333." in few


def test_why_a_run_failed_is_said_where_it_is_counted(tmp_path):
    found = page([*runs(), replace(failed("gridworld", "setcon"), reason=HOSTILE)], tmp_path)
    lost = failed("gridworld", "slotwise")
    assert f"{lost}: {lost.reason}" in found.text["li"] and HOSTILE in found.text["li"]


def test_every_number_leads_to_the_runs_behind_it(tmp_path):
    found = page(runs(), tmp_path)
    data = payload(found, tmp_path / "report.html")
    known = {(run["method"], run["budget"], run["seed"]): i for i, run in enumerate(data["runs"])}
    links = {attributes["data-runs"] for attributes in found.all("a") if "data-runs" in attributes}
    both = f"{known['scn', 'quick', 0]} {known['scn', 'quick', 1]}"
    assert both in links and str(known["setcon", "quick", 0]) in links
    ids = {attributes.get("id") for attributes in found.all("tr")}
    assert {f"run-{i}" for i in range(6)} <= ids


def test_a_run_has_its_configuration_curve_versions_and_traceback(tmp_path):
    found = page(runs(), tmp_path)
    data = payload(found, tmp_path / "report.html")
    lost = next(run for run in data["runs"] if run["method"] == "slotwise")
    assert (lost["status"], lost["traceback"]) == ("failed", "Traceback:\n  DivergedError")
    scn = next(run for run in data["runs"] if run["method"] == "scn")
    assert scn["curve"] == [[1, 3.0], [2, 1.0]]
    assert data["shared"][scn["configuration"]]["training"]["steps"] == 400
    assert data["shared"][scn["provenance"]]["commit"] == "0123456789abcdef"
    kind, value = scn["metrics"][0]
    assert (data["metrics"][kind], value) == (["linear", "r2", "all", "test"], 0.5)


def test_a_number_is_sorted_by_its_exact_value_and_an_interval_stands_instead_of_the_error():
    bounded, plain = Cell(Summary(1 / 3, 0.1, 3), bounds=(0.25, 0.5)), Cell(Summary(2 / 3, 0.1, 3))
    columns = Column("a", 2), Column("b", 2)
    text = render(Table("t", "Lead.", "method", columns, (Row("x", (bounded, plain)),), 3), {})
    cells = re.findall(r'<td data-value="(.*?)">(.*?)</td>', text)
    assert cells == [("0.333333333", "0.33<small> [0.25, 0.50]</small>"), ("0.666666667", "0.67<small> ± 0.10</small>")]


def test_what_runs_share_is_said_once_and_each_has_its_curve():
    curve = [[float(step), 1 / step] for step in range(1, 101)]
    data = run_data([game("scn", seed, curve=curve) for seed in range(50)])
    assert len(data["shared"]) <= 4
    assert data["runs"][49]["curve"] == [[step, pytest.approx(1 / step, rel=1e-5)] for step in range(1, 101)]


def test_the_parts_of_a_loss_have_curves_and_are_not_among_the_facts():
    parts = {"saliency": [2.0, None], "diversity": [None, None]}
    run = game("scn", curve=[[1, 3.0], [2, 1.0]], training={"steps": 2, "loss_parts": parts})
    (told,) = run_data([run])["runs"]
    assert told["parts"] == {"saliency": [[1, 2.0]]} and told["training"] == {"steps": 2}


def test_the_same_records_in_any_order_give_the_same_bytes(tmp_path):
    made = [written(tmp_path, run, film(8, 3) if run.method == "setcon" else None) for run in runs()]
    first = write(made, tmp_path).read_bytes()
    slower = [replace(run, timing={"total": 9.0}) for run in reversed(made)]
    assert write(slower, tmp_path).read_bytes() == first


def test_no_records_give_a_page_that_says_so(tmp_path):
    found = page([], tmp_path)
    assert "There are no records yet" in found.text["p"]
    assert not found.all("table") and found.all("h1")


def test_it_can_be_read_aloud_and_used_from_a_keyboard(tmp_path):
    made = [written(tmp_path, run, film(8, 3) if run.method == "setcon" else None) for run in runs()]
    text = write(made, tmp_path).read_text()
    found = Page(text)
    assert found.all("html")[0]["lang"] == "en" and found.all("main") and found.all("header")
    assert len(found.all("caption")) == len(found.all("table")) > 3
    assert all(head.get("scope") in ("col", "row", "colgroup") for head in found.all("th"))
    assert all(image.get("alt") for image in found.all("img"))
    regions = [attributes for attributes in found.all("div") if attributes.get("role") == "region"]
    assert regions and all(region.get("tabindex") == "0" and region.get("aria-label") for region in regions)
    assert len(found.all("label")) == len(found.all("select")) == 3
    assert all(slider.get("aria-label") for slider in found.all("input"))
    assert not [a for tag, a in found.tags if tag not in ("button", "a", "input", "select") and "onclick" in a]


def test_every_line_of_a_table_has_as_many_cells_as_its_heads(tmp_path):
    values = [decoded(0.02, value, 0.5, 0.6) for value in (0.05, 0.07)]
    write([record("bouncing_balls", "setcon", s, rows) for s, rows in enumerate(values)], tmp_path)
    for table in re.findall(r"<table>.*?</table>", (tmp_path / "report.html").read_text(), re.S):
        columns = {int(found) for found in re.findall(r'data-column="(\d+)"', table)}
        lines = [len(re.findall(r"<t[dh]", line)) for line in re.findall(r"<tr.*?</tr>", table.split("</thead>")[1])]
        assert not columns or (set(lines) == {len(columns)} and columns == set(range(len(columns))))


def test_figures_too_large_for_a_page_are_named(tmp_path, monkeypatch):
    paths = [tmp_path / "figures" / "atari-quick" / name for name in ("large.png", "small.png")]
    paths[0].parent.mkdir(parents=True)
    for path, size in zip(paths, (2000, 10), strict=True):
        path.write_bytes(b"x" * size)
    monkeypatch.setattr("benchmark.report.page.report.LIMIT", 1000)
    found = page(runs(), tmp_path, paths)
    assert [image["alt"] for image in found.all("img")] == ["small (atari, quick)"]
    assert "see the folder of figures: atari-quick/large.png" in found.text["p"]


def test_a_clip_too_large_for_the_page_hides_no_smaller_one_after_it(tmp_path, monkeypatch):
    """The first of the methods by name has noise of 32 x 32 pixels, the second still frames of 8 x 8."""
    noise = film(32, 9) | {"frames": np.random.default_rng(0).integers(0, 255, (4, 9, 32, 32, 3), np.uint8)}
    large = written(tmp_path, record("gridworld", "setcon"), noise)
    small = written(tmp_path, record("gridworld", "slotwise"), film(8, 3))
    monkeypatch.setattr("benchmark.report.page.films.LIMIT", 20_000)
    found = page([large, small], tmp_path)
    films = [attributes for attributes in found.all("figure") if attributes["class"] == "film"]
    assert [attributes["data-method"] for attributes in films] == ["slotwise"]


def test_clips_are_played_from_one_picture_an_instant_a_line(tmp_path):
    import base64
    import io

    from PIL import Image

    run = written(tmp_path, record("gridworld", "setcon"), film(8, 3))
    found = page([run], tmp_path)
    (figure,) = [attributes for attributes in found.all("figure") if attributes["class"] == "film"]
    assert figure["data-times"] == "3 4 5"
    (image,) = found.all("img")
    picture = Image.open(io.BytesIO(base64.b64decode(image["src"].partition(",")[2])))
    assert picture.size == (11 * 10, 3 * 10)  # frame, s, p1, four masks and four of attention, with a border
    assert found.all("input")[0]["max"] == "2"


ACTIONS = """
<script>{
const told = {}, rows = (table) => [...table.tBodies[0].rows].map((row) => row.cells[0].textContent);
const headline = document.querySelector("main table");
document.querySelector('#filters [name=method]').value = "scn";
document.querySelector('#filters').dispatchEvent(new Event("change"));
told.shown = [...headline.tBodies[0].rows].filter((row) => !row.hidden).map((row) => row.cells[0].textContent);
document.querySelector('#filters').reset();
document.querySelector('#filters').dispatchEvent(new Event("change"));
told.all = [...headline.tBodies[0].rows].filter((row) => !row.hidden).length;
const sort = headline.querySelector('[data-column="1"] .sort');
sort.click(); told.down = rows(headline);
sort.click(); told.up = rows(headline);
told.sorted = sort.closest("th").getAttribute("aria-sort");
document.querySelector("tr.failed a").click();
told.open = document.getElementById("window").open;
told.width = document.documentElement.scrollWidth <= innerWidth;
setTimeout(() => {
  told.traceback = document.querySelector("#window pre").textContent;
  document.body.replaceChildren(); document.body.textContent = "TOLD" + JSON.stringify(told) + "END";
}, 300);
}</script>
"""


@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium")
def test_in_a_browser_it_sorts_filters_and_opens_runs(tmp_path):
    path = write(runs(), tmp_path)
    path.write_text(path.read_text() + ACTIONS)
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=500,800", "--virtual-time-budget=3000"]
    command = [BROWSER, *flags, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    told = json.loads(re.findall(r"TOLD(.*?)END", done.stdout)[-1])
    assert told["shown"] == ["scn"] and told["all"] == 4
    assert told["down"][:2] == ["scn", "cswm"] and told["up"][:2] == ["cswm", "scn"]
    assert told["sorted"] == "ascending" and told["open"] and told["width"]
    assert told["traceback"] == "Traceback:\n  DivergedError"
