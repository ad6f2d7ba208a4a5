"""Parts of the engine that the command's tests do not reach by themselves."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from benchmark import parameters, plan, records, runner, variants
from benchmark.claims import Claim
from benchmark.configure import Configuration, Override, parse_overrides, typed
from benchmark.contracts import Method
from benchmark.errors import UserError
from benchmark.estimate import COLLECT_RATE, OVERHEAD, SECONDS_PER_PIXEL_LEARNED, Estimate, Timings, estimate
from benchmark.freeze import Encoder, reader
from benchmark.machine import threads
from benchmark.program import Bench, make_program, on_device, run_keys
from benchmark.progress import LiveProgress, PlainProgress, Remaining, duration
from benchmark.records import Record
from benchmark.registry import Registry, configuration, methods, probes
from benchmark.runner import Runner
from benchmark.suites import SUITES, paper_share
from benchmark.training import Kernel, optimizer_step
from benchmark.types import Frozen, Labels, Metric, ProbeResult, Slots
from benchmark.unfinished import blank, failed, given_up, probes_failed
from datasets.atari_shards import _aligned_frames


@pytest.fixture
def run():
    (only,) = plan.runs(Configuration("atari", "smoke"), ["scn"], ["tiny"], seeds=1)
    return only


@pytest.fixture
def long():
    (only,) = plan.runs(Configuration("atari", "quick"), ["scn"], ["tiny"], seeds=1)
    return only


def test_probes_get_the_probe_val_and_test_split_in_that_order(tmp_path, run, monkeypatch):
    given = []

    def look(item, record, frozen, *others):
        given.extend(frozen)
        return record

    monkeypatch.setattr(runner, "ask", look)
    (record,) = Runner(tmp_path, tmp_path, PlainProgress({}).lane()).execute([plan.Item(run, "new")])
    assert record.status == "ok"
    splits = run.dataset.load(tmp_path, print)
    for frozen, split in zip(given, (splits.probe, splits.val, splits.test), strict=True):
        expected = split.read(split.data, jnp.arange(len(split.valid))).labels
        np.testing.assert_array_equal(frozen.labels.coordinates, expected.coordinates)
    assert not np.array_equal(given[1].labels.coordinates[:2], given[2].labels.coordinates[:2])


def test_facts_of_a_data_set_are_recorded_as_they_will_be_read(tmp_path, run):
    """JSON has texts for keys, which sort otherwise than numbers: a record says the same before and after the disk."""

    class Counted(type(run.dataset)):
        def load(self, cache, report):
            return replace(super().load(cache, report), facts={"episodes": {2: 1, 10: 1}})

    counted = replace(run, dataset=Counted(), probes={})
    (record,) = Runner(tmp_path, tmp_path, PlainProgress({}).lane()).execute([plan.Item(counted, "new")])
    assert records.read(tmp_path / record.path).data["episodes"] == {"2": 1, "10": 1} == record.data["episodes"]


def test_a_probe_gets_the_same_key_whatever_else_is_asked_and_another_than_its_fellows(tmp_path, run):
    class Tells(probes.entry("linear")[0]):
        def __call__(self, train, val, test, key):
            return ProbeResult((Metric("first", "all", float(jax.random.uniform(key))),))

    def told(*names):
        asked = replace(run, probes={name: Tells() for name in names})
        out = tmp_path / "-".join(names)
        (record,) = Runner(out, tmp_path, PlainProgress({}).lane()).execute([plan.Item(asked, "new")])
        return {row["probe"]: row["value"] for row in record.metrics}

    alone, together = told("b"), told("a", "b")
    assert together["b"] == alone["b"] != together["a"]


def test_what_is_frozen_is_encoded_by_the_running_statistics_of_training(tmp_path):
    """C-SWM's encoder has batch normalisation; a model comes from training as one that learns."""
    (of_shapes,) = plan.runs(Configuration("worlds", "smoke"), ["cswm"], ["shapes"], 1)
    splits = on_device(of_shapes.dataset.load(tmp_path, print))
    model = of_shapes.method.build(splits.spec, nnx.Rngs(0))
    model.train()
    frozen = Encoder(of_shapes.method, splits.spec).freeze(model, splits.val, reader(splits.spec))
    model.eval()
    frames = splits.val.read(splits.val.data, jnp.arange(len(splits.val.valid))).frames
    np.testing.assert_allclose(frozen.slots, of_shapes.method.encode(model, frames).slots, atol=1e-5)


