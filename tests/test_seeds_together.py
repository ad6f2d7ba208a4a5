"""Seeds that are trained in one program: what is recorded is what each would have had alone."""

import json
from collections.abc import Callable
from dataclasses import asdict
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tiny  # noqa: F401  registers the data set

from benchmark import checkpoints, claims, plan, records, training
from benchmark.checkpoints import Checkpoints
from benchmark.command import main
from benchmark.configure import Configuration
from benchmark.errors import LostError
from benchmark.program import Program
from benchmark.progress import PlainProgress
from benchmark.records import Record
from benchmark.runner import Runner
from benchmark.seeds_together import Siblings, alike

pytestmark = pytest.mark.usefixtures("no_figures")

SMALL = ["--datasets", "tiny", "--set", "training.steps=3", "--set", "training.frames_per_step=4", "--budget", "smoke"]
TOGETHER = ["--methods", "scn", "--seeds", "2", "--seeds-together", "2"]


def command(out: Path, *arguments: str) -> dict[int, Record]:
    """The records of the command, by seed."""
    assert main([*SMALL, "--methods", "scn", "--out", str(out), *arguments]) == 0
    return {record.seed: record for record in records.read_all(out)[0]}


def values(record: Record) -> list[float]:
    return [row["value"] for row in record.metrics if row["value"] is not None]


def left(out: Path) -> list[Path]:
    return [path for path in out.rglob("*") if "claim" in path.name]


def interrupted(patch: pytest.MonkeyPatch) -> Callable[..., object]:
    """Ctrl-C comes in the third step of training, each of which is a checkpoint's; returns the step without it."""
    step, seen = training.Kernel._program, count()

    def program(self, *arguments):
        if next(seen) == 3:  # the first call tells what a loss is made of
            raise KeyboardInterrupt
        return step(self, *arguments)

    patch.setattr(checkpoints, "EVERY", 0.0)
    patch.setattr(training.Kernel, "_program", program)
    return step


def test_seeds_trained_together_give_what_each_gives_alone_to_rounding(tmp_path):
    alone = command(tmp_path / "alone", "--seeds", "3")
    together = command(tmp_path / "together", "--seeds", "3", "--seeds-together", "2")
    assert [r.training.get("seeds_together") for r in together.values()] == [[0, 1], [0, 1], None]
    for seed in (0, 1):
        np.testing.assert_allclose(together[seed].curve, alone[seed].curve, rtol=1e-4)
        np.testing.assert_allclose(values(together[seed]), values(alone[seed]), rtol=0.05, atol=0.02)
        assert together[seed].digest == alone[seed].digest
        assert together[seed].training["flops_per_step"] > 0 and together[seed].timing["train"] > 0
    assert together[2].training["parameters_sha256"] == alone[2].training["parameters_sha256"]
    assert not left(tmp_path)


def test_a_method_that_does_not_train_has_no_company(tmp_path):
    assert (
        main([*SMALL, "--methods", "random-cnn", "--seeds", "2", "--seeds-together", "2", "--out", str(tmp_path)]) == 0
    )
    assert all("seeds_together" not in record.training for record in records.read_all(tmp_path)[0])


def test_seeds_that_do_not_fit_the_memory_together_are_trained_one_by_one(tmp_path, monkeypatch, capsys):
    alone = command(tmp_path / "alone", "--seeds", "2")
    whole = training.Kernel._program

    def too_large(self, graph, steps, state, data, key, seldom):
        if key.shape:
            raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 2 TiB")
        return whole(self, graph, steps, state, data, key, seldom)

    monkeypatch.setattr(training.Kernel, "_program", too_large)
    found = command(tmp_path / "found", "--seeds", "2", "--seeds-together", "2")
    for seed, record in found.items():
        assert record.training["seeds_together"] == [0, 1]
        assert "out of memory" in record.training["together_failed"]
        assert record.training["parameters_sha256"] == alone[seed].training["parameters_sha256"]
    assert "seed by seed after all" in capsys.readouterr().out


def test_seeds_that_are_interrupted_together_go_on_together_or_alone(tmp_path, monkeypatch):
    whole = command(tmp_path / "whole", "--seeds", "2", "--seeds-together", "2")
    for out, how in ((tmp_path / "together", ["--seeds-together", "2"]), (tmp_path / "alone", [])):
        with monkeypatch.context() as patch:
            step = interrupted(patch)
            patch.setenv("SLOTBENCH_CACHE", str(out / "cache"))
            assert main([*SMALL, *TOGETHER, "--out", str(out)]) == 130
            assert not left(out) and not records.read_all(out)[0]
            places = [path.parent for path in (out / "cache/checkpoints").rglob("2") if path.is_dir()]
            assert [Checkpoints(place).step() for place in places] == [2, 2]
            patch.setattr(training.Kernel, "_program", step)
            found = command(out, "--seeds", "2", *how)
        for seed, record in found.items():
            np.testing.assert_allclose(record.curve, whole[seed].curve, rtol=1e-4)


