"""C-SWM's encoder on its three backbones against slow float64 versions, and whose action a slot sees."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny
from flax import nnx

from benchmark.errors import UserError
from benchmark.modules.cswm_backbones import CSWMSmall
from benchmark.modules.cswm_encoder import MAPS, CSWMEncoder
from benchmark.modules.scn_encoder import SCNEncoder
from benchmark.modules.slot_encoder import slot_encoder
from benchmark.registry import methods
from benchmark.training import Kernel

SPEC = replace(tiny.Tiny().spec(), frame_shape=(10, 20, 3), num_actions=6, actions_per_object=3, slot_size=2)


def on(backbone):
    return replace(SPEC, backbone=backbone)


def filled(build):
    """A model with random numbers everywhere: to initialise it would be to compile a program."""
    graph, state = nnx.split(nnx.eval_shape(build))
    random = np.random.default_rng(0)
    return nnx.merge(graph, jax.tree.map(lambda x: jnp.asarray(random.normal(0, 0.2, x.shape), x.dtype), state))


def encoder_on(name):
    return filled(lambda: CSWMEncoder(on(name), 2, 4, nnx.Rngs(0)))


def output_of(network, frames):
    return np.asarray(jax.jit(lambda x: nnx.clone(network)(x))(jnp.asarray(frames)))


def convolve(x, conv, step=1):
    """One image [h w c], padded so that every pixel has its window where the step is 1."""
    kernel, bias = np.asarray(conv.kernel[...], float), np.asarray(conv.bias[...], float)
    size = kernel.shape[0]
    pad = (size - 1) // 2 if step == 1 else 0
    x = np.pad(x, ((pad, pad), (pad, pad), (0, 0)))
    rows, columns = ((n - size) // step + 1 for n in x.shape[:2])
    out = np.empty((rows, columns, kernel.shape[-1]))
    for i, j in np.ndindex(rows, columns):
        out[i, j] = np.tensordot(x[i * step : i * step + size, j * step : j * step + size], kernel, 3) + bias
    return out


def normalise(x, norm):
    """By the statistics of these images, as in training."""
    return scaled((x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + norm.epsilon), norm)


def scaled(x, norm):
    return x * np.asarray(norm.scale[...], float) + np.asarray(norm.bias[...], float)


def slow_features(backbone, name, frames):
    x = frames
    if name == "cswm_small":
        return np.maximum(normalise(np.stack([convolve(f, backbone.conv1, 10) for f in x]), backbone.norm1), 0)
    if name == "cswm_medium":
        x = normalise(np.stack([convolve(f, backbone.conv1) for f in x]), backbone.norm1)
        return np.where(x > 0, x, 0.01 * x)
    for conv, norm in ((backbone.conv1, backbone.norm1), (backbone.conv2, backbone.norm2)):
        x = np.maximum(normalise(np.stack([convolve(f, conv) for f in x]), norm), 0)
    return np.maximum(normalise(np.stack([convolve(f, backbone.conv3) for f in x]), backbone.norm3), 0)


def affine(x, linear):
    return x @ np.asarray(linear.kernel[...], float) + np.asarray(linear.bias[...], float)


@pytest.mark.parametrize("name", MAPS)
def test_a_slot_is_made_of_a_map_that_is_made_of_the_backbones_features(name):
    encoder = encoder_on(name)
    frames = np.random.default_rng(0).random((2, 10, 20, 3)).astype(np.float32)
    features = slow_features(encoder.backbone, name, frames.astype(float))
    maps = [1 / (1 + np.exp(-convolve(f, encoder.to_maps, MAPS[name][1]))) for f in features]
    flat = np.stack(maps).transpose(0, 3, 1, 2).reshape(2, 2, -1)
    hidden = affine(np.maximum(affine(flat, encoder.linear1), 0), encoder.linear2)
    mean, var = hidden.mean(-1, keepdims=True), hidden.var(-1, keepdims=True)
    hidden = scaled((hidden - mean) / np.sqrt(var + encoder.norm.epsilon), encoder.norm)
    slow = affine(np.maximum(hidden, 0), encoder.linear3)
    np.testing.assert_allclose(output_of(encoder, frames), slow, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("name", "grid"), [("cswm_small", 5), ("cswm_medium", 10), ("cswm_large", 50)])
def test_the_maps_at_50_by_50_have_the_papers_sizes(name, grid):
    spec = replace(on(name), frame_shape=(50, 50, 6))
    encoder = nnx.eval_shape(lambda: CSWMEncoder(spec, 3, 4, nnx.Rngs(0)))
    assert encoder.linear1.kernel.shape == (grid**2, 512)
    assert encoder.linear2.kernel.shape == (512, 512) and encoder.linear3.kernel.shape == (512, 4)


def test_frames_too_small_for_the_backbone_are_a_mistake():
    spec = replace(on("cswm_small"), frame_shape=(8, 8, 3))
    with pytest.raises(UserError, match=r"of frames of 8x8 cswm_small leaves 0x0 positions"):
        CSWMEncoder(spec, 3, 4, nnx.Rngs(0))


def test_the_backbone_says_whose_encoder_it_is():
    for name, kind in (("cswm_small", CSWMEncoder), ("pixelwise", SCNEncoder)):
        made = nnx.eval_shape(lambda name=name: slot_encoder(on(name), 2, 4, nnx.Rngs(0)))
        assert isinstance(made, kind)


def test_training_moves_the_running_averages_and_evaluation_uses_them():
    backbone = filled(lambda: CSWMSmall(SPEC, nnx.Rngs(0)))
    frames = jax.random.uniform(jax.random.key(0), (8, 10, 20, 3))
    kernel = Kernel(lambda model, batch, key: (model(batch).sum(), {}), lambda data, key: data, optax.sgd(0.0))
    fitted = kernel.fit(backbone, frames, 100, jax.random.key(0)).model
    trained = output_of(fitted, frames)
    fitted.eval()
    # Nothing was learned and the batch never changed: by now its statistics are the averages, for a frame alone too.
    np.testing.assert_allclose(output_of(fitted, frames[:1]), trained[:1], rtol=1e-3, atol=1e-3)


def test_a_step_weighs_the_running_averages_nine_to_one():
    backbone = filled(lambda: CSWMSmall(SPEC, nnx.Rngs(0)))
    frames = jax.random.uniform(jax.random.key(0), (8, 10, 20, 3))
    before, features = np.asarray(backbone.norm1.mean[...]), backbone.conv1(frames)
    backbone(frames)
    expected = 0.9 * before + 0.1 * np.asarray(features, float).mean((0, 1, 2))
    np.testing.assert_allclose(backbone.norm1.mean[...], expected, rtol=1e-4, atol=1e-6)


def changes(method, spec):
    """The predicted change [a k d] of equal slots by every action: only the action tells slots apart."""
    model = filled(lambda: method.build(spec, nnx.Rngs(0)))
    actions = jnp.arange(spec.num_actions)
    slots = jnp.ones((len(actions), spec.num_slots, 2))
    return np.asarray(jax.jit(lambda s, a: nnx.clone(model).transition(s, a))(slots, actions))


def test_an_action_upon_an_object_goes_to_its_slot_alone():
    method, spec = methods.create("cswm", slot_size=None, hidden=8), on("cswm_small")
    by = changes(method, spec)
    for first, second, slot in ((0, 1, 0), (1, 2, 0), (3, 4, 1), (4, 5, 1)):
        moved = np.abs(by[first] - by[second]).max(-1) > 1e-6
        assert moved.tolist() == [s == slot for s in range(2)]
    # Direction d of object 0 is to slot 0 what direction d of object 1 is to slot 1.
    np.testing.assert_allclose(by[1][0], by[4][1], rtol=1e-4)


def test_other_actions_are_copied_to_every_slot():
    method, spec = methods.create("cswm", slot_size=None, hidden=8), replace(on("cswm_small"), actions_per_object=0)
    by = changes(method, spec)
    assert (np.abs(by[0] - by[1]).max(-1) > 1e-6).all()
    np.testing.assert_allclose(by[:, 0], by[:, 1], rtol=1e-4)


def test_with_another_number_of_slots_than_objects_every_slot_sees_the_whole_action():
    method = methods.create("cswm", slot_size=None, hidden=8, num_slots=3)
    more = nnx.eval_shape(lambda: method.build(on("cswm_small"), nnx.Rngs(0)))
    assert more.gnn.node_in.kernel.shape[0] == 2 + 6 + 8


def test_a_slot_size_that_no_data_set_gives_is_a_reason_to_skip():
    method = methods.create("cswm", slot_size=None)
    assert "slot_size" in method.supports(replace(SPEC, slot_size=None))
    assert method.supports(on("cswm_small")) is None


@pytest.mark.parametrize(("name", "size"), [("cswm_small", 1), ("cswm_medium", 5), ("cswm_large", 3)])
def test_maps_are_made_by_convolutions_of_the_papers_sizes(name, size):
    spec = replace(tiny.Tiny().spec(), frame_shape=(50, 50, 3), backbone=name)
    encoder = nnx.eval_shape(lambda: CSWMEncoder(spec, 3, 4, nnx.Rngs(0)))
    assert encoder.to_maps.kernel_size == (size, size)
