"""A killed run goes on, with the numbers that it would have had."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from benchmark import checkpoints, stopping
from benchmark.checkpoints import Checkpoints, offer
from benchmark.training import Kernel

ROOT = Path(__file__).resolve().parent.parent


class Net(nnx.Module):
    def __init__(self):
        self.linear = nnx.Linear(3, 3, rngs=nnx.Rngs(0))
        self.norm = nnx.BatchNorm(3, rngs=nnx.Rngs(0))


def fit(checkpoints=None, stop_after=None, on_step=None):
    def loss(model, batch, key):
        noise = jax.random.normal(key, batch.shape)
        return jnp.mean((model.norm(model.linear(batch)) - noise) ** 2), {"noise": noise.mean()}

    def stop(step, loss, parts):
        if step == stop_after:
            raise KeyboardInterrupt

    kernel = Kernel(loss, lambda data, key: jax.random.normal(key, (8, 3)), optax.adam(0.01))
    return kernel.fit(Net(), {}, 12, jax.random.key(3), on_step or stop, checkpoints)


def _newest(folder):
    return max(folder.iterdir(), key=lambda path: int(path.name) if path.name.isdigit() else -1)


@pytest.fixture(scope="module")
def whole():
    """A run that nothing disturbed."""
    return fit()


def test_a_run_that_goes_on_ends_with_the_same_bits_and_the_same_curve(tmp_path, whole):
    with pytest.raises(KeyboardInterrupt):
        fit(Checkpoints(tmp_path / "c", every=0), stop_after=7)
    said = []
    rest = fit(Checkpoints(tmp_path / "c", every=0, note=said.append))
    assert rest.steps == 12 - 6 and rest.curve == whole.curve and said == ["goes on from a checkpoint, step 6"]
    assert rest.parts == whole.parts and len(set(whole.parts["noise"])) == 12
    jax.tree.map(np.testing.assert_array_equal, nnx.state(whole.model), nnx.state(rest.model))


def test_what_other_code_has_begun_does_not_go_on_and_that_is_said(tmp_path, whole):
    with pytest.raises(KeyboardInterrupt):
        fit(Checkpoints(tmp_path / "c", "before the edit", every=0), stop_after=7)
    said = []
    own = Checkpoints(tmp_path / "c", "after it", every=0, note=said.append)
    with pytest.raises(KeyboardInterrupt):
        fit(own, stop_after=4)
    assert said == ["begins anew: its checkpoints are damaged, or from before its method or data set was edited"]
    assert own.steps() == {2, 3}  # none of the other code's is left to be taken for its own
    rest = fit(own)
    assert rest.steps == 12 - 3 and said[1:] == ["goes on from a checkpoint, step 3"] and rest.curve == whole.curve


def test_a_checkpoint_with_other_parts_of_the_loss_is_not_gone_on_from(tmp_path):
    own, state = Checkpoints(tmp_path / "c"), {"a": np.ones(2)}
    own.save(6, state, np.zeros((12, 2)))
    assert own.latest(state, np.zeros((12, 2)))[0] == 6
    assert own.latest(state, np.zeros((12, 3)))[0] == own.latest(state, np.zeros(12))[0] == 0


def test_a_damaged_checkpoint_is_passed_over_for_an_older_one(tmp_path, whole):
    with pytest.raises(KeyboardInterrupt):
        fit(Checkpoints(tmp_path / "c", every=0), stop_after=7)
    for path in _newest(tmp_path / "c").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    rest = fit(Checkpoints(tmp_path / "c", every=1e9))
    assert rest.steps == 12 - 5 and rest.curve == whole.curve


def test_after_a_damaged_checkpoint_the_run_goes_on_saving(tmp_path):
    """Of steps 5 and 6 the newer is damaged; what is done again from 5 on is saved again, and found."""
    with pytest.raises(KeyboardInterrupt):
        fit(Checkpoints(tmp_path / "c", every=0), stop_after=7)
    assert Checkpoints(tmp_path / "c").steps() == {5, 6}
    for path in (tmp_path / "c" / "6").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    said = []
    own = Checkpoints(tmp_path / "c", every=1e9, note=said.append)
    step, _, losses = own.latest({"a": np.zeros(2)}, np.zeros(12))
    assert step == 0  # nor is what another model saved taken for this one's
    own.save(6, {"a": np.ones(2)}, losses)
    assert not said and own.latest({"a": np.zeros(2)}, losses)[0] == own.step() == 6
    assert own.latest({"a": np.zeros((2, 1))}, losses)[0] == 0


def test_a_flipped_byte_in_a_checkpoint_is_seen(tmp_path, whole):
    with pytest.raises(KeyboardInterrupt):
        fit(Checkpoints(tmp_path / "c", every=0), stop_after=3)
    for path in _newest(tmp_path / "c").rglob("*"):
        if path.is_file():
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.write_bytes(content)
    rest = fit(Checkpoints(tmp_path / "c", every=1e9))
    assert rest.steps == 12 - 1 and rest.curve == whole.curve


def test_a_checkpoint_with_other_values_than_were_saved_is_passed_over(tmp_path, monkeypatch, whole):
    honest = checkpoints._sha256

    def of_others(step, leaves, losses):
        return honest(step, [leaf + 1 for leaf in leaves] if step == 2 else leaves, losses)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(checkpoints, "_sha256", of_others)
        fit(Checkpoints(tmp_path / "c", every=0), stop_after=3)
    assert Checkpoints(tmp_path / "c").step() == 2
    rest = fit(Checkpoints(tmp_path / "c", every=1e9))
    assert rest.steps == 12 - 1 and rest.curve == whole.curve


def test_sigterm_saves_a_checkpoint_after_the_step_and_the_run_goes_on_with_the_same_bits(tmp_path, whole):
    with stopping.listening(), pytest.raises(stopping.Stopped), stopping.put_off():
        fit(
            Checkpoints(tmp_path / "c", every=1e9), on_step=lambda s, *_: s == 7 and signal.raise_signal(signal.SIGTERM)
        )
    assert Checkpoints(tmp_path / "c").step() == 7
    rest = fit(Checkpoints(tmp_path / "c", every=1e9))
    assert rest.steps == 12 - 7 and rest.curve == whole.curve
    jax.tree.map(np.testing.assert_array_equal, nnx.state(whole.model), nnx.state(rest.model))


def test_short_runs_leave_no_checkpoint(tmp_path):
    fit(Checkpoints(tmp_path / "c", every=3600))
    assert not (tmp_path / "c").exists()


def test_a_checkpoint_is_saved_once_the_last_one_is_old_enough(tmp_path, monkeypatch):
    now, saved = [0.0], []
    monkeypatch.setattr("benchmark.checkpoints.time.monotonic", lambda: now[0])
    monkeypatch.setattr(Checkpoints, "_save", lambda self, step, state, losses: saved.append(step))
    own = Checkpoints(tmp_path, every=60, _saved=0.0)
    for step in range(1, 11):
        now[0] = 25.0 * step
        offer([own], step, lambda: [None], np.zeros((1, 10)))
    assert saved == [3, 6, 9]


SCRIPT = """
import sys
sys.path[:0] = ["tests"]
import tiny
from benchmark import checkpoints
from benchmark.command import main
checkpoints.EVERY = 0.3
sys.exit(main(sys.argv[1:]))
"""


def test_a_command_killed_in_the_middle_of_a_run_goes_on_and_gives_the_same_bits(tmp_path):
    def start(name, steps=40):
        command = [sys.executable, "-c", textwrap.dedent(SCRIPT), "--datasets", "tiny", "--methods", "scn", "--budget"]
        command += ["smoke", "--set", f"training.steps={steps}", "--set", "training.frames_per_step=4"]
        command += ["--keep-params", "--out", str(tmp_path / name)]
        environment = os.environ | {"SLOTBENCH_CACHE": str(tmp_path / name / "cache")}
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)

    def checkpointed():
        return [p for p in (tmp_path / "killed").glob("cache/checkpoints/*/*/*/seed-0/*") if p.name.isdigit()]

    killed = start("killed")
    while not checkpointed() and killed.poll() is None:
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert checkpointed() and not list((tmp_path / "killed").rglob("seed-0.json"))
    for name in ("killed", "whole"):
        process = start(name)
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output
        assert ("tiny, scn, seed 0: goes on from a checkpoint, step " in output) is (name == "killed")
    both = [next((tmp_path / name).rglob("seed-0.parameters.npz")).read_bytes() for name in ("killed", "whole")]
    assert both[0] == both[1]
    assert not checkpointed()


def fit_together(folders, stop_after=None, every=0.0):
    def loss(model, batch, key):
        return jnp.mean((model.norm(model.linear(batch)) - jax.random.normal(key, batch.shape)) ** 2), {}

    def stop(step, loss, parts):
        if step == stop_after:
            raise KeyboardInterrupt

    kernel = Kernel(loss, lambda data, key: jax.random.normal(key, (8, 3)), optax.adam(0.01))
    places, keys = [Checkpoints(folder, every=every) for folder in folders], jax.random.split(jax.random.key(3))
    return kernel.fit_together([Net(), Net()], {}, 12, list(keys), stop, places)


def test_runs_trained_together_go_on_from_the_newest_step_that_all_have(tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    whole = fit_together([tmp_path / "c", tmp_path / "d"], every=1e9)
    with pytest.raises(KeyboardInterrupt):
        fit_together(folders, stop_after=7)
    shutil.rmtree(_newest(folders[1]))  # as if killed between the two
    rest = fit_together(folders, every=1e9)
    for one, same in zip(whole, rest, strict=True):
        assert same.steps == 12 - 5 and same.curve == one.curve
        jax.tree.map(np.testing.assert_array_equal, nnx.state(one.model), nnx.state(same.model))


def test_runs_trained_together_go_on_from_the_newer_of_two_steps_that_all_have(tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    with pytest.raises(KeyboardInterrupt):
        fit_together(folders, stop_after=7)
    assert [one.steps for one in fit_together(folders, every=1e9)] == [12 - 6, 12 - 6]


def test_runs_trained_together_begin_anew_where_they_have_no_step_in_common(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit_together([tmp_path / "a", tmp_path / "b"], stop_after=7)
    rest = fit_together([tmp_path / "a", tmp_path / "other"], every=1e9)
    assert [one.steps for one in rest] == [12, 12]
