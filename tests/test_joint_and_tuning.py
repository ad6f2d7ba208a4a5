"""A decoder trained beside the model changes nothing of it, and the rate whose decoder errs least is taken."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from benchmark import plan, records, tuning
from benchmark.configure import Configuration, parse_overrides
from benchmark.errors import UserError
from benchmark.joint import joint
from benchmark.registry import datasets, methods
from benchmark.report.writing import compare
from benchmark.types import Batch, Slots
from benchmark.unfinished import blank

SPEC = datasets.create("gridworld").spec()


@pytest.fixture(scope="module")
def gradients():
    """Gradients of the joint loss, and of the method's own, for the same model and batch."""
    method = methods.create("slotwise")
    beside = joint(method)
    graph, state = nnx.split(beside.build(SPEC, nnx.Rngs(0)))
    batch = Batch(jax.random.uniform(jax.random.key(1), (3, 8, 5, 5, 3)))

    def joint_loss(state):
        loss, logs = beside.loss(nnx.merge(graph, state), batch, jax.random.key(2))
        return loss, logs

    def own_loss(state):
        return method.loss(nnx.merge(graph, state).model, batch, jax.random.key(2))[0]

    (loss, logs), together = jax.jit(jax.value_and_grad(joint_loss, has_aux=True))(state)
    value, alone = jax.jit(jax.value_and_grad(own_loss))(state)
    return loss, logs, value, together, alone


