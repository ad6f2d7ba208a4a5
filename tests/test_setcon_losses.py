"""The contrastive losses of SetCon and slotwise against float64 double loops, and the transition and set encoder."""

from functools import partial
from math import exp, log

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from test_slot_attention import apply, layer_norm, linear, mlp, randomised

from benchmark.errors import UserError
from benchmark.modules import cross_entropy
from benchmark.modules.fused_cross_entropy import log_partitions
from benchmark.modules.info_nce import in_shards, info_nce
from benchmark.modules.set_encoder import SetEncoder
from benchmark.modules.transition import LinearTransition
from benchmark.registry import methods
from benchmark.types import Batch, DatasetSpec
from methods import reconstruction, setcon  # noqa: F401
from methods.slotwise import slotwise_info_nce

RNG = np.random.default_rng(0)
SPEC = DatasetSpec("small", (4, 4, 3), (-1.0, 1.0), 4, ("a", "b"), "pixelwise", clip_length=5, training_window=5)
FRAMES = jnp.asarray(RNG.normal(size=(6, 5, 4, 4, 3)), jnp.float32)


def normal(*shape):
    return jnp.asarray(RNG.normal(size=shape), jnp.float32)


def slow_info_nce(z_p, z_s, tau):
    """Eq. 2 with one loop over anchors and one over candidates."""
    z_p, z_s = np.asarray(z_p, np.float64), np.asarray(z_s, np.float64)
    (b, u, _), t = z_p.shape, z_s.shape[1]
    terms = []
    for i, step in np.ndindex(b, u):
        g = lambda z: exp(float(z_p[i, step] @ z) / tau)  # noqa: B023, E731
        candidates = sum(g(z_s[j, s]) for j, s in np.ndindex(b, t))
        candidates += sum(g(z_p[j, s]) for j, s in np.ndindex(b, u) if (j, s) != (i, step))
        terms.append(-log(g(z_s[i, t - u + step]) / candidates))
    return np.mean(terms)


@pytest.mark.parametrize(("tau", "batch"), [(0.5, 5), (1.0, 5), (0.5, 50), (0.5, 53)])
def test_info_nce_is_eq_2_of_the_paper(tau, batch):
    """Whether the anchors are taken at once, in blocks that cut across time steps (75 of 150), or a step at a time."""
    z_p, z_s = normal(batch, 3, 4), normal(batch, 5, 4)
    assert info_nce(z_p, z_s, tau) == pytest.approx(slow_info_nce(z_p, z_s, tau), rel=1e-5)


def test_slotwise_is_eq_2_for_each_slot_index_by_itself():
    p, s = normal(4, 3, 2, 4), normal(4, 5, 2, 4)
    expected = np.mean([slow_info_nce(p[:, :, k], s[:, :, k], 0.5) for k in range(2)])
    assert slotwise_info_nce(p, s, 0.5) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("batch", "frames", "expected"), [(1024, 8, 9.570), (128, 12, 7.943)])
def test_loss_is_log_candidates_when_slots_are_constant(batch, frames, expected):
    z_p, z_s = jnp.ones((batch, frames - 2, 16)), jnp.ones((batch, frames, 16))
    loss = jax.jit(partial(info_nce, tau=0.5))(z_p, z_s)
    assert loss == pytest.approx(log(batch * frames + batch * (frames - 2) - 1), rel=1e-6)
    assert loss == pytest.approx(expected, abs=5e-4)


def test_a_batch_of_1024_needs_no_more_memory_than_its_logits():
    shapes = jax.ShapeDtypeStruct((1024, 6, 16), "float32"), jax.ShapeDtypeStruct((1024, 8, 16), "float32")
    compiled = jax.jit(jax.grad(partial(info_nce, tau=0.5), argnums=(0, 1))).lower(*shapes).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 6144 * 14336 * 4


def test_large_vectors_give_finite_losses_and_gradients():
    z_p, z_s = 100 * normal(4, 3, 8), 100 * normal(4, 5, 8)
    loss, gradients = jax.value_and_grad(partial(info_nce, tau=0.5), argnums=(0, 1))(z_p, z_s)
    assert jnp.isfinite(loss) and all(jnp.isfinite(g).all() for g in gradients)


def test_gradients_flow_through_both_sides_and_are_those_of_the_formula():
    z_p, z_s = normal(2, 1, 3), normal(2, 3, 3)
    with jax.enable_x64(True):
        both = jnp.asarray(z_p, jnp.float64), jnp.asarray(z_s, jnp.float64)
        gradients = jax.grad(partial(info_nce, tau=0.5), argnums=(0, 1))(*both)
    for side, gradient in enumerate(gradients):
        for index in np.ndindex(gradient.shape):
            values = []
            for step in (1e-5, -1e-5):
                moved = [np.array(z, np.float64) for z in both]
                moved[side][index] += step
                values.append(slow_info_nce(*moved, 0.5))
            assert gradient[index] == pytest.approx((values[0] - values[1]) / 2e-5, abs=1e-6)


