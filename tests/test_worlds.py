"""The suite `worlds`: its batches, every method on them, and the settings that it gives C-SWM."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from benchmark.configure import Configuration, parse_overrides
from benchmark.plan import runs
from benchmark.program import make_program
from benchmark.registry import methods
from benchmark.suites import SUITES

SMOKE = Configuration("worlds", "smoke")


@pytest.fixture(scope="module", params=SUITES["worlds"].datasets)
def loaded(request):
    return request.param, SMOKE.dataset(request.param).load(Path(), print)


def test_batches_are_what_the_spec_says(loaded):
    _, splits = loaded
    spec = splits.spec
    for split in (splits.train, splits.probe, splits.val, splits.test):
        batch = jax.eval_shape(lambda key, split=split: split.sample(split.data, key, 3, 2), jax.random.key(0))
        assert batch.frames.shape == (3, 2, *spec.frame_shape)
        assert batch.labels.coordinates.shape == (3, 2, len(spec.coordinates))
        assert batch.labels.masks.shape == (3, 2, *spec.frame_shape[:2])
        assert (batch.actions is None) == (spec.num_actions == 0)
    for split in (splits.probe, splits.val, splits.test):
        assert split.valid.shape[1] == spec.clip_length
    assert len(spec.coordinate_mean) == len(spec.coordinate_std) == len(spec.coordinates)
    assert min(spec.coordinate_std) > 0 and spec.num_slots == len(spec.objects)


def test_statistics_of_coordinates_are_those_of_the_episodes_to_learn_from(loaded):
    _, splits = loaded
    read = jax.jit(lambda data, clips: splits.train.read(data, clips).labels.coordinates)
    found = np.asarray(read(splits.train.data, jnp.arange(len(splits.train.valid))), np.float64)
    places = found.reshape(-1, len(splits.spec.coordinates))
    np.testing.assert_allclose(splits.spec.coordinate_mean, places.mean(0), rtol=1e-4)
    np.testing.assert_allclose(splits.spec.coordinate_std, places.std(0), rtol=1e-4)


@pytest.mark.parametrize("name", list(methods))
@pytest.mark.parametrize("loaded", ["cubes", "three_body"], indirect=True)
def test_every_method_learns_and_encodes_with_actions_and_without(loaded, name):
    dataset, splits = loaded
    (run,) = runs(SMOKE, [name], [dataset], seeds=1)
    program = make_program(run, splits)

    def step(key):
        model = run.method.build(splits.spec, nnx.Rngs(0))
        batch = program.kernel.sample(splits.train.data, key)
        loss, _ = run.method.loss(model, batch, key)
        model.eval()
        slots = run.method.encode(model, batch.frames).slots
        return loss, slots, run.method.predict(model, slots, batch.actions, 10) if run.method.context else None

    loss, slots, predicted = jax.eval_shape(step, jax.random.key(0))
    b, t = program.batch_size, program.window
    assert loss.shape == () and slots.shape[:3] == (b, t, splits.spec.num_slots)
    assert predicted is None or predicted.shape == (b, t, 10, *slots.shape[2:])


def test_no_method_is_skipped_there():
    reasons = {
        (name, run.dataset_name): run.method.supports(run.dataset.spec())
        for name in methods
        for run in runs(SMOKE, [name], SUITES["worlds"].datasets, 1)
    }
    assert not any(reasons.values()), reasons


@pytest.mark.parametrize(("dataset", "slot_size"), [("shapes", 2), ("cubes", 2), ("three_body", 4)])
def test_cswm_has_its_papers_slot_size_and_learning_rate_there(dataset, slot_size):
    (run,) = runs(Configuration("worlds", "paper"), ["cswm"], [dataset], seeds=1)
    spec = run.dataset.spec()
    model = nnx.eval_shape(lambda: run.method.build(spec, nnx.Rngs(0)))
    assert model.encoder.linear3.kernel.shape == (512, slot_size)
    assert (run.method.learning_rate, run.method.hidden, run.method.sigma) == (5e-4, 512, 0.5)
    assert run.training.frames_per_step // 2 == 1024


def test_cswm_keeps_scns_settings_on_atari():
    method = Configuration("atari", "paper").method("cswm")
    assert (method.slot_size, method.learning_rate) == (32, 3e-4)


def test_what_the_user_sets_goes_before_what_the_suite_sets():
    overrides = tuple(parse_overrides(["methods.cswm.slot_size=7"]))
    method = Configuration("worlds", "smoke", overrides).method("cswm")
    assert (method.slot_size, method.learning_rate) == (7, 5e-4)
