"""Jobs that outlive the command, tried with submitit's local executor."""

import pytest
import tiny_grid
from test_command import command
from test_faults import wait_for

from benchmark import records
from benchmark.engines import slurm
from benchmark.errors import UserError

pytest.importorskip("submitit")


def test_jobs_do_the_runs_after_the_command_has_ended(tmp_path):
    options = tmp_path / "options.yaml"
    options.write_text("cluster: local\njobs: 1\ntimeout_min: 5\n")
    grid = tiny_grid.arguments(tmp_path / "out", "random-cnn", 2, 2, "--slurm", str(options))
    process = tiny_grid.start(tmp_path / "out", *grid)
    shown, _ = process.communicate(timeout=120)
    assert process.returncode == 0 and "submitted: " in shown and "--dry-run shows what is done" in shown
    wait_for(lambda: len(list((tmp_path / "out/runs").rglob("seed-*.json"))) == 2)
    assert [record.status for record in records.read_all(tmp_path / "out")[0]] == ["ok", "ok"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b", "one option a line"),
        ("jobs: many", "jobs is 'many'"),
        ("jobs: 0", "jobs is 0"),
        ("a: [", "is not plain YAML"),
        ("!!python/object/apply:os.system ['touch /tmp/never']", "is not plain YAML"),
        ("\udcff", "cannot be read|is not plain YAML"),
    ],
)
def test_options_that_cannot_be_used_are_mistakes(tmp_path, text, message):
    path = tmp_path / "options.yaml"
    path.write_text(text, errors="surrogateescape")
    with pytest.raises(UserError, match=message):
        slurm.read_options(path)


def test_options_that_submitit_does_not_know_are_mistakes(tmp_path, capsys):
    path = tmp_path / "options.yaml"
    for text in ("cluster: local\nwarp_speed: 9", "cluster: mars"):
        path.write_text(text)
        assert command(tmp_path, "--methods", "random-cnn", "--slurm", str(path)) == 2
        shown = capsys.readouterr().err
        assert "--slurm" in shown and shown.count("\n") == 1
    path.write_text("jobs: 1")
    assert command(tmp_path, "--methods", "random-cnn", "--slurm", str(path), "--workers", "2") == 2
    assert "name one" in capsys.readouterr().err