def test_the_joint_decoder_hands_no_gradient_to_the_model(gradients):
    _, _, _, together, alone = gradients
    for a, b in zip(jax.tree.leaves(together["model"]), jax.tree.leaves(alone["model"]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    assert all(jnp.any(leaf != 0) for leaf in jax.tree.leaves(together["decoder"]))


def test_the_joint_loss_is_the_methods_plus_the_decoders_two_errors(gradients):
    loss, logs, value, _, _ = gradients
    assert float(loss) == pytest.approx(float(value + logs["mse_s"] + logs["mse_p"]), rel=1e-5)


def test_the_decoder_beside_a_model_does_not_move_its_batch_norm():
    spec = datasets.create("shapes").spec()
    method = methods.create("cswm", slot_size=4)
    beside = joint(method)
    graph, state = nnx.split(beside.build(spec, nnx.Rngs(0)))
    frames = jax.random.uniform(jax.random.key(1), (3, 2, *spec.frame_shape))
    batch = Batch(frames, jnp.zeros((3, 2), jnp.int32))

    def averages(loss):
        both = nnx.merge(graph, state, copy=True)
        loss(both)
        return nnx.state(both.model, nnx.BatchStat)

    together = averages(lambda both: beside.loss(both, batch, jax.random.key(2)))
    alone = averages(lambda both: method.loss(both.model, batch, jax.random.key(2)))
    assert jax.tree.leaves(alone)
    for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
        np.testing.assert_array_equal(a, b)


class Oracle(methods.entry("random-cnn")[0]):
    """Its slots are the frames' first pixels, and it foresees them all."""

    context = 2

    def encode(self, model, frames):
        return Slots(frames[:, :, :1, 0])

    def predict(self, model, slots, actions, steps):
        return jnp.roll(slots, -1, axis=1)[:, :, None]


def test_the_joint_decoder_paints_the_frames_that_slots_and_predictions_stand_for(monkeypatch):
    shown = []

    def look(decoder, slots, frames, count, key):
        shown.append((slots, frames))
        return jnp.zeros(())

    monkeypatch.setattr("benchmark.joint.sampled_error", look)
    beside, frames = joint(Oracle()), jax.random.uniform(jax.random.key(1), (3, 8, 5, 5, 3))
    beside.loss(beside.build(SPEC, nnx.Rngs(0)), Batch(frames), jax.random.key(2))
    assert [slots.shape[1] for slots, _ in shown] == [8, 6]
    for slots, painted in shown:
        np.testing.assert_array_equal(slots[:, :, 0], painted[:, :, 0, 0])


def test_a_method_beside_its_decoder_keeps_its_rate_context_and_blindness():
    method = methods.create("setcon", learning_rate=0.5)
    beside = joint(method)
    assert (beside.learning_rate, beside.context, beside.reads_labels, beside.decodes) == (0.5, 2, False, True)


def grid(*overrides):
    wanted = Configuration("synthetic", "smoke", tuple(parse_overrides(overrides)))
    return plan.runs(wanted, ["setcon", "random-cnn"], ["gridworld"], seeds=2)


def test_five_joint_candidates_for_each_method_that_trains():
    runs = tuning.candidates(grid())
    assert {run.method_name for run in runs} == {"setcon"} and len(runs) == 5
    rates = sorted(run.method.learning_rate for run in runs)
    np.testing.assert_allclose(rates, np.array([1, 2, 3, 4, 5]) * 1e-3 / 3)
    assert {(run.seed, run.training.probe_protocol) for run in runs} == {(0, "joint")}
    assert all([*run.probes] == ["decoder"] for run in runs)  # which alone decides
    assert str(runs[0]) == "gridworld, setcon, seed 0, learning rate 0.000333"


def test_the_rate_with_the_smallest_error_on_val_is_taken_for_all_seeds_and_said_in_the_run(tmp_path):
    for run, error in zip(tuning.candidates(grid()), [0.5, 0.3, 0.2, 0.4, None], strict=True):
        rows = [
            {"probe": probe, "metric": "mse_own", "split": split, "target": target, "value": value}
            for probe, split, target, value in (
                ("decoder", "val", "s", error),
                ("decoder", "val", "p1", 0.1),
                ("decoder", "test", "s", error and 2 - 2 * error),
                ("decoder-rollout", "val", "s", error and 1 - error),
                ("decoder-rollout", "val", "p5", 9.0),
            )
        ]
        records.write(tmp_path, replace(blank(run), status="ok", metrics=rows))
    chosen = tuning.tuned(grid(), tmp_path)
    setcon = [run for run in chosen if run.method_name == "setcon"]
    assert [run.method.learning_rate for run in setcon] == [1e-3, 1e-3]
    assert setcon[0].tuned["chosen"] == 1e-3
    errors = [error for _, error in setcon[0].tuned["candidates"]]
    assert errors == [pytest.approx(0.6), pytest.approx(0.4), pytest.approx(0.3), pytest.approx(0.5), None]
    (told,) = tuning.choices(chosen)
    assert told.startswith("gridworld, setcon: learning rate 0.001 has the least MSE of s and p1 on val, ")
    assert told.endswith(", of 0.000333 (0.6), 0.000667 (0.4), 0.001 (0.3), 0.00133 (0.5), 0.00167 (none)")
    assert [run for run in chosen if run.method_name == "random-cnn"] == [
        r for r in grid() if r.method_name != "setcon"
    ]


def test_a_tuned_run_is_compared_with_a_tuned_run_and_named_in_the_tidy_table(tmp_path):
    own = grid()[0]
    chosen = replace(own, method=replace(own.method, learning_rate=5e-4))
    row = {"probe": "decoder", "metric": "mse", "split": "test", "target": "s", "higher_is_better": False}
    for out, run, facts, value in (
        ("before", own, {}, 0.2),
        ("before", chosen, {"tuned": {"chosen": 5e-4}}, 0.1),
        ("after", chosen, {"tuned": {"chosen": 5e-4}}, 0.1),
    ):
        made = replace(blank(run), status="ok", training=facts, metrics=[{**row, "value": value}])
        records.write(tmp_path / out, made)
    told = compare(tmp_path / "before", tmp_path / "after")
    assert "| setcon (tuned) |  mse s | decoder | 0.1 | 0.1 |" in told
    assert "Only in A: synthetic, smoke, gridworld, setcon, seed 0." in told
    frame = records.frame(tmp_path / "before")
    assert dict(zip(frame["value"], frame["settings"], strict=True)) == {0.1: "tuned", 0.2: ""}


def test_without_any_candidates_record_the_rate_stays(tmp_path):
    tuned = tuning.tuned(grid(), tmp_path)
    assert [run.digest for run in tuned] == [run.digest for run in grid()]
    assert tuning.choices(tuned) == ["gridworld, setcon: learning rate 0.001, its own, as no candidate has an error"]


def test_no_decoder_is_trained_beside_a_method_where_no_probe_reads_it(tmp_path):
    wanted = Configuration("atari", "smoke", tuple(parse_overrides(["training.probe_protocol=joint"])))
    whitened = Configuration("synthetic", "smoke", wanted.overrides, asked=("decoder-whitened",))
    runs = plan.runs(wanted, ["scn"], ["pong"], seeds=1) + plan.runs(whitened, ["scn"], ["gridworld"], seeds=1)
    items = plan.plan(
        [*grid("training.probe_protocol=joint"), *runs], tmp_path, tmp_path, retry_failed=False, reprobe=False
    )
    assert [item.state for item in items] == ["new"] * 4 + ["skipped"] * 2
    assert all("none of the probes asked reads" in item.reason for item in items[4:])


def test_the_probe_protocol_is_part_of_a_runs_identity():
    assert grid("training.probe_protocol=joint")[0].digest != grid()[0].digest


def test_a_rate_that_a_method_refuses_is_one_line(monkeypatch):
    def refuse(self):
        if self.learning_rate > 1e-3:
            raise RuntimeError("too fast")

    monkeypatch.setattr(methods.entry("slotwise")[0], "__post_init__", refuse)
    wanted = Configuration("synthetic", "smoke")
    runs = plan.runs(wanted, ["slotwise"], ["gridworld"], seeds=1)
    with pytest.raises(
        UserError, match=r"--tune asks slotwise with learning_rate=0.00133: it raises RuntimeError: too"
    ):
        tuning.candidates(runs)


def test_the_decoder_beside_a_method_decays_reads_and_has_filters_as_it_must():
    assert joint(methods.create("setcon", weight_decay=0.5)).weight_decay == 0.5
    assert joint(methods.create("supervised")).reads_labels
    built = nnx.eval_shape(lambda: joint(methods.create("slotwise")).build(SPEC, nnx.Rngs(0)))
    assert [layer.out_features for layer in built.decoder.convolutions] == [16] * 4 + [4]


def test_a_method_that_trains_a_decoder_of_its_own_gets_no_other(tmp_path):
    method = methods.create("reconstruction")
    assert joint(method) is method
    overrides = tuple(parse_overrides(["training.probe_protocol=joint"]))
    asked = Configuration("synthetic", "smoke", overrides, asked=("linear",))
    grid = plan.runs(asked, ["reconstruction", "slotwise"], ["gridworld"], seeds=1)
    items = plan.plan(grid, tmp_path, tmp_path, retry_failed=False, reprobe=False)
    assert [item.state for item in items] == ["new", "skipped"]  # of the two that other's decoder would be for nothing


def test_a_method_that_cannot_run_there_has_no_candidates():
    wanted = Configuration("synthetic", "smoke", tuple(parse_overrides(["datasets.gridworld.num_slots=1"])))
    runs = plan.runs(wanted, ["supervised", "slotwise"], ["gridworld"], seeds=1)
    assert {run.method_name for run in tuning.candidates(runs)} == {"slotwise"}
