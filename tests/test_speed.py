"""What `python -m benchmark.speed` measures is the step that runs make."""

import json
from dataclasses import dataclass

import jax
import pytest

from benchmark.plan import Item
from benchmark.program import on_device
from benchmark.progress import PlainProgress
from benchmark.registry import methods
from benchmark.runner import Runner
from benchmark.speed.__main__ import main, parse, wanted_runs
from benchmark.speed.breakdown import breakdown

# more steps than `Kernel.few`: a shorter run is compiled with less optimisation than the step that is measured
ARGUMENTS = ["scn", "tiny", "--batch", "4", "--steps", "12", "--set", "datasets.tiny.clips=5"]


def test_the_measured_step_is_a_runs_own_and_all_its_figures_are_there(tmp_path, capsys):
    assert main([*ARGUMENTS, "--json", "--breakdown"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    (run,) = wanted_runs(parse(ARGUMENTS))
    (record,) = Runner(tmp_path, tmp_path, PlainProgress({}).lane()).execute([Item(run, "new")])
    assert record.training["batch_size"] == found["batch"] == 4
    assert record.curve[-1][1] == found["loss"][0]
    assert set(found["breakdown_ms"]) == {"sample", "encode", "loss", "update"}
    sizes = ("ms_per_step", "compile_seconds", "flops", "peak_memory_mb", "step_memory_mb")
    assert all(found[name] > 0 for name in sizes)
    assert 0 < found["share_of_peak"] < 2


def test_the_decoder_that_is_timed_paints_a_frame_of_slots_and_one_of_predictions_at_least(monkeypatch):
    painted = []

    def look(function, *arguments, repeats):
        painted.extend(jax.tree.leaves(part)[0].shape for part in arguments[1:] if len(jax.tree.leaves(part)) == 1)
        return [1.0]

    monkeypatch.setattr("benchmark.speed.breakdown.timed", look)
    few = ["--set", "methods.reconstruction-fm.decoded_pixels=100", "--set", "datasets.tiny.clips=5"]
    (run,) = wanted_runs(parse(["reconstruction-fm", "tiny", "--batch", "2", *few]))
    breakdown(run, on_device(run.dataset.load(None, print)), 1)
    assert (2, 2, 16) in painted


@pytest.mark.usefixtures("registries")
def test_of_a_decoder_that_keeps_the_contract_alone_no_time_is_told():
    class Painter(methods.entry("scn")[0]):
        decodes = True

        def decode(self, model, slots):
            raise NotImplementedError

    methods.register("painter")(dataclass(frozen=True, kw_only=True)(Painter))
    (run,) = wanted_runs(parse(["painter", "tiny", "--batch", "4", "--set", "datasets.tiny.clips=5"]))
    found = breakdown(run, on_device(run.dataset.load(None, print)), 1)
    assert set(found) == {"sample", "encode", "loss", "update"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["scm", "tiny", "--batch", "4"], "did you mean 'scn'"),
        (["scn", "tiny", "--batch", "4", "--set", "methods.setcon.tau=1"], "no run of this plan has 'setcon'"),
        (
            ["scn", "tiny", "--batch", "4", "--set", "training.steps=9"],
            "--steps and --batch say how much is trained here",
        ),
        (["scn", "tiny", "--batch", "4", "--plugin", "nowhere.py"], "'nowhere.py': there is no such file"),
        (["scn", "tiny", "--batch", "many"], "invalid int value: 'many'"),
        (["scn", "tiny", "--batch", "0"], "--batch 0; it must be at least 1"),
        (["scn", "tiny", "--batch", "4", "--steps", "4"], "--steps 4; it must be at least 5"),
        (["scn", "tiny", "--batch", "4", "--seeds", "2", "--seeds-together", "2"], "leave one of them out"),
        (["random-cnn", "tiny", "--batch", "4"], "it does not train"),
        (["scn", "tiny", "--batch", "4", "--devices", "3"], "--devices 3 does not divide the batch of 4"),
    ],
)
def test_a_mistake_is_one_line(arguments, told, capsys):
    assert main(arguments) == 2
    assert told in capsys.readouterr().err


def test_seeds_in_one_program_have_the_losses_of_seeds_one_after_the_other(capsys):
    found = {}
    for how in ("--seeds", "--seeds-together"):
        assert main([*ARGUMENTS, how, "2", "--json"]) == 0
        found[how] = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["--seeds-together"]["loss"] == pytest.approx(found["--seeds"]["loss"], rel=1e-3)
    assert found["--seeds-together"]["seeds_together"] == 2
    assert found["--seeds-together"]["flops"] == pytest.approx(2 * found["--seeds"]["flops"], rel=0.2)