def test_a_seed_whose_probes_look_further_ahead_than_the_one_before_gets_slots_so_far_ahead(tmp_path):
    (run,) = plan.runs(Configuration("synthetic", "smoke"), ["setcon"], ["gridworld"], 1)
    bench = Bench((run.dataset_name, run.dataset), tmp_path, print)
    names = enumerate(("linear", "decoder", "decoder-rollout"))
    asked = [replace(run, seed=seed, probes={name: run.probes[name]}) for seed, name in names]
    assert [bench.program(each).encoder.horizon for each in asked] == [0, 1, 5]
    assert bench.program(asked[2]) is bench.program(replace(asked[2], seed=3))


def test_what_a_probe_answered_before_it_failed_does_not_come_back_when_the_run_fails(run):
    rows = [{"probe": name, "metric": "m", "value": 1.0} for name in ("linear", "diagnostics")]
    asked = replace(blank(run), status="ok", metrics=rows)
    fell = probes_failed(asked, {"diagnostics": ValueError("no")}, {})
    assert [row["probe"] for row in fell.standing] == ["linear"]
    assert [row["probe"] for row in failed(fell, MemoryError("full")).standing] == ["linear"]


def test_a_run_that_two_suites_have_stays_in_the_one_whose_answers_it_keeps(tmp_path):
    (here,), (there,) = (
        plan.runs(Configuration(suite, "smoke", (), ("diagnostics",)), ["random-cnn"], ["gridworld"], 1)
        for suite in ("synthetic", "colours")
    )
    assert here.path == there.path
    asked = {name: {"configuration": {"version": 1}, "digest": ""} for name in ("decoder", "diagnostics")}
    only = {"diagnostics": asked["diagnostics"]}
    for known, place in ((asked, ("synthetic", "theirs")), (only, ("colours", "smoke"))):
        records.write(tmp_path, replace(blank(here), status="ok", probes=known, budget="theirs"))
        (item,) = plan.plan([there], tmp_path, tmp_path, retry_failed=False, reprobe=False)
        assert (item.state, item.run.suite, item.run.budget) == ("new", *place)


def test_identity_changes_with_every_field_and_not_with_the_seed(run):
    def digest(*texts):
        wanted = Configuration("atari", "smoke", tuple(parse_overrides(texts)))
        return {r.digest for r in plan.runs(wanted, ["scn"], ["tiny"], seeds=3)}

    changes = ["methods.scn.slot_size=8", "training.steps=7", "datasets.tiny.clips=9", "methods.*.learning_rate=0.1"]
    others = [digest(change) for change in changes]
    assert digest() == {run.digest}
    assert len(set.union(*others, digest())) == len(changes) + 1


def test_every_seed_has_keys_of_its_own_and_always_the_same():
    one, again, other = (jax.random.key_data(run_keys(seed)).tolist() for seed in (0, 0, 1))
    assert one == again and len({tuple(key) for key in one + other}) == 6


def test_a_learning_rate_that_was_set_makes_a_variant_and_one_that_was_chosen_none():
    overrides = tuple(parse_overrides(["methods.scn.learning_rate=0.123"]))
    (run,) = plan.runs(Configuration("synthetic", "smoke", overrides), ["scn"], ["gridworld"], seeds=1)
    record = replace(blank(run), configuration=records.as_read(run.configuration))
    assert variants.variant(record) == "learning_rate=0.123"
    assert variants.variant(replace(record, training={"tuned": {}})) == ""


def test_the_later_of_two_settings_of_a_field_wins():
    wanted = Configuration(
        "atari", "smoke", tuple(parse_overrides(["training.steps=7", "training.steps=8", "methods.scn.num_slots=none"]))
    )
    assert wanted.training("tiny").steps == 8 and wanted.method("scn").num_slots is None


@dataclass(frozen=True, kw_only=True)
class Settings:
    name: str = "a field of any name"
    order: Literal[1, 2] = 1
    backbone: str | None = "none, at first"


@pytest.mark.parametrize(
    ("text", "value"), [("order=2", 2), ("backbone=none", None), ("backbone=x", "x"), ("name=none", "none")]
)
def test_a_setting_is_read_as_the_type_of_its_field(text, value):
    assert typed(Settings, Override("methods", "mine", *text.split("="), text)) == value


def test_a_number_that_is_none_of_the_choices_is_named():
    with pytest.raises(UserError, match="'3' is not one of 1, 2"):
        typed(Settings, Override("methods", "mine", "order", "3", "methods.mine.order=3"))


def test_what_all_runs_on_a_data_set_fail_of_has_the_same_traceback_in_each_record(tmp_path, monkeypatch):
    grid = plan.runs(Configuration("atari", "smoke"), ["random-cnn"], ["tiny"], 4)

    def torn(self, cache, report):
        raise RuntimeError("torn")

    monkeypatch.setattr(type(grid[0].dataset), "load", torn)
    found = [*Runner(tmp_path, tmp_path, PlainProgress({}).lane()).execute([plan.Item(run, "new") for run in grid])]
    assert len(found) == 4 and "torn" in found[0].reason
    assert len({len(record.traceback.splitlines()) for record in found}) == 1


