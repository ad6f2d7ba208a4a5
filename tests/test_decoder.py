"""The spatial broadcast decoder, and the method whose loss it is."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from test_slot_attention import apply, array, randomised

from benchmark.modules.decoder import SpatialBroadcastDecoder, decoder_filters, frames_decoded, reduced, reduction
from benchmark.registry import methods
from benchmark.types import Batch, DatasetSpec
from methods import reconstruction

RNG = np.random.default_rng(0)
SPEC = DatasetSpec("small", (4, 6, 3), (-1.0, 1.0), 3, ("a", "b"), "pixelwise", clip_length=4, training_window=4)
FRAMES = jnp.asarray(RNG.normal(size=(4, 4, 4, 6, 3)), jnp.float32)


@pytest.fixture(scope="module")
def decoder():
    return randomised(SpatialBroadcastDecoder(SPEC, slot_size=5, filters=8, rngs=nnx.Rngs(0)))


@pytest.fixture(scope="module")
def slots():
    return jnp.asarray(RNG.normal(size=(2, 4, 3, 5)), jnp.float32)


def test_shapes_of_frames_and_masks(decoder, slots):
    decoded = apply(decoder, slots)
    assert decoded.frames.shape == (2, 4, 4, 6, 3)
    assert decoded.masks.shape == (2, 4, 3, 4, 6)


def test_masks_sum_to_one_over_slots(decoder, slots):
    np.testing.assert_allclose(np.asarray(apply(decoder, slots).masks).sum(2), 1, rtol=1e-5)


def slow_convolution(layer, x):
    """5x5, zero padding, one tap after the other; x: [h w c]."""
    kernel, padded = array(layer.kernel), np.pad(x, ((2, 2), (2, 2), (0, 0)))
    height, width, _ = x.shape
    taps = (padded[i : i + height, j : j + width] @ kernel[i, j] for i, j in np.ndindex(5, 5))
    return sum(taps) + array(layer.bias)


def test_decoder_equals_a_slow_version(decoder, slots):
    rows, columns = np.meshgrid(np.linspace(-1, 1, 4), np.linspace(-1, 1, 6), indexing="ij")
    outputs = []
    for slot in np.asarray(slots[1, 2], np.float64):
        x = np.concatenate([np.broadcast_to(slot, (4, 6, 5)), rows[..., None], columns[..., None]], -1)
        for layer in decoder.convolutions[:4]:
            x = slow_convolution(layer, x)
            x = np.where(x > 0, x, np.expm1(np.minimum(x, 0)))
        outputs.append(slow_convolution(decoder.convolutions[4], x))
    logits, colours = np.stack(outputs)[..., :1], np.stack(outputs)[..., 1:]
    weights = np.exp(logits - logits.max(0)) / np.exp(logits - logits.max(0)).sum(0)
    decoded = apply(decoder, slots)
    np.testing.assert_allclose(decoded.frames[1, 2], (weights * colours).sum(0), rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(decoded.masks[1, 2], weights[..., 0], rtol=2e-3, atol=2e-3)


def test_the_order_of_slots_does_not_change_the_frame(decoder, slots):
    np.testing.assert_allclose(
        apply(decoder, slots[:, :, ::-1]).frames, apply(decoder, slots).frames, rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize(
    ("slots", "frames", "pixels", "half"),
    [
        (4, 256, 16_384, 128),
        (7, 256, 2_400, 50),
        (8, 256, 2_400, 25),
        (13, 256, 2_400, 16),
        (4, 10, 2_400, 5),
        (4, 256, 10, 1),
        (4, None, 2_400, None),
    ],
)
def test_half_of_the_decoded_frames_are_from_slots_and_a_pixel_counts_as_more_with_many_slots(
    decoder, slots, frames, pixels, half
):
    assert frames_decoded(decoder, slots, frames, pixels) == half


def test_small_frames_have_16_filters_and_larger_ones_32():
    assert decoder_filters(replace(SPEC, frame_shape=(5, 5, 3))) == 16
    assert decoder_filters(replace(SPEC, frame_shape=(32, 32, 3))) == 32


@pytest.fixture(scope="module")
def trained():
    method = methods.create("reconstruction", decoded_frames=None)
    return method, method.build(SPEC, nnx.Rngs(0))


def test_reconstruction_is_the_squared_error_of_slots_and_of_predictions(trained):
    method, model = trained
    loss, logs = jax.jit(lambda frames: method.loss(model, Batch(frames), jax.random.key(0)))(FRAMES)
    s = apply(model.encoder, FRAMES).slots
    p = apply(model.transition, s[:, :-2], s[:, 1:-1])
    errors = [np.square(np.asarray(apply(model.decoder, x).frames) - FRAMES[:, -x.shape[1] :]).mean() for x in (s, p)]
    assert [logs["mse_s"], logs["mse_p"]] == pytest.approx(errors, rel=1e-5)
    assert loss == pytest.approx(sum(errors), rel=1e-5)


def test_a_sample_of_the_frames_has_the_same_mean_error(trained):
    method, model = trained
    some = replace(method, decoded_frames=8)
    loss = jax.jit(lambda key: some.loss(model, Batch(FRAMES), key)[0])
    samples = [float(loss(jax.random.key(i))) for i in range(300)]
    assert np.std(samples) > 0
    expected = float(jax.jit(lambda frames: method.loss(model, Batch(frames), jax.random.key(0))[0])(FRAMES))
    assert np.mean(samples) == pytest.approx(expected, rel=0.02)


def test_pixels_train_encoder_transition_and_decoder(trained):
    method, model = trained
    graph, state = nnx.split(model)
    loss = lambda state: method.loss(nnx.merge(graph, state), Batch(FRAMES), jax.random.key(0))[0]  # noqa: E731
    gradients = jax.jit(jax.grad(loss))(state)
    assert all(bool(jnp.any(leaf != 0)) for leaf in jax.tree.leaves(gradients))


def test_a_decoder_has_the_filters_that_were_asked_for():
    for asked, expected in ((None, 16), (6, 6)):
        method = methods.create("reconstruction", filters=asked)
        decoder = nnx.eval_shape(lambda method=method: method.build(SPEC, nnx.Rngs(0))).decoder
        assert [layer.out_features for layer in decoder.convolutions] == [*[expected] * 4, 4]


def test_frames_too_large_to_paint_are_halved_until_they_are_not():
    atari = replace(SPEC, frame_shape=(210, 160, 3))
    assert [reduction(atari, pixels) for pixels in (210 * 160, 64 * 64, 53 * 40, 53 * 40 - 1)] == [1, 4, 4, 8]
    assert reduction(replace(SPEC, frame_shape=(64, 64, 3)), methods.create("reconstruction").max_pixels) == 1
    assert all(methods.create("reconstruction").supports(spec) is None for spec in (SPEC, atari))


def test_a_reduced_pixel_is_the_mean_of_those_that_it_covers():
    frames, small = np.asarray(FRAMES[0], np.float64), np.asarray(reduced(FRAMES[0], 4))
    assert small.shape == (4, 1, 2, 3)
    np.testing.assert_allclose(small[:, 0, 0], frames[:, :, :4].mean((1, 2)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(small[:, 0, 1], frames[:, :, 4:].mean((1, 2)), rtol=1e-4, atol=1e-6)


@pytest.fixture(scope="module")
def painting_small():
    method = methods.create("reconstruction", decoded_frames=None, max_pixels=10)
    return method, method.build(SPEC, nnx.Rngs(0))


def test_reconstruction_of_large_frames_is_the_error_of_reduced_ones(painting_small):
    method, model = painting_small
    loss = jax.jit(lambda frames: method.loss(model, Batch(frames), jax.random.key(0))[0])(FRAMES)
    s = apply(model.encoder, FRAMES).slots
    p = apply(model.transition, s[:, :-2], s[:, 1:-1])
    target = np.asarray(FRAMES).reshape(4, 4, 2, 2, 3, 2, 3).mean((3, 5))
    errors = [np.square(np.asarray(apply(model.decoder, x).frames) - target[:, -x.shape[1] :]).mean() for x in (s, p)]
    assert loss == pytest.approx(sum(errors), rel=1e-4)


def test_decoded_frames_have_the_size_of_the_data_sets_though_painted_smaller(painting_small):
    method, model = painting_small
    slots = jnp.asarray(RNG.normal(size=(2, 3, 16)), jnp.float32)
    small, decoded = apply(model.decoder, slots), jax.jit(lambda slots: method.decode(model, slots))(slots)
    assert small.frames.shape == (2, 2, 3, 3) and decoded.frames.shape == (2, 4, 6, 3)
    assert decoded.masks.shape == (2, 3, 4, 6)
    for y, x in np.ndindex(4, 6):
        np.testing.assert_allclose(decoded.frames[:, y, x], small.frames[:, y // 2, x // 2], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(decoded.masks[..., y, x], small.masks[..., y // 2, x // 2], rtol=1e-4)


@pytest.mark.parametrize(("size", "num_slots", "half"), [((210, 160), 3, 3), ((210, 160), 18, 1), ((5, 5), 7, 128)])
def test_fewer_frames_are_decoded_where_they_or_the_slots_are_many(size, num_slots, half, monkeypatch):
    counts = []
    told = lambda decoder, s, frames, count, key: counts.append(count) or jnp.zeros(())  # noqa: E731
    monkeypatch.setattr(reconstruction, "sampled_error", told)
    spec, method = replace(SPEC, frame_shape=(*size, 3), num_slots=num_slots), methods.create("reconstruction")
    model = nnx.eval_shape(lambda: method.build(spec, nnx.Rngs(0)))
    frames = jax.ShapeDtypeStruct((2, 4, *size, 3), jnp.float32)
    jax.eval_shape(lambda model, frames: method.loss(model, Batch(frames), jax.random.key(0))[0], model, frames)
    assert counts == [half, half]
