"""Jobs that outlive the command, tried with submitit's local executor."""

import shutil
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest
import tiny_grid
from small import command
from test_faults import wait_for

from benchmark import grid, plan, records
from benchmark.command import main
from benchmark.engines import slurm
from benchmark.engines.process import Duty, assignments
from benchmark.errors import UserError
from benchmark.options import parse
from benchmark.unfinished import blank

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


def test_there_are_no_more_jobs_than_runs_and_each_is_told_all_of_them(tmp_path, monkeypatch):
    sent = []
    executor = SimpleNamespace(
        batch=nullcontext, submit=lambda job: sent.append(job) or SimpleNamespace(job_id=str(len(sent)))
    )
    monkeypatch.setattr(slurm.Jobs, "_executor", lambda self, folder: executor)
    monkeypatch.setenv("PYTHONPATH", "")
    items = [plan.Item(run, "new") for run in tiny_grid.runs("random-cnn", "scn")]
    done = replace(items[0], state="done")
    jobs = slurm.Jobs(tmp_path / "options.yaml", 16, "slurm", {})
    submitted = jobs.submit([*items, done], Duty((), ""), tmp_path)
    assert jobs.count([*items, done]) == len(items) and replace(jobs, jobs=1).count(items) == 1
    assert submitted == [str(n + 1) for n in range(len(items))]
    assert [sorted(job.runs) for job in sent] == [sorted(assignments(items))] * len(items)


def test_a_dry_run_says_how_many_jobs_there_would_be_and_submits_none(tmp_path, capsys):
    options = tmp_path / "options.yaml"
    options.write_text("jobs: 3\ncluster: local\n")
    for methods, jobs in (("scn", "1 job"), ("random-cnn,scn", "2 jobs"), ("random-cnn,scn,cswm,setcon", "3 jobs")):
        assert command(tmp_path, "--methods", methods, "--slurm", str(options), "--dry-run") == 0
        assert f"an array of {jobs} would be submitted" in capsys.readouterr().out
    assert not (tmp_path / "jobs").exists()


def test_once_the_rates_are_tuned_jobs_are_told_the_runs_that_their_workers_know(tmp_path, monkeypatch):
    """The largest of the rates did best, which is not the default."""
    told = []

    class Jobs:
        def submit(self, items, duty, out):
            told.extend((duty.folder, item.run.path) for item in items)
            return []

    monkeypatch.setattr(slurm, "read_options", lambda path: Jobs())
    place = ["--suite", "synthetic", "--budget", "smoke", "--datasets", "gridworld", "--out", str(tmp_path)]
    arguments = [*place, "--methods", "setcon", "--tune", "--slurm", "options.yaml"]
    assert main(arguments) == 0 and {folder for folder, _ in told} == {grid.TUNING} and len(told) == 5
    options = parse(arguments)
    for run in grid.runs_under(options, grid.TUNING):
        error = {"probe": "decoder", "metric": "mse_own", "split": "val", "target": "s"}
        rows = [error | {"value": 1 - run.method.learning_rate, "higher_is_better": False}]
        answered = {name: {"digest": digest} for name, digest in run.probe_digests.items()}
        records.write(tmp_path / grid.TUNING, replace(blank(run), status="ok", metrics=rows, probes=answered))
    told.clear()
    assert main(arguments) == 0
    assert told == [("", run.path) for run in grid.runs_under(options, "")]
    assert told != [("", run.path) for run in grid.wanted(options)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b", "one option a line"),
        ("jobs: many", "jobs is 'many'"),
        ("jobs: 0", "jobs is 0"),
        ("cluster: mars", "options.yaml': cluster is 'mars'; it must be slurm or local"),
        ("timeout_min: -5", "options.yaml': timeout_min is -5; it must be a number above 0"),
        ("mem_gb: plenty", "mem_gb is 'plenty'; it must be a number above 0"),
        ("slurm_setup: module load cuda", "slurm_setup is 'module load cuda'; it must be a list of texts"),
        ("slurm_additional_parameters: [a]", "slurm_additional_parameters is .*; it must be names and values"),
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
        assert f"--slurm {str(path)!r}" in shown and shown.count("\n") == 1
    path.write_text("jobs: 1")
    if shutil.which("srun") is None:
        assert command(tmp_path, "--methods", "random-cnn", "--slurm", str(path)) == 2
        assert "cluster: local in the options tries it on this machine" in capsys.readouterr().err
    assert command(tmp_path, "--methods", "random-cnn", "--slurm", str(path), "--workers", "2") == 2
    assert "name one" in capsys.readouterr().err


def test_a_job_whose_time_is_over_is_queued_again_a_hundred_times(tmp_path, monkeypatch):
    made = {}
    executor = SimpleNamespace(update_parameters=lambda **parameters: None)
    monkeypatch.setattr("submitit.AutoExecutor", lambda **options: made.update(options) or executor)
    slurm.Jobs(tmp_path / "options.yaml", 1, "slurm", {})._executor(tmp_path)
    assert made["slurm_max_num_timeout"] == 100  # submitit's own number is 3
    monkeypatch.undo()
    slurm.Jobs(tmp_path / "options.yaml", 1, "local", {})._executor(tmp_path)  # which takes it
