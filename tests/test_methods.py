"""Contract tests over all registered methods: what a new method must keep, it is asked here without a new test."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from flax import nnx

from benchmark.registry import methods
from benchmark.training import Kernel, adam
from benchmark.types import Batch

SPEC = tiny.Tiny().spec()
SPLIT = tiny.TinySplit(0, 6)
SPLIT.data = jax.tree.map(jnp.asarray, SPLIT.data)
NAMES = [name for name in methods if methods.create(name).supports(SPEC) is None]
TRAINED = [name for name in NAMES if methods.entry(name)[0].trains]


def create(name):
    """The method; one that paints frames does so with few filters, as the cost is no part of the contract."""
    cheap = {"filters": 4} if hasattr(methods.entry(name)[0], "filters") else {}
    return methods.create(name, **cheap)


@cache
def built(name, seed=0):
    """A method, its model's structure and its state."""
    method = create(name)
    return method, *nnx.split(method.build(SPEC, nnx.Rngs(seed)))


def batch_for(method, size=4) -> Batch:
    return SPLIT.sample(SPLIT.data, jax.random.key(1), size, method.window(SPEC))


@cache
def fitted(name):
    """30 steps on one fixed batch; labels are in it for a ceiling only."""
    method, graph, state = built(name)
    batch = batch_for(method)
    batch = batch if method.reads_labels else batch._replace(labels=None)
    kernel = Kernel(method.loss, lambda data, key: data, adam(3e-4))
    return kernel.fit(nnx.merge(graph, jax.tree.map(jnp.copy, state)), batch, 30, jax.random.key(0))


@cache
def encoder(name):
    method, graph, state = built(name)

    def encode(frames):
        model = nnx.merge(graph, state)
        model.eval()
        return method.encode(model, frames).slots

    return jax.jit(encode)


@pytest.mark.parametrize("name", TRAINED)
def test_a_few_steps_lower_the_loss_on_a_fixed_batch_and_labels_are_read_by_ceilings_only(name):
    curve = fitted(name).curve
    assert np.isfinite(curve).all() and curve[-1][1] < curve[0][1]


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_the_first_layer_of_the_encoder_unless_nothing_is_trained(name):
    def first_layer(state):
        leaves = jax.tree_util.tree_leaves_with_path(state)
        return [np.asarray(leaf) for path, leaf in leaves if "conv1" in jax.tree_util.keystr(path)]

    before, after = first_layer(built(name)[2]), first_layer(nnx.state(fitted(name).model))
    assert before, "this data set's backbone begins with conv1"
    changed = any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert changed == methods.create(name).trains


@pytest.mark.parametrize("name", NAMES)
def test_encode_is_deterministic_and_gives_k_slots_a_frame(name):
    frames = SPLIT.read(SPLIT.data, jnp.arange(2)).frames
    slots = encoder(name)(frames)
    assert slots.shape[:3] == (2, tiny.CLIP, SPEC.num_slots)
    np.testing.assert_array_equal(slots, encoder(name)(frames))


@pytest.mark.parametrize("name", NAMES)
def test_slots_of_a_frame_do_not_depend_on_later_frames(name):
    frames = SPLIT.read(SPLIT.data, jnp.arange(2)).frames
    before, after = encoder(name)(frames), encoder(name)(frames.at[:, -1].set(0.5))
    np.testing.assert_allclose(before[:, :-1], after[:, :-1], rtol=1e-5, atol=1e-6)
    assert not np.allclose(before[:, -1], after[:, -1])


@pytest.mark.parametrize("name", NAMES)
def test_seeds_reproduce_and_differ(name):
    def weights(state):
        return [np.asarray(leaf) for leaf in jax.tree.leaves(state.filter(nnx.Param))]

    first = weights(built(name)[2])
    again = weights(nnx.split(create(name).build(SPEC, nnx.Rngs(0)))[1])
    other = weights(nnx.split(create(name).build(SPEC, nnx.Rngs(1)))[1])
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("name", [n for n in TRAINED if methods.create(n).context])
def test_predictions_are_made_from_the_past_and_present_only(name):
    method, graph, state = built(name)
    slots = encoder(name)(SPLIT.read(SPLIT.data, jnp.arange(2)).frames)
    actions = SPLIT.data["actions"][:2]
    predict = jax.jit(lambda slots: method.predict(nnx.merge(graph, state), slots, actions, 2))
    before, after = predict(slots), predict(slots.at[:, -1].add(1.0))
    assert before.shape == (2, tiny.CLIP, 2, *slots.shape[2:])
    np.testing.assert_array_equal(before[:, :-1], after[:, :-1])
    assert not np.allclose(before[:, -1], after[:, -1])