def test_a_seed_that_has_come_further_alone_goes_on_alone_and_the_others_are_trained_together(tmp_path, monkeypatch):
    monkeypatch.setenv("SLOTBENCH_CACHE", str(tmp_path / "cache"))
    with monkeypatch.context() as patch:
        interrupted(patch)
        assert main([*SMALL, "--methods", "scn", "--out", str(tmp_path)]) == 130
    made, inner = [], training.Kernel._program

    def counted(self, *arguments):
        made.append(1)
        return inner(self, *arguments)

    monkeypatch.setattr(training.Kernel, "_program", counted)
    found = command(tmp_path, "--seeds", "3", "--seeds-together", "3")
    assert [found[seed].training.get("seeds_together") for seed in range(3)] == [None, [1, 2], [1, 2]]
    # Three steps of two seeds, the last of the one that had done two; before each, what a loss is made of.
    assert len(made) == (1 + 3) + (1 + 1)


def test_a_seed_whose_process_has_died_is_left_to_be_tried_alone(tmp_path, made_items):
    """Its claim is given back, not held in idleness: no death of the others counts against it."""
    _, second, third = made_items[:3]
    runner = Runner(tmp_path, tmp_path, PlainProgress({}).lane())
    dead = tmp_path / second.run.path.with_suffix(".claim-1")
    dead.parent.mkdir(parents=True)
    died = claims.Holder("here", claims.machine(), 2**22 + 1, "gone", 1, 0)  # no process has this number
    dead.write_bytes(b"0" * claims.DIGITS + json.dumps(asdict(died)).encode())
    for _ in range(claims.ATTEMPTS + 1):
        runner._claim_siblings([second, third])
        assert runner._siblings.claim_of(second.run.path) is None
        assert list(dead.parent.glob(f"{dead.stem}.claim-*")) == [dead]
        runner._siblings.give_back()
    assert runner._take(second.run).holder.attempt == 2


def test_a_log_follows_one_run_at_a_time(tmp_path, capsys):
    assert main([*SMALL, "--seeds-together", "2", "--log", "tensorboard", "--out", str(tmp_path)]) == 2
    assert "--log tensorboard follows one run at a time" in capsys.readouterr().err


@pytest.mark.parametrize("other", [["--devices", "2"], ["--scheduler", "localhost:8786"]])
def test_it_does_not_go_with_what_shares_out_single_runs(tmp_path, capsys, other):
    assert main([*SMALL, "--seeds-together", "2", *other, "--out", str(tmp_path)]) == 2
    assert f"--seeds-together 2 does not go with {other[0]}" in capsys.readouterr().err


def test_groups_differ_in_the_seed_only_and_keep_the_order(made_items):
    groups = list(alike(made_items, 2))
    assert [item for group in groups for item in group] == made_items
    assert [[item.run.seed for item in group] for group in groups] == [[0, 1], [2], [0, 1], [2]]
    assert all(len({item.run.method_name for item in group}) == 1 for group in groups)


@pytest.fixture
def made_items():
    grid = plan.runs(Configuration("atari", "smoke"), ["scn", "cswm"], ["tiny"], seeds=3)
    return [plan.Item(run, "new") for run in grid]


def test_a_run_that_was_taken_over_is_no_reason_to_train_one_by_one(tmp_path):
    def lost(*arguments):
        raise LostError

    first, second = plan.runs(Configuration("atari", "smoke"), ["scn"], ["tiny"], seeds=2)
    siblings, claim, noted = Siblings(), claims.Claims(tmp_path).take(second.path, 0), []
    siblings.add(second, claim)
    program = object.__new__(Program)
    program.initialise, program.kernel = lambda key: None, SimpleNamespace(fit_together=lost)
    with pytest.raises(LostError):
        siblings.train(
            first, program, None, 1, lambda run: Checkpoints(tmp_path), lambda step, loss, parts: None, noted.append
        )
    assert siblings.trained(first) == (None, {}) and len(noted) == 1
    assert not siblings.lost
    object.__setattr__(claim, "lost", True)
    assert siblings.lost
    siblings.give_back()
