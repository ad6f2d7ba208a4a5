"""Slot Attention and FM-MLP against slow NumPy versions, and what each encoder may and may not see."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from benchmark.modules.fm_mlp import FeatureMapEncoder
from benchmark.modules.position import PositionedFeatures, position_grid
from benchmark.modules.slot_attention import GaussianSlots, LearnedSlots, SlotAttention, SlotAttentionEncoder
from benchmark.types import DatasetSpec

RNG = np.random.default_rng(0)


def spec(shape=(5, 6, 3), backbone="pixelwise"):
    return DatasetSpec("small", shape, (-1.0, 1.0), 4, ("a", "b"), backbone, clip_length=3, training_window=3)


def randomised(module):
    """Every parameter random, so that no scale of one or bias of zero hides a mistake."""
    graph, state = nnx.split(module)
    noise = jax.tree.map(lambda x: x + 0.5 * RNG.normal(size=x.shape).astype(np.float32), state)
    return nnx.merge(graph, noise)


@partial(jax.jit, static_argnums=0)
def _apply(graph, state, *inputs):
    return nnx.merge(graph, state)(*inputs)


def apply(module, *inputs):
    """The module's output, compiled once for all modules of its kind."""
    return _apply(*nnx.split(module), *inputs)


def array(parameter) -> np.ndarray:
    return np.asarray(parameter[...], np.float64)


def linear(layer, x):
    return x @ array(layer.kernel) + (array(layer.bias) if layer.bias is not None else 0)


def layer_norm(layer, x):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt(np.square(centred).mean(-1, keepdims=True) + 1e-6) * array(layer.scale) + array(layer.bias)


def mlp(module, x):
    return linear(module.linear2, np.maximum(linear(module.linear1, x), 0))


def gru(cell, update, state):
    size = state.shape[-1]
    i, h = linear(cell.dense_i, update), linear(cell.dense_h, state)
    (i_r, i_z, i_n), (h_r, h_z, h_n) = ([x[..., g * size : (g + 1) * size] for g in range(3)] for x in (i, h))
    sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    r, z = sigmoid(i_r + h_r), sigmoid(i_z + h_z)
    return (1 - z) * np.tanh(i_n + r * h_n) + z * state


def slow_slot_attention(module, features, slots, iterations):
    """One frame: features [n f], slots [k d]; every slot and position in a loop of its own."""
    (n, _), (num_slots, size) = features.shape, slots.shape
    inputs = layer_norm(module.norm_features, features)
    keys, values = linear(module.key, inputs), linear(module.value, inputs)
    for _ in range(iterations):
        queries = linear(module.query, layer_norm(module.norm_slots, slots))
        a = np.zeros((num_slots, n))
        for i in range(n):
            scores = np.array([keys[i] @ queries[k] / np.sqrt(size) for k in range(num_slots)])
            a[:, i] = np.exp(scores) / np.exp(scores).sum()
        updates = np.array([sum((row[i] + 1e-8) * values[i] for i in range(n)) / (row + 1e-8).sum() for row in a])
        slots = gru(module.gru, updates, slots)
        slots = slots + mlp(module.mlp, layer_norm(module.norm_mlp, slots))
    return slots, a


@pytest.fixture(scope="module")
def attention():
    return randomised(SlotAttention(num_features=7, slot_size=6, iterations=1, rngs=nnx.Rngs(0)))


@pytest.fixture(scope="module")
def inputs():
    return RNG.normal(size=(2, 3, 10, 7)).astype(np.float32), RNG.normal(size=(2, 3, 4, 6)).astype(np.float32)