def test_a_setting_for_all_leaves_a_name_what_it_stands_for():
    texts = ["methods.*.encoder=slot_attention", "methods.*.diversity_weight=0.5", "datasets.*.game=boxing"]
    wanted = Configuration("synthetic", "smoke", tuple(parse_overrides(texts)))
    assert (wanted.method("setcon-fm").encoder, wanted.method("setcon").encoder) == ("fm_mlp", "slot_attention")
    assert (wanted.method("scn-saliency").diversity_weight, wanted.method("scn").diversity_weight) == (0.0, 0.5)
    assert wanted.dataset("pong").game == "pong"


def test_the_paper_budget_is_the_papers_training():
    assert paper_share("atari", "pong", SUITES["atari"].budgets["paper"].training) == 1
    assert SUITES["atari"].budgets["paper"].training.frames == 100 * 100_000 * 2


def test_every_method_sees_the_same_number_of_training_frames(run):
    splits = on_device(run.dataset.load(None, print))
    programs = [
        make_program(replace(run, method=methods.create(name)), splits) for name in ("scn", "supervised", "cswm")
    ]
    assert {p.batch_size * p.window for p in programs} == {run.training.frames_per_step}


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="an accelerator has memory of its own")
def test_the_frames_of_splits_that_share_them_exist_once(run):
    frames = _aligned_frames(2)
    splits = run.dataset.load(None, print)
    splits.probe.data = splits.test.data = {"frames": frames}
    placed = on_device(splits)
    assert placed.probe.data["frames"].unsafe_buffer_pointer() == frames.ctypes.data
    assert placed.test.data["frames"] is placed.probe.data["frames"]


def test_a_methods_rate_and_weight_decay_reach_the_optimiser(run):
    """A loss without gradients leaves the decay alone, which takes rate times weight decay of every parameter."""
    method = methods.create("setcon", learning_rate=0.1, weight_decay=0.5)
    two, program = jnp.full(3, 2.0), make_program(replace(run, method=method), on_device(run.dataset.load(None, print)))
    decayed, _ = optimizer_step(program.kernel.optimizer, two, 0 * two, program.kernel.optimizer.init(two))
    np.testing.assert_allclose(decayed, 2 * (1 - 0.1 * 0.5), rtol=1e-6)


def test_labels_are_taken_out_of_batches_for_all_but_a_ceiling(run):
    splits = on_device(run.dataset.load(None, print))
    scn = make_program(run, splits).kernel.sample(splits.train.data, jax.random.key(0))
    supervised = make_program(replace(run, method=methods.create("supervised")), splits).kernel
    assert scn.labels is None and scn.actions is not None
    assert supervised.sample(splits.train.data, jax.random.key(0)).labels is not None


