"""Ranked predictions in a table, the paper's values beside ours."""

import shutil
import subprocess

import pytest
from made import record, row

from benchmark.report.scores import Context
from benchmark.report.table import Cell, Table
from benchmark.report.tables import build, everything, write

CONTEXT = Context(floors=frozenset({"random-cnn"}))

COLUMNS = ["H@1 1 (%)", "MRR 1 (%)", "H@1 5 (%)", "MRR 5 (%)", "H@1 10 (%)", "MRR 10 (%)"]
COLUMNS += ["still 1 (%)", "still 5 (%)", "still 10 (%)", "variance"]


def ranked(hits: float | None, variance: float | None = 0.5) -> list[dict[str, object]]:
    """Rows of the probe "ranking": fewer hits the further ahead."""
    rows = [row("ranking", "embedding_variance", "s", variance)]
    for step in (1, 5, 10):
        rows.append(row("ranking", "hits_at_1", f"p{step}", hits and hits / step))
        rows.append(row("ranking", "mrr", f"p{step}", hits and hits / step))
        rows.append(row("ranking", "hits_at_1_still", f"p{step}", 0.25 / step))
    return rows


def made(method: str, hits: float | None, seed: int = 0, dataset: str = "shapes", n: int = 990, **fields):
    notes = {"ranking": {"n": {"p1": n, "p5": n + 4, "p10": n}}}
    return record(dataset, method, seed, ranked(hits), suite="worlds", notes=notes, **fields)


def tables(runs) -> dict[str, Table]:
    return {table.name: table for table in build(runs, CONTEXT)["worlds-quick"]}


def cell(table: Table, method: str, column: str) -> Cell:
    row = next(row for row in table.rows if row.title == method)
    return row.cells[[c.title for c in table.columns].index(column)]


def test_our_value_stands_beside_the_papers_in_percent():
    table = tables([made("cswm", 0.9), made("cswm", 1.0, seed=1)])["ranking-shapes"]
    assert [c.title for c in table.columns] == COLUMNS
    found = cell(table, "cswm", "H@1 10 (%)")
    assert (found.ours.mean, found.ours.n, found.paper) == (pytest.approx(9.5), 2, 99.9)
    assert cell(table, "cswm", "variance").ours.mean == 0.5
    assert cell(table, "cswm", "still 5 (%)").ours.mean == pytest.approx(5)
    assert "among 990 to 994 test scenes" in table.caption


def test_rows_of_the_paper_that_were_not_run_have_its_values_alone():
    table = tables([made("cswm", 0.9)])["ranking-shapes"]
    assert cell(table, "world-model-vae", "MRR 5 (%)") == Cell(None, 21.4)
    assert cell(table, "cswm-without-gnn", "H@1 1 (%)") == Cell(None, 99.9)


def test_a_value_that_the_paper_does_not_give_is_missing_alone():
    table = tables([made("cswm", 0.9, dataset="cubes")])["ranking-cubes"]
    assert cell(table, "cswm-without-factored-states", "H@1 10 (%)") == Cell()
    assert cell(table, "cswm-without-factored-states", "MRR 10 (%)").paper == 49.6


def test_methods_that_do_not_predict_have_dashes_and_the_best_of_the_others_is_bold():
    table = tables([made("cswm", 0.9), made("setcon", 0.5), made("scn", None)])["ranking-shapes"]
    assert cell(table, "scn", "H@1 1 (%)") == Cell()
    assert cell(table, "cswm", "H@1 1 (%)").best and not cell(table, "setcon", "H@1 1 (%)").best
    assert cell(table, "scn", "still 1 (%)").ours.mean == 25
    assert not any(cell.best for row in table.rows for cell in row.cells[-4:])


def test_a_data_set_without_ranked_predictions_has_no_such_table():
    assert "ranking-shapes" not in tables([record("shapes", "cswm", suite="worlds")])


def test_a_suite_of_the_users_own_gets_the_table_without_values_of_the_paper():
    run = record("my_world", "cswm", rows=ranked(0.9), suite="mine")
    (table,) = build([run], CONTEXT)["mine-quick"]
    assert table.name == "ranking-my_world" and cell(table, "cswm", "H@1 1 (%)").paper is None
    assert "among ? test scenes" in table.caption


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_the_tables_compile_and_fit_the_page(tmp_path):
    runs = [made(m, 0.95, s, d) for m in ("cswm", "setcon") for s in (0, 1) for d in ("shapes", "cubes", "three_body")]
    write(everything(runs, CONTEXT), tmp_path)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all-tables.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