@pytest.mark.parametrize("iterations", [1, 3])
def test_slot_attention_equals_a_slow_version(attention, inputs, iterations):
    attention.iterations = iterations
    slots, masks = apply(attention, *inputs)
    attention.iterations = 1
    for frame in np.ndindex(2, 3):
        features, start = (np.asarray(x[frame], np.float64) for x in inputs)
        expected_slots, expected_masks = slow_slot_attention(attention, features, start, iterations)
        np.testing.assert_allclose(slots[frame], expected_slots, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(masks[frame], expected_masks, rtol=1e-4, atol=1e-6)


def test_masks_sum_to_one_over_slots(attention, inputs):
    np.testing.assert_allclose(apply(attention, *inputs)[1].sum(-2), 1, rtol=1e-5)


def test_slots_follow_their_initial_slots_and_ignore_the_order_of_positions(attention, inputs):
    features, start = inputs
    slots, masks = apply(attention, features, start)
    order, places = np.array([2, 0, 3, 1]), RNG.permutation(10)
    again, other_masks = apply(attention, features[:, :, places], start[:, :, order])
    np.testing.assert_allclose(again, slots[:, :, order], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(other_masks, masks[:, :, order][..., places], rtol=1e-4, atol=1e-6)


def test_position_grid_runs_from_low_to_high_along_rows_and_columns():
    grid = position_grid(3, 5, -1.0, 1.0)
    assert grid.shape == (3, 5, 2)
    assert grid[:, 0, 0].tolist() == [-1, 0, 1] and grid[0, :, 1].tolist() == [-1, -0.5, 0, 0.5, 1]


def test_features_are_the_papers_and_mix_no_positions():
    features = randomised(PositionedFeatures(spec(), nnx.Rngs(0)))
    frames = RNG.normal(size=(2, 5, 6, 3)).astype(np.float32)
    where = np.stack(np.meshgrid(np.linspace(0, 1, 5), np.linspace(0, 1, 6), indexing="ij"), -1)
    h1 = mlp(features.backbone.mlp, frames.astype(np.float64)) + linear(features.linear, where)
    expected = mlp(features.mlp, layer_norm(features.norm, h1)).reshape(2, 30, 32)
    np.testing.assert_allclose(apply(features, frames), expected, rtol=1e-3, atol=1e-4)
    frames[0, 1, 2] += 1
    changed = np.abs(np.asarray(apply(features, frames)) - expected).max(-1) > 1e-2
    assert np.argwhere(changed).tolist() == [[0, 1 * 6 + 2]]


def test_the_number_of_parameters_does_not_count_the_position_grid():
    names = {
        jax.tree_util.keystr(path)
        for path, _ in jax.tree_util.tree_leaves_with_path(
            nnx.state(PositionedFeatures(spec(), nnx.Rngs(0)), nnx.Param)
        )
    }
    assert len(names) == 4 + 2 + 2 + 4


@pytest.mark.parametrize(
    ("shape", "backbone", "positions"), [((5, 6, 3), "pixelwise", 30), ((84, 84, 3), "nature_cnn", 9)]
)
def test_slot_attention_reads_any_backbone(shape, backbone, positions):
    initial = LearnedSlots(4, 16, nnx.Rngs(1))
    encoder = SlotAttentionEncoder(spec(shape, backbone), initial, 16, 1, nnx.Rngs(0))
    slots, masks = jax.eval_shape(encoder, jax.ShapeDtypeStruct((2, 3, *shape), "float32"))
    assert slots.shape == (2, 3, 4, 16) and masks.shape == (2, 3, 4, positions)


def test_learned_slots_start_alike_in_every_sequence():
    initial = LearnedSlots(4, 16, nnx.Rngs(0))
    start = initial(3, jax.random.key(0))
    np.testing.assert_array_equal(start, initial.slots[...][None])


def test_gaussian_slots_are_mu_plus_noise_times_sigma_and_fixed_without_a_key():
    initial = GaussianSlots(4, 16, nnx.Rngs(0))
    initial.sigma[...] = jnp.linspace(0.1, 2, 16)
    draws = initial(2000, jax.random.key(0))
    np.testing.assert_allclose(draws.mean((0, 1)), initial.mu[...], atol=0.15)
    np.testing.assert_allclose(draws.std((0, 1)), initial.sigma[...], rtol=0.1)
    assert len({row.tobytes() for row in np.asarray(draws[:, 0])}) == 2000
    assert initial(3, None).shape == (1, 4, 16)
    np.testing.assert_array_equal(initial(3, None), initial(1, None))


def test_random_initial_slots_differ_between_sequences_with_a_key_and_stay_all_along_one():
    encoder = SlotAttentionEncoder(spec(), GaussianSlots(4, 16, nnx.Rngs(0)), 16, 1, nnx.Rngs(1))
    still = jnp.broadcast_to(jnp.asarray(RNG.normal(size=(5, 6, 3)), jnp.float32), (2, 3, 5, 6, 3))
    drawn, fixed = encoder(still, jax.random.key(0)).slots, encoder(still).slots
    assert np.abs(drawn[0] - drawn[1]).max() > 0.1
    np.testing.assert_allclose(drawn[:, 1:], drawn[:, :1].repeat(2, 1), atol=1e-5)
    np.testing.assert_allclose(fixed[0], fixed[1], atol=1e-5)


def test_slots_that_all_frames_share_are_updated_like_as_many_copies():
    attention = randomised(SlotAttention(8, 16, 2, nnx.Rngs(0)))
    features = RNG.normal(size=(2, 3, 10, 8)).astype(np.float32)
    shared = RNG.normal(size=(1, 1, 4, 16)).astype(np.float32)
    copies = np.broadcast_to(shared, (2, 3, 4, 16))
    for one, other in zip(apply(attention, features, shared), apply(attention, features, copies), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_fm_mlp_makes_every_slot_from_its_own_map():
    encoder = randomised(FeatureMapEncoder(spec(), 4, 16, nnx.Rngs(0)))
    frames = RNG.normal(size=(1, 2, 5, 6, 3)).astype(np.float32)
    maps = linear(encoder.linear, np.asarray(apply(encoder.features, frames), np.float64))
    expected = np.stack([mlp(encoder.mlp, maps[..., k]) for k in range(4)], axis=2)
    slots, masks = apply(encoder, frames)
    np.testing.assert_allclose(slots, expected, rtol=1e-3, atol=1e-4)
    assert masks is None


def test_slots_start_apart_else_they_would_stay_alike_for_ever():
    """Learned slots are drawn from N(0, 1); those of random initial slots have a sigma of 1 to begin with."""
    np.testing.assert_allclose(LearnedSlots(500, 16, nnx.Rngs(0)).slots[...].std(), 1, rtol=0.05)
    random = GaussianSlots(500, 16, nnx.Rngs(0))
    np.testing.assert_allclose((random(1, None) - random.mu[...]).std(), 1, rtol=0.05)


def test_mlps_that_make_slots_have_128_hidden_units():
    spec = DatasetSpec("small", (5, 6, 3), (0.0, 1.0), 4, (), "pixelwise", 4, 4)
    maps = nnx.eval_shape(lambda: FeatureMapEncoder(spec, 4, 16, nnx.Rngs(0)))
    attention = nnx.eval_shape(lambda: SlotAttention(32, 16, 1, nnx.Rngs(0)))
    assert maps.mlp.linear1.out_features == attention.mlp.linear1.out_features == 128