def test_freezing_gives_every_frame_once_in_order(run):
    splits, spec = on_device(run.dataset.load(None, print)), run.dataset.spec()
    model = run.method.build(spec, nnx.Rngs(0))
    frozen = Encoder(run.method, spec).freeze(model, splits.test, reader(spec))
    for clip in (0, 7, 24):
        frames = splits.test.read(splits.test.data, jnp.array([clip])).frames
        expected = run.method.encode(model, frames).slots[0]
        np.testing.assert_allclose(frozen.slots[clip], expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(frozen.labels.coordinates, splits.test.data["labels"].coordinates)


def test_predictions_are_frozen_with_the_actions_of_their_own_clips(run):
    splits, spec, method = on_device(run.dataset.load(None, print)), run.dataset.spec(), methods.create("cswm")
    model = method.build(spec, nnx.Rngs(0))
    frozen = Encoder(method, spec, horizon=2).freeze(model, splits.test, reader(spec))
    for clip in (0, 24):
        batch = splits.test.read(splits.test.data, jnp.array([clip]))
        expected = method.predict(model, method.encode(model, batch.frames).slots, batch.actions, 2)[0]
        np.testing.assert_allclose(frozen.predicted[clip], expected, rtol=1e-3, atol=1e-4)


def test_only_as_far_is_predicted_as_a_probe_that_is_asked_looks(run, monkeypatch):
    splits, far = on_device(run.dataset.load(None, print)), probes.create("decoder-rollout")
    both = replace(run, probes={"linear": probes.create("linear"), "far": far})
    monkeypatch.setattr(type(far), "supports", lambda self, spec: None)
    assert make_program(both, splits).encoder.horizon == 5
    monkeypatch.setattr(type(far), "supports", lambda self, spec: "too large")
    assert make_program(replace(both), splits).encoder.horizon == 0


def test_slots_that_are_not_finite_are_refused(run):
    splits, spec = on_device(run.dataset.load(None, print)), run.dataset.spec()
    model = run.method.build(spec, nnx.Rngs(0))
    model.encoder.linear.bias[...] = jnp.full(32, jnp.nan)
    with pytest.raises(ValueError, match="not finite"):
        Encoder(run.method, spec).freeze(model, splits.test, reader(spec))


def test_slots_of_frames_that_do_not_count_need_not_be_finite(run, monkeypatch):
    splits, spec, kind = on_device(run.dataset.load(None, print)), run.dataset.spec(), type(run.method)
    encode = kind.encode
    blind = lambda *of: Slots(encode(*of).slots.at[:, 0].set(jnp.nan))  # noqa: E731
    monkeypatch.setattr(kind, "encode", blind)
    model = run.method.build(spec, nnx.Rngs(0))
    with pytest.raises(ValueError, match="not finite"):
        Encoder(run.method, spec).freeze(model, splits.test, reader(spec))
    splits.test.valid = np.arange(splits.test.valid.shape[1]) > np.zeros((len(splits.test.valid), 1))
    frozen = Encoder(run.method, spec).freeze(model, splits.test, reader(spec))
    assert np.isnan(frozen.slots[:, 0]).all() and np.isfinite(frozen.slots[frozen.valid]).all()


def test_parameters_survive_saving_and_a_flipped_byte_is_seen(tmp_path, run):
    spec = run.dataset.spec()
    model = run.method.build(spec, nnx.Rngs(0))
    sha256 = parameters.save(tmp_path / "p.npz", model)
    loaded = parameters.load(tmp_path / "p.npz", run.method.build(spec, nnx.Rngs(1)))
    jax.tree.map(np.testing.assert_array_equal, nnx.state(model), nnx.state(loaded))
    assert parameters.intact(tmp_path / "p.npz", sha256)
    content = bytearray((tmp_path / "p.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "p.npz").write_bytes(content)
    assert not parameters.intact(tmp_path / "p.npz", sha256)


def test_parameters_of_another_model_are_refused(tmp_path, run):
    spec = run.dataset.spec()
    parameters.save(tmp_path / "p.npz", methods.create("scn", slot_size=8).build(spec, nnx.Rngs(0)))
    with pytest.raises(ValueError, match="do not fit"):
        parameters.load(tmp_path / "p.npz", run.method.build(spec, nnx.Rngs(0)))


@pytest.mark.parametrize(
    "result",
    [
        ProbeResult((Metric("m", "all", 1.0),), {"big": np.zeros(10**6)}),
        ProbeResult((Metric("m", "all", 1.0),), notes={"n": np.float32(1)}),
        ProbeResult((Metric("m", "all", 1.0), Metric("n", "all", float("nan")))),
    ],
    ids=["arrays beyond the limit", "notes that are no JSON", "a number that is not finite"],
)
def test_what_a_probe_gives_that_cannot_be_kept_takes_nothing_of_the_others_with_it(tmp_path, run, result):
    class Good(probes.entry("linear")[0]):
        def __call__(self, *arguments):
            return ProbeResult((Metric("m", "all", 2.0),), {"few": np.arange(3)}, {"n": 1})

    class Bad(Good):
        def __call__(self, *arguments):
            return result

    asked = replace(run, probes={"bad": Bad(), "good": Good()})
    (record,) = Runner(tmp_path, tmp_path, PlainProgress({}).lane()).execute([plan.Item(asked, "new")])
    assert record.status == "failed" and record.reason.startswith("probe bad: ")
    assert [(row["probe"], row["value"]) for row in record.metrics] == [("good", 2.0)] and [*record.probes] == ["good"]
    assert "bad" not in record.notes and record.notes["good"] == {"n": 1}
    worse = replace(run, probes={"bad": Bad(), "worse": Bad(), "good": Good()})
    (record,) = Runner(tmp_path / "worse", tmp_path, PlainProgress({}).lane()).execute([plan.Item(worse, "new")])
    assert record.reason.startswith("probe bad (worse failed too): ")
    assert [*record.notes["failed_probes"]] == ["bad", "worse"]
    assert record.reason == f"probe bad (worse failed too): {record.notes['failed_probes']['bad']}"
    mended = replace(worse, probes={"bad": Good(), "worse": Good(), "good": Good()})
    (item,) = plan.plan([mended], tmp_path / "worse", tmp_path, retry_failed=True, reprobe=False)
    (record,) = Runner(tmp_path / "worse", tmp_path, PlainProgress({}).lane()).execute([item])
    assert record.status == "ok" and "failed_probes" not in record.notes
    kept = parameters.load_named(tmp_path / record.arrays)
    assert [*kept] == ["good.few"] and kept["good.few"].tolist() == [0, 1, 2]


def test_a_probe_cannot_change_what_the_others_are_given(tmp_path, run):
    class Looks(probes.entry("linear")[0]):
        def __call__(self, train, val, test, key):
            return ProbeResult((Metric("sum", "all", float(np.abs(test.slots).sum())),))

    class Writes(Looks):
        def __call__(self, train, val, test, key):
            test.slots[:] = 0
            return super().__call__(train, val, test, key)

    asked = replace(run, probes={"before": Looks(), "writes": Writes(), "after": Looks()})
    (record,) = Runner(tmp_path, tmp_path, PlainProgress({}).lane()).execute([plan.Item(asked, "new")])
    assert record.reason.startswith("probe writes: ValueError: assignment destination is read-only (")
    before, after = (row["value"] for row in record.metrics)
    assert before == after > 0


@pytest.mark.parametrize("part", ["slots", "labels", "valid", "masks", "predicted"])
def test_everything_that_is_frozen_is_read_only_and_what_it_was_made_of_is_not(run, part):
    labels = Labels(np.zeros((1, 2, 3)), np.zeros((1, 2, 4, 4), int))
    made_of = {"slots": np.zeros((1, 2, 3, 4)), "labels": labels, "valid": np.ones((1, 2), bool)}
    made_of |= {"masks": np.zeros((1, 2, 3, 16)), "predicted": np.zeros((1, 2, 1, 3, 4))}
    frozen = Frozen(**made_of, spec=run.dataset.spec())
    for array in jax.tree.leaves(getattr(frozen, part)):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 1
    for array in jax.tree.leaves(made_of[part]):
        array[:] = 1


@pytest.mark.parametrize("until", ["train", "ask"])
def test_a_run_that_another_process_has_taken_over_writes_nothing_any_more(tmp_path, run, monkeypatch, until):
    """Its claim is found lost when the training, or the probing, is over."""
    stages = []
    monkeypatch.setattr(Claim, "confirm", lambda self: until not in stages)
    for owner, stage in ((Runner, "_train"), (runner, "ask")):
        monkeypatch.setattr(owner, stage, _told(getattr(owner, stage), stages))
    ours = Runner(tmp_path / "out", tmp_path / "cache", PlainProgress({}).lane(), keep_params=True)
    assert ours._settle(plan.Item(run, "new")) is None
    kept = set() if until == "train" else {run.parameters(tmp_path / "cache"), run.parameters_beside(tmp_path / "out")}
    assert {path for path in tmp_path.rglob("seed-*") if path.suffix in (".json", ".npz")} == kept


def _told(stage, stages):
    """The same, and that it has begun."""

    def told(*arguments):
        stages.append(stage.__name__.lstrip("_"))
        return stage(*arguments)

    return told


def test_no_two_failures_of_a_run_are_the_same_record(run):
    """Others see by the changed record that a run was tried again, and leave it."""
    item = plan.Item(run, "new")
    for fail in (lambda: failed(blank(run), RuntimeError("alike")), lambda: given_up(item)):
        first, second = fail(), fail()
        assert first != second and first.reason == second.reason


def test_a_run_that_went_on_has_the_time_of_one_that_did_not_stop(tmp_path, run, monkeypatch):
    fit = Kernel.fit
    monkeypatch.setattr(Kernel, "fit", lambda *given: replace(fit(*given), seconds=2.0, steps=3))
    (record,) = Runner(tmp_path, tmp_path, PlainProgress({}).lane()).execute([plan.Item(run, "new")])
    assert record.timing["train"] == 2.0 * run.training.steps / 3


def test_estimates_come_from_runs_measured_here_once_there_are_any(tmp_path, long):
    items, values, frames = [plan.Item(long, "new")], 84 * 84 * 3, long.training.frames
    guess = estimate(items, tmp_path)
    place = {"method": "scn", "dataset": "other", "values": values, "budget": long.budget, "threads": threads()}
    place |= {"probes": ", ".join(sorted(long.probe_digests))}
    row = place | {"step": 0.5, "overhead": 5, "guessed": OVERHEAD}
    larger = row | {"values": 210 * 160 * 3, "step": 99.0}
    longer = row | {"budget": "another", "overhead": 99.0}
    of_others = row | {"method": "another", "step": 99.0, "overhead": 7}
    known = [
        (rows, _estimate(rows, items, tmp_path)) for rows in ([row, larger, longer, of_others], [longer, of_others])
    ]
    assert guess.measured == 0
    assert [estimate.measured for _, estimate in known] == [1, 1]
    assert [estimate.total for _, estimate in known] == [frames * 0.5 + 5, frames * 0.5 + 7]


def test_an_estimate_prefers_runs_with_as_many_threads_and_takes_others_before_it_guesses(tmp_path, long):
    items, other = [plan.Item(long, "new")], threads() + 1
    place = {"method": "scn", "dataset": long.dataset_name, "values": 84 * 84 * 3, "budget": long.budget}
    place |= {"probes": ", ".join(sorted(long.probe_digests))}
    mine, others = ({"threads": n, "step": 0.5, "overhead": 5.0 * n, "guessed": OVERHEAD} for n in (threads(), other))
    both, only_others = (
        _estimate(rows, items, tmp_path) for rows in ([place | others, place | mine], [place | others])
    )
    assert both.total == long.training.frames * 0.5 + 5.0 * threads()
    assert only_others.total == long.training.frames * 0.5 + 5.0 * other and only_others.measured == 1


def _estimate(rows, items, cache):
    Timings(cache).path.write_text(json.dumps(rows))
    return estimate(items, cache)


@pytest.mark.parametrize("content", ["{[", "{}", '[{"method": "scn"}]', "[3]"])
def test_a_damaged_timings_file_only_means_guessing(tmp_path, run, content):
    (tmp_path / "timings.json").write_text(content)
    assert estimate([plan.Item(run, "new")], tmp_path).measured == 0


def test_what_does_not_train_is_not_estimated_to_train(tmp_path):
    grid = plan.runs(Configuration("worlds", "quick", ()), ["random-cnn", "scn"], ["cubes"], 1)
    untrained, trained = (estimate([plan.Item(run, "new")], tmp_path).total for run in grid)
    assert untrained == OVERHEAD < trained / 2


def test_the_oldest_timings_are_forgotten(tmp_path, long, monkeypatch):
    monkeypatch.setattr("benchmark.estimate.REMEMBERED", 3)
    timings = Timings(tmp_path)
    for seconds in range(5):
        fields = {"training": {"frames": 10}, "timing": {"train": 10.0 * seconds}, "provenance": {"threads": 1}}
        timings.add(replace(blank(long), **fields), long)
    assert [row["step"] for row in Timings(tmp_path).rows] == [2.0, 3.0, 4.0]


def test_a_run_whose_training_was_not_timed_is_not_remembered(tmp_path, long):
    timings = Timings(tmp_path)
    done = replace(blank(long), training={"frames": 10}, provenance={"threads": 1})
    timings.add(replace(done, timing={"probe": 1.0}), long)
    assert not timings.rows
    timings.add(replace(done, timing={"train": 2.0}), long)
    assert [row["step"] for row in timings.rows] == [0.2]


def test_a_few_steps_are_overhead_and_tell_nothing_of_a_longer_training(tmp_path, run, long):
    timings = Timings(tmp_path)
    timings.add(
        replace(
            blank(run),
            training={"frames": run.training.frames},
            timing={"train": 3.0, "probe": 2.0},
            provenance={"threads": threads()},
        ),
        run,
    )
    few, many = (estimate([plan.Item(each, "new")], tmp_path) for each in (run, long))
    guess = estimate([plan.Item(long, "new")], tmp_path / "elsewhere")
    assert (few.total, few.measured) == (5.0, 1)
    assert many.total == guess.total and many.measured == 0


def test_probing_again_takes_as_long_as_the_decoders_that_are_asked_learn(tmp_path):
    balls = Configuration("synthetic", "quick", tuple(parse_overrides(["probes.decoder.max_steps=10000"])))
    (run,) = plan.runs(balls, ["setcon"], ["bouncing_balls"], 1)
    both, one, none = (
        estimate([plan.Item(run, "reprobe", asked=asked)], tmp_path)
        for asked in [(), ("decoder",), ("linear", "masks")]
    )
    learned = {name: run.probes[name].pixels_learned(run.dataset.spec()) for name in ("decoder", "decoder-rollout")}
    assert (both.total - none.total) / (one.total - none.total) == pytest.approx(
        sum(learned.values()) / learned["decoder"]
    )
    assert one.total > 600 > none.total and one.measured == 0


def test_a_plan_with_fewer_probes_is_not_said_to_take_what_the_decoders_took(tmp_path):
    balls = Configuration("synthetic", "quick", ())
    (run,) = plan.runs(balls, ["setcon"], ["bouncing_balls"], 1)
    few = replace(run, probes={name: run.probes[name] for name in ("linear", "masks")})
    guess = {name: estimate([plan.Item(each, "new")], tmp_path).total for name, each in (("all", run), ("few", few))}
    learned = sum(probe.pixels_learned(run.dataset.spec()) for probe in run.probes.values()) * SECONDS_PER_PIXEL_LEARNED
    row = {"method": "setcon", "dataset": "bouncing_balls", "values": 32 * 32 * 3, "budget": "quick"}
    row |= {"probes": ", ".join(sorted(run.probe_digests))}
    row |= {"threads": threads(), "step": 1e-3, "overhead": (OVERHEAD + learned) / 2, "guessed": OVERHEAD + learned}
    trained = run.training.frames * 1e-3
    assert guess["all"] - guess["few"] == pytest.approx(learned)
    measured = [_estimate([row], [plan.Item(each, "new")], tmp_path) for each in (run, few)]
    expected = [trained + (OVERHEAD + learned) / 2, trained + OVERHEAD / 2]
    assert [each.total for each in measured] == pytest.approx(expected)
    assert learned > 10 * OVERHEAD and [each.measured for each in measured] == [1, 0]
    asked_few = row | {"probes": "linear, masks", "overhead": 3.0, "guessed": OVERHEAD}
    (known,) = (_estimate([row, asked_few], [plan.Item(few, "new")], tmp_path),)
    assert (known.total, known.measured) == (pytest.approx(trained + 3.0), 1)


def test_time_left_shrinks_as_runs_finish(run):
    remaining = Remaining({run.path: 10.0, run.path.parent: 30.0})
    before = remaining.seconds()
    remaining.finish(run.path.parent)
    assert remaining.seconds() < before and remaining.done == 1


def test_a_short_run_that_took_long_tells_little_of_the_time_that_long_ones_take(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("benchmark.progress.time.monotonic", lambda: now[0])
    remaining = Remaining({Path("short"): 10.0, Path("a"): 190.0, Path("b"): 100.0})
    assert remaining.seconds() == 300
    now[0] += 210  # for the 10 seconds; the mean run's 100 have gone in 100
    remaining.finish(Path("short"))
    assert remaining.seconds() == pytest.approx(290 * (210 + 100) / (10 + 100))
    now[0] += 50  # nothing is known of the run under way
    assert remaining.seconds() == pytest.approx(290 * (210 + 100) / (10 + 100))
    shared = Remaining({Path("a"): 100.0, Path("b"): 100.0}, lanes=2)
    now[0] += 100
    shared.finish(Path("a"))
    assert shared.seconds() == pytest.approx(100 * (100 + 50) / (100 + 100))


def test_collecting_frames_counts_with_the_first_run_on_a_data_set(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmark.estimate.threads", lambda: 4)
    grid = plan.runs(Configuration("atari", "quick"), ["random-cnn", "scn"], ["pong", "tennis"], 1)
    items, wanted = [plan.Item(run, "new") for run in grid], {"pong": 4_000, "tennis": 8_000}
    kind = type(grid[0].dataset)
    monkeypatch.setattr(kind, "missing", lambda self, cache: (0, 0))
    there = estimate(items, tmp_path, lanes=2)
    monkeypatch.setattr(kind, "missing", lambda self, cache: (0, wanted[self.spec().name]))
    found = estimate(items, tmp_path, lanes=2)
    assert found.collecting == pytest.approx(12_000 / COLLECT_RATE / 4)
    more = [found.runs[run.path] - there.runs[run.path] for run in grid]
    assert more == pytest.approx([4_000 / COLLECT_RATE / 2, 0, 8_000 / COLLECT_RATE / 2, 0])
    assert found.total - there.total == pytest.approx(found.collecting)


@pytest.mark.parametrize(
    ("seconds", "text"), [(4.4, "4 s"), (119, "119 s"), (600, "10 min"), (9000, "2.5 h"), (400_000, "4.6 days")]
)
def test_durations_read_as_people_say_them(seconds, text):
    assert duration(seconds) == text


@pytest.fixture
def registry():
    return Registry("method", Method)


def test_registering_a_name_twice_names_the_file_that_has_it(registry):
    registry.register("mine")(methods.entry("scn")[0])
    with pytest.raises(UserError, match=r"'mine'.*already taken by .*scn\.py"):
        registry.register("mine")(methods.entry("cswm")[0])


def test_a_class_that_lacks_a_part_is_named_with_what_it_lacks(registry):
    @dataclass(frozen=True, kw_only=True)
    class Half(Method):
        def window(self, spec):
            return 1

    with pytest.raises(UserError, match=r"test_engine\.py: it lacks build, encode, loss"):
        registry.register("half")(Half)


def test_a_default_that_json_writes_as_a_list_makes_no_variant(run, registries):
    @methods.register("several")
    @dataclass(frozen=True, kw_only=True)
    class Several(methods.entry("scn")[0]):
        sizes: tuple[int, ...] = (3, 3)

    def written(**fields):
        whole = records.as_read({**run.configuration, "method": configuration(Several(**fields))})
        return Record("atari", run.budget, run.dataset_name, "several", 0, "abcd", "ok", configuration=whole)

    assert [variants.variant(written(**fields)) for fields in ({}, {"sizes": (3, 4)})] == ["", "sizes=[3, 4]"]


@pytest.mark.parametrize("name", ["../mine", "a/b", "/etc/mine", ".mine", "", "mine\n"])
def test_a_name_that_could_leave_the_output_folder_is_refused(registry, name):
    with pytest.raises(UserError, match="a name is made of letters, digits"):
        registry.register(name)(methods.entry("scn")[0])


def test_a_run_without_enough_memory_is_named_as_that():
    with pytest.raises(Exception, match="RESOURCE_EXHAUSTED") as error:
        jnp.zeros((2**45,)).block_until_ready()
    for raised in (error.value, MemoryError()):
        record = failed(Record("atari", "quick", "pong", "scn", 0, "abcd", "ok"), raised)
        assert record.status == "failed" and record.reason.startswith("out of memory: ")
        assert record.reason.endswith(
            "; if it was in training, fewer frames a step need less (--set training.frames_per_step=N)"
        )
        asked = probes_failed(Record("atari", "quick", "pong", "scn", 0, "abcd", "ok"), {"linear": raised}, {})
        assert asked.reason.startswith("probe linear: out of memory: ") and "frames_per_step" not in asked.reason


def test_a_class_that_is_no_method_or_no_frozen_dataclass_is_refused(registry):
    with pytest.raises(UserError, match=r"subclass of benchmark\.contracts\.Method"):
        registry.register("int")(int)

    class Plain(methods.entry("scn")[0]):
        pass

    Plain.__dataclass_params__ = type("P", (), {"frozen": False})()
    with pytest.raises(UserError, match="frozen=True"):
        registry.register("plain")(Plain)


def test_an_estimate_is_no_shorter_than_its_longest_run_and_shared_among_no_more_than_the_runs():
    runs = {Path("a"): 60.0, Path("b"): 60.0, Path("c"): 300.0}
    assert Estimate(runs, 10.0, 0, 1, lanes=2).total == 300
    assert Estimate({Path("a"): 60.0}, 0.0, 0, 1, lanes=8).total == 60
    assert Estimate(dict.fromkeys(map(Path, "abcd"), 60.0), 0.0, 0, 1, lanes=2).total == 120
    assert Remaining({Path("a"): 60.0}, lanes=8).seconds() == 60
    assert Estimate({}, 0.0, 0, 1).total == 0


def test_the_line_of_a_run_that_failed_after_training_says_why(capsys, run):
    probed = probes_failed(blank(run), {"linear": ValueError("a probe's own")}, {})
    assert probed.notes == {"failed_probes": {"linear": "ValueError: a probe's own"}}
    failure = replace(failed(probed, ValueError("slots of a wrong shape")), curve=[[1.0, 0.5]])
    assert failure.notes == {}
    PlainProgress({}).lane().run_finished(failure)
    assert "failed, ValueError: slots of a wrong shape" in capsys.readouterr().out


def test_a_line_about_a_run_names_what_tells_it_from_its_fellows_and_who_did_it(run, capsys):
    lane = PlainProgress({}).lane()
    lane.run_started(replace(run, remark="learning rate 0.1"))
    lane.run_finished(replace(blank(run), status="ok"))
    lane.run_finished(replace(blank(run), status="ok", seed=run.seed + 1))
    own, other = capsys.readouterr().out.splitlines()
    assert f"{run}, learning rate 0.1: ok, not trained, took " in own
    assert f"seed {run.seed + 1}: ok, not trained, done elsewhere" in other


def test_a_temperature_below_zero_is_refused():
    with pytest.raises(UserError, match=r"tau is -0\.5; it must be a finite number above 0"):
        methods.create("setcon", tau=-0.5)


def test_brackets_in_what_a_run_says_are_shown_as_they_are(run):
    live = LiveProgress({run.path: 1.0})
    lane = live.lane()
    lane.run_started(run)
    lane.note("expected [b t k d], not [/data/frames]")
    lane.stage("reading [/data]")
    shown = [column.render(task).plain for task in live.bars.tasks for column in live.bars.columns[::3]]
    assert "expected [b t k d], not [/data/frames]" in shown and "reading [/data]" in shown


def test_what_is_frozen_says_how_many_frames_a_prediction_needs(run):
    splits, spec = on_device(run.dataset.load(None, print)), run.dataset.spec()
    for name, seen in (("scn", 0), ("cswm", 1), ("setcon", 2)):
        method = methods.create(name)
        frozen = Encoder(method, spec, horizon=1).freeze(method.build(spec, nnx.Rngs(0)), splits.test, reader(spec))
        assert (frozen.context, frozen.predicted is None) == (seen, seen == 0)