def test_gradients_made_in_several_blocks_are_those_of_all_logits_at_once():
    z_p, z_s = normal(50, 3, 4), normal(50, 5, 4)

    def at_once(z_p, z_s):
        anchors, candidates = z_p.reshape(-1, 4), jnp.concatenate([z_p.reshape(-1, 4), z_s.reshape(-1, 4)])
        logits = anchors @ candidates.T / 0.5
        others = jnp.where(jnp.eye(*logits.shape, dtype=bool), -jnp.inf, logits)
        positives = (anchors * z_s[:, 2:].reshape(-1, 4)).sum(-1) / 0.5
        return (jax.nn.logsumexp(others, axis=-1) - positives).mean()

    found, expected = (jax.grad(f, argnums=(0, 1))(z_p, z_s) for f in (partial(info_nce, tau=0.5), at_once))
    for gradient, slow in zip(found, expected, strict=True):
        np.testing.assert_allclose(gradient, slow, atol=1e-6)


@pytest.mark.parametrize(("n", "m", "d"), [(96, 224, 16), (7, 16, 5), (130, 300, 24)])
def test_the_kernels_of_a_gpu_give_partitions_and_gradients_of_the_formula(n, m, d):
    """Of one block and of several, full or not, at widths that the matrix units have or not; run step by step here."""
    candidates = RNG.normal(size=(m, d))
    logits = candidates[:n] @ candidates.T
    np.fill_diagonal(logits, -np.inf)
    partitions = np.log(np.exp(logits).sum(1))
    weights = np.exp(logits - partitions[:, None])
    anchors, candidates = jnp.asarray(candidates[:n], jnp.float32), jnp.asarray(candidates, jnp.float32)
    several = jax.vmap(partial(log_partitions, interpret=True))(anchors[None], candidates[None])
    for found in (log_partitions(anchors, candidates, interpret=True), [array[0] for array in several]):
        np.testing.assert_allclose(found[0], partitions, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(found[1], weights @ candidates, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found[2], weights.T @ anchors, rtol=1e-4, atol=1e-5)


def test_the_loss_and_its_gradients_on_a_gpu_are_those_block_by_block(monkeypatch):
    monkeypatch.setattr(cross_entropy, "log_partitions", partial(log_partitions, interpret=True))
    candidates, positives = (jnp.asarray(RNG.normal(size=(n, 5)), jnp.float32) for n in (20, 12))
    given = candidates[:12].reshape(3, 4, 5), positives.reshape(3, 4, 5), candidates
    (loss, gradients), (expected, slow) = cross_entropy._on_a_gpu(*given), cross_entropy._block_by_block(*given)
    assert loss == pytest.approx(float(expected), rel=1e-5)
    for found, one in zip(gradients, slow, strict=True):
        np.testing.assert_allclose(found, one, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["setcon", "slotwise"])
def test_shards_see_no_candidates_but_their_own(name):
    method, alone = methods.create(name, negatives_per_shard=3), methods.create(name)
    model = method.build(SPEC, nnx.Rngs(0))
    shard_loss = jax.jit(lambda frames: alone.loss(model, Batch(frames), jax.random.key(0))[0])
    halves = [shard_loss(FRAMES[:3]), shard_loss(FRAMES[3:])]
    together = jax.jit(lambda frames: method.loss(model, Batch(frames), jax.random.key(0))[0])(FRAMES)
    assert together == pytest.approx(float(sum(halves)) / 2, rel=1e-5)


def test_shards_that_do_not_divide_the_batch_are_named():
    with pytest.raises(UserError, match="negatives_per_shard=4 does not divide the batch of 6"):
        in_shards(lambda p, s: (p * s).mean(), jnp.zeros((6, 1, 2)), jnp.zeros((6, 3, 2)), 4)


def loss_of_slots(name, s, p):
    """The loss with given slots s and predictions p in place of the encoder's."""
    method = methods.create(name)
    model = method.build(SPEC, nnx.Rngs(0))
    if name == "setcon":
        return info_nce(apply(model.set_encoder, p), apply(model.set_encoder, s), method.tau)
    return slotwise_info_nce(p, s, method.tau)


@pytest.mark.parametrize(("name", "changes"), [("setcon", False), ("slotwise", True)])
def test_the_order_of_slots_matters_to_slotwise_alone(name, changes):
    s, p = normal(6, 5, 4, 16), normal(6, 3, 4, 16)
    order = jnp.asarray(RNG.permuted(np.tile(np.arange(4), (6, 5, 1)), axis=-1))
    shuffled = jnp.take_along_axis(s, order[..., None], axis=2)
    before, after = loss_of_slots(name, s, p), loss_of_slots(name, shuffled, p)
    assert (abs(float(before - after)) > 1e-2) == changes
    if not changes:
        assert after == pytest.approx(float(before), rel=1e-4)


def test_slotwise_loss_of_copies_of_slot_one_is_slot_ones_own_term():
    s, p = normal(6, 5, 1, 16), normal(6, 3, 1, 16)
    copies = slotwise_info_nce(jnp.tile(p, (1, 1, 4, 1)), jnp.tile(s, (1, 1, 4, 1)), 0.5)
    assert copies == pytest.approx(float(info_nce(p[:, :, 0], s[:, :, 0], 0.5)), rel=1e-6)


@pytest.mark.parametrize("name", ["setcon", "setcon-random-init", "slotwise"])
def test_the_methods_loss_is_that_of_its_slots_and_reaches_all_parameters(name):
    method = methods.create(name)
    model = method.build(SPEC, nnx.Rngs(0))
    graph, state = nnx.split(model)
    key = jax.random.key(3)
    loss_of = lambda state: method.loss(nnx.merge(graph, state), Batch(FRAMES), key)[0]  # noqa: E731
    loss, gradients = jax.jit(jax.value_and_grad(loss_of))(state)
    s = apply(model.encoder, FRAMES, key).slots
    p = apply(model.transition, s[:, :-2], s[:, 1:-1])
    if name.startswith("setcon"):
        z_s, z_p = apply(model.set_encoder, s), apply(model.set_encoder, p)
        assert loss == pytest.approx(slow_info_nce(z_p, z_s, 0.5), rel=1e-4)
    else:
        expected = np.mean([slow_info_nce(p[:, :, k], s[:, :, k], 0.5) for k in range(4)])
        assert loss == pytest.approx(expected, rel=1e-4)
    still = [
        jax.tree_util.keystr(path)
        for path, gradient in jax.tree_util.tree_leaves_with_path(gradients)
        if not jnp.any(gradient != 0)
    ]
    assert not still


def test_transition_is_the_papers():
    transition = randomised(LinearTransition(16, nnx.Rngs(0)))
    previous, current = np.asarray(normal(3, 4, 16), np.float64), np.asarray(normal(3, 4, 16), np.float64)
    both = np.concatenate([previous, current, current - previous], -1)
    expected = current + linear(transition.linear, layer_norm(transition.norm, linear(transition.down, both)))
    np.testing.assert_allclose(
        apply(transition, *map(jnp.float32, (previous, current))), expected, rtol=1e-3, atol=1e-4
    )


def test_set_encoder_is_the_papers():
    encoder = randomised(SetEncoder(16, nnx.Rngs(0)))
    slots = np.asarray(normal(3, 4, 16), np.float64)
    expected = mlp(encoder.together, layer_norm(encoder.norm, sum(mlp(encoder.each, slots[:, k]) for k in range(4))))
    np.testing.assert_allclose(apply(encoder, jnp.float32(slots)), expected, rtol=1e-3, atol=1e-3)


def test_predictions_iterate_the_transition_from_two_frames():
    method = methods.create("setcon")
    model = method.build(SPEC, nnx.Rngs(0))
    slots = apply(model.encoder, FRAMES).slots
    predicted = jax.jit(lambda slots: method.predict(model, slots, None, 3))(slots)
    assert predicted.shape == (6, 5, 3, 4, 16)
    for t in range(method.context - 1, 5):
        previous, current = slots[:, t - 1], slots[:, t]
        for step in range(3):
            previous, current = current, apply(model.transition, previous, current)
            np.testing.assert_allclose(predicted[:, t, step], current, rtol=1e-5, atol=1e-5)


def test_names_are_variants_of_three_classes():
    configured = {
        name: (type(m).__name__, m.encoder, m.initializer, m.iterations)
        for name in ("setcon", "setcon-fm", "setcon-random-init", "slotwise-fm", "reconstruction-fm")
        for m in [methods.create(name)]
    }
    assert configured == {
        "setcon": ("SetCon", "slot_attention", "learned", 1),
        "setcon-fm": ("SetCon", "fm_mlp", "learned", 1),
        "setcon-random-init": ("SetCon", "slot_attention", "gaussian", 3),
        "slotwise-fm": ("Slotwise", "fm_mlp", "learned", 1),
        "reconstruction-fm": ("Reconstruction", "fm_mlp", "learned", 1),
    }


def test_a_sample_is_the_whole_clip_unless_told_otherwise_and_has_three_frames():
    assert methods.create("setcon").window(SPEC) == 5
    assert methods.create("setcon", clip=3).window(SPEC) == 3
    assert methods.create("setcon", clip=3).supports(SPEC) is None
    assert "2 frames" in methods.create("setcon", clip=2).supports(SPEC)
