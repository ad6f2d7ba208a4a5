"""Contract tests over all registered methods: what a new method must keep, it is asked here without a new test."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from flax import nnx

import methods as _methods  # noqa: F401
from benchmark.registry import methods
from benchmark.training import Kernel, adam
from benchmark.types import Batch

SPEC = tiny.Tiny().spec()
SPLIT = tiny.TinySplit(0, 6)
SPLIT.data = jax.tree.map(jnp.asarray, SPLIT.data)
NAMES = [name for name in methods if methods.create(name).supports(SPEC) is None]


def built(name, seed=0):
    method = methods.create(name)
    return method, method.build(SPEC, nnx.Rngs(seed))


def batch_for(method, size=4) -> Batch:
    return SPLIT.sample(SPLIT.data, jax.random.key(1), size, method.window(SPEC))


@pytest.mark.parametrize("name", NAMES)
def test_loss_is_a_finite_scalar_with_finite_parts(name):
    method, model = built(name)
    loss, logs = method.loss(model, batch_for(method), jax.random.key(2))
    assert loss.shape == () and jnp.isfinite(loss)
    assert all(jnp.isfinite(value) for value in logs.values())


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_the_encoder_unless_nothing_is_trained(name):
    method, model = built(name)
    graph, state = nnx.split(model)
    batch = batch_for(method)
    gradients = jax.grad(lambda s: method.loss(nnx.merge(graph, s), batch, jax.random.key(2))[0])(state)
    first = jax.tree.leaves(gradients)[0]
    encoder = [
        leaf for path, leaf in jax.tree_util.tree_leaves_with_path(gradients) if "conv1" in jax.tree_util.keystr(path)
    ] or [first]
    assert any(bool(jnp.any(leaf != 0)) for leaf in encoder) == method.trains


@pytest.mark.parametrize("name", NAMES)
def test_encode_is_deterministic_and_gives_k_slots_a_frame(name):
    method, model = built(name)
    frames = SPLIT.read(SPLIT.data, jnp.arange(3)).frames
    model.eval()
    slots = method.encode(model, frames).slots
    assert slots.shape[:3] == (3, tiny.CLIP, SPEC.num_slots)
    np.testing.assert_array_equal(slots, method.encode(model, frames).slots)


@pytest.mark.parametrize("name", NAMES)
def test_slots_of_a_frame_do_not_depend_on_later_frames(name):
    method, model = built(name)
    model.eval()
    frames = SPLIT.read(SPLIT.data, jnp.arange(1)).frames
    changed = frames.at[:, -1].set(0.5)
    before, after = method.encode(model, frames).slots, method.encode(model, changed).slots
    np.testing.assert_allclose(before[:, :-1], after[:, :-1], rtol=1e-5, atol=1e-6)
    assert not np.allclose(before[:, -1], after[:, -1])


@pytest.mark.parametrize("name", NAMES)
def test_seeds_reproduce_and_differ(name):
    def weights(seed):
        return [np.asarray(leaf) for leaf in jax.tree.leaves(nnx.state(built(name, seed)[1], nnx.Param))]

    again = zip(weights(0), weights(0), strict=True)
    other = zip(weights(0), weights(1), strict=True)
    assert all(np.array_equal(a, b) for a, b in again)
    assert any(not np.array_equal(a, b) for a, b in other)


@pytest.mark.parametrize("name", [n for n in NAMES if not methods.entry(n)[0].reads_labels])
def test_labels_are_not_read(name):
    method, model = built(name)
    blind = batch_for(method)._replace(labels=None)
    loss, _ = method.loss(model, blind, jax.random.key(2))
    assert jnp.isfinite(loss)


@pytest.mark.parametrize("name", [n for n in NAMES if methods.entry(n)[0].trains])
def test_a_few_steps_lower_the_loss_on_a_fixed_batch(name):
    method, model = built(name)
    batch = batch_for(method)
    kernel = Kernel(method.loss, lambda data, key: data, adam(3e-4))
    fitted = kernel.fit(model, batch, 30, jax.random.key(0))
    assert fitted.curve[-1][1] < fitted.curve[0][1]
