"""The published numbers: their records are whole, the tables are made from them, the README shows the headline."""

import pytest

from benchmark import records
from benchmark.machine import ROOT
from benchmark.plugins import load_plugins
from benchmark.report import tables
from benchmark.report.tidy import DIRECTIONS, METRICS
from benchmark.report.writing import report_context

PUBLISHED, LONGER, VARIATIONS = (ROOT / "results" / name for name in ("published", "longer", "variations"))


def rows(markdown: str) -> list[list[str]]:
    """The cells of all lines that are a table's, but for the ruler."""
    lines = [line for line in markdown.splitlines() if line.startswith("|") and "---" not in line]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("folder", [PUBLISHED, LONGER, VARIATIONS], ids=lambda folder: folder.name)
def test_published_records_are_whole_and_none_is_of_the_smoke_budget(folder):
    found, damaged = records.read_all(folder)
    assert found and not damaged
    assert all(record.status == "ok" and record.budget != "smoke" for record in found)


@pytest.mark.parametrize("folder", [PUBLISHED, LONGER, VARIATIONS], ids=lambda folder: folder.name)
def test_every_metric_that_was_measured_has_a_meaning(folder):
    measured = {row["metric"] for record in records.read_all(folder)[0] for row in record.metrics}
    assert measured and measured <= set(METRICS)


@pytest.mark.parametrize("folder", [PUBLISHED, LONGER, VARIATIONS], ids=lambda folder: folder.name)
def test_what_the_dictionary_calls_better_is_what_the_probes_say(folder):
    measured = [row for record in records.read_all(folder)[0] for row in record.metrics]
    told = {(row["metric"], DIRECTIONS[row["higher_is_better"]]) for row in measured}
    assert told and told <= {(name, meaning.better) for name, meaning in METRICS.items()}


@pytest.mark.parametrize("folder", [PUBLISHED, LONGER], ids=lambda folder: folder.name)
def test_the_published_tables_are_those_of_the_records(folder):
    load_plugins()
    made = tables.everything(records.read_all(folder)[0], report_context())
    for name, found in made.items():
        for table in found:
            text = (folder / "tables" / name / f"{table.name}.md").read_text()
            assert rows(tables.markdown.render(table)) == rows(text), f"{name}/{table.name}: rebuild with --report-only"


@pytest.mark.parametrize(
    "table", [PUBLISHED / "tables/headline-quick/headline.md", LONGER / "tables/synthetic-quick/table1-gridworld.md"]
)
def test_the_readme_shows_the_tables_of_the_records(table):
    shown = rows((ROOT / "README.md").read_text())
    made = rows(table.read_text())
    assert made and [row for row in made if row not in shown] == []


def test_the_numbers_beside_the_papers_are_those_of_the_findings():
    """docs/reproduction.md repeats rows of the findings, where "see below" has a meaning that it has not there."""
    page = (ROOT / "docs/reproduction.md").read_text()
    repeated = rows(page.partition("## The papers' numbers beside ours")[2].partition("\n## ")[0])
    findings = [row for found in (ROOT / "docs/findings").glob("*.md") for row in rows(found.read_text())]
    told = [[cell.replace(", see below", "") for cell in row] for row in findings]
    assert len(repeated) > 30 and [row for row in repeated if row not in told] == []
