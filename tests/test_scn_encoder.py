"""SCN's encoder and the whole losses of SCN, C-SWM and supervised against slow float64 versions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from flax import nnx

from benchmark.modules.scn_encoder import SCNEncoder
from benchmark.registry import methods
from benchmark.types import Batch, Labels

SPEC = tiny.Tiny().spec()


def convolve(x, conv, stride=1):
    """Valid convolution of one image [h w c], window by window."""
    kernel, bias = np.asarray(conv.kernel[...], float), np.asarray(conv.bias[...], float)
    size = kernel.shape[0]
    rows, columns = ((n - size) // stride + 1 for n in x.shape[:2])
    out = np.empty((rows, columns, kernel.shape[-1]))
    for i, j in np.ndindex(rows, columns):
        window = x[i * stride : i * stride + size, j * stride : j * stride + size]
        out[i, j] = np.tensordot(window, kernel, 3) + bias
    return out


def slow_slots(encoder, frame):
    """Three convolutions, K groups of consecutive channels, one head for all (Racah & Chandar 2020, section 4)."""
    x = np.maximum(convolve(frame, encoder.backbone.conv1, 4), 0)
    x = convolve(np.maximum(convolve(x, encoder.backbone.conv2, 2), 0), encoder.backbone.conv3, 2)
    slots = []
    for k in range(encoder.num_slots):
        group = x[..., k * encoder.group : (k + 1) * encoder.group]
        hidden = np.maximum(convolve(group, encoder.conv), 0).reshape(-1)
        slots.append(affine(hidden, encoder.linear))
    return np.array(slots)


def affine(x, linear):
    return x @ np.asarray(linear.kernel[...], float) + np.asarray(linear.bias[...], float)


@pytest.fixture(scope="module")
def frames():
    return jax.random.uniform(jax.random.key(0), (2, 2, *SPEC.frame_shape))


@pytest.mark.parametrize("num_slots", [1, 3])
def test_slots_come_from_consecutive_groups_of_feature_maps(frames, num_slots):
    encoder = SCNEncoder(SPEC, num_slots, 8, nnx.Rngs(0))
    assert encoder.group == 128 // num_slots
    slow = slow_slots(encoder, np.asarray(frames[1, 0], float))
    np.testing.assert_allclose(encoder(frames)[1, 0], slow, rtol=1e-3, atol=1e-4)


def test_kernels_start_orthogonal_with_gain_root_two():
    encoder = SCNEncoder(SPEC, 3, 8, nnx.Rngs(0))
    trunk = encoder.backbone
    for layer in (trunk.conv1, trunk.conv2, trunk.conv3, encoder.conv, encoder.linear):
        kernel = np.asarray(layer.kernel[...], float).reshape(-1, layer.kernel.shape[-1])
        np.testing.assert_allclose(kernel.T @ kernel, 2 * np.eye(kernel.shape[1]), atol=1e-4)


def test_the_sizes_at_210_by_160_are_the_papers():
    spec = SPEC.__class__(**{**SPEC.__dict__, "frame_shape": (210, 160, 3)})
    encoder = SCNEncoder(spec, 3, 32, nnx.Rngs(0))
    assert encoder.backbone(jnp.zeros((1, 210, 160, 3))).shape == (1, 11, 8, 128)
    assert encoder.linear.kernel.shape == (1134, 32) and encoder.conv.kernel.shape == (3, 3, 42, 21)


def log_softmax(x):
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_scn_compares_w_of_the_earlier_slots_with_the_later_ones_and_weighs_diversity(frames, weight):
    method = methods.create("scn", diversity_weight=weight, slot_size=4)
    model = method.build(SPEC, nnx.Rngs(0))
    loss, _ = method.loss(model, Batch(frames), jax.random.key(0))
    s = np.asarray(model.encoder(frames), float)
    w = affine(s[:, 0], model.bilinear)
    first = [log_softmax(w[n, k] @ s[:, 1, k].T)[n] for n in range(2) for k in range(2)]
    second = [log_softmax(w[n, k] @ s[n, 1].T)[k] for n in range(2) for k in range(2)]
    assert float(loss) == pytest.approx(-np.mean(first) - weight * np.mean(second), rel=1e-4)


def test_cswm_takes_the_action_between_the_two_frames(frames):
    method = methods.create("cswm")
    model = method.build(SPEC, nnx.Rngs(0))

    def loss(now, later):
        actions = jnp.array([[now, later], [now, later]], jnp.int32)
        return float(method.loss(model, Batch(frames, actions), jax.random.key(0))[0])

    assert loss(0, 1) == loss(0, 2)
    assert loss(0, 1) != loss(2, 1)


def test_cswm_predicts_with_the_action_of_each_frame_on_the_way():
    method = methods.create("cswm")
    model = method.build(SPEC, nnx.Rngs(0))
    slots = jax.random.normal(jax.random.key(1), (2, 4, SPEC.num_slots, 32))
    actions = jnp.array([[0, 1, 2, 1], [2, 0, 1, 0]], jnp.int32)
    found = method.predict(model, slots, actions, 3)
    for t in range(4):
        state = slots[:, t]
        for j in range(3):
            state = state + model.transition(state, actions[:, min(t + j, 3)])
            np.testing.assert_allclose(found[:, t, j], state, atol=1e-5)


def test_supervised_regresses_standardised_coordinates_of_object_j_from_slot_j(frames):
    method = methods.create("supervised", slot_size=4)
    model = method.build(SPEC, nnx.Rngs(0))
    model.mean, model.std = (10.0, 20.0, 30.0, 40.0), (1.0, 2.0, 0.0, 4.0)
    truth = jax.random.uniform(jax.random.key(3), (2, 2, 4)) * 60
    loss, _ = method.loss(model, Batch(frames, labels=Labels(truth)), jax.random.key(0))
    s = np.asarray(model.encoder(frames), float)
    out = affine(s, model.readout)
    terms = []
    for n, t in np.ndindex(2, 2):
        for p, (slot, axis) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
            target = (float(truth[n, t, p]) - model.mean[p]) / (model.std[p] or 1)
            error = abs(out[n, t, slot, axis] - target)
            terms.append(0.5 * error**2 if error < 1 else error - 0.5)
    assert float(loss) == pytest.approx(np.mean(terms), rel=1e-4)


@pytest.mark.parametrize("name", ["scn", "cswm", "random-cnn", "supervised"])
def test_there_are_as_many_slots_as_were_asked_for(name, frames):
    for asked, expected in ((None, SPEC.num_slots), (5, 5)):
        method = methods.create(name, num_slots=asked)
        model = nnx.eval_shape(lambda method=method: method.build(SPEC, nnx.Rngs(0)))
        slots = jax.eval_shape(lambda model, x, method=method: method.encode(model, x).slots, model, frames)
        assert slots.shape[2] == expected


def test_supervised_needs_a_slot_for_every_object():
    assert "2 objects" in methods.create("supervised", num_slots=1).supports(SPEC)
    assert methods.create("supervised").supports(SPEC) is None


@pytest.mark.parametrize("name", ["scn", "cswm", "random-cnn", "supervised"])
def test_more_slots_than_feature_maps_are_refused_with_the_numbers(name):
    assert "65 slots need 130 feature maps" in methods.create(name, num_slots=65).supports(SPEC)


@pytest.mark.parametrize("name", ["scn", "cswm", "random-cnn", "supervised"])
def test_slots_have_32_numbers_unless_told_otherwise(name):
    assert methods.create(name).slot_size == 32
