"""SCN's and C-SWM's losses against slow float64 versions written from the papers' equations."""

from math import exp, log

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from benchmark.modules.gnn import GNNTransition
from benchmark.registry import methods
from benchmark.types import Batch
from methods.cswm import energy
from methods.scn import diversity_loss, saliency_loss


@pytest.fixture(scope="module")
def slots():
    rng = np.random.default_rng(0)
    return tuple(jnp.asarray(rng.normal(size=(5, 3, 4)), jnp.float32) for _ in range(2))


def cross_entropy(scores: list[float], target: int) -> float:
    return -log(exp(scores[target]) / sum(exp(score) for score in scores))


def test_saliency_loss_is_eq_1_of_the_paper(slots):
    now, later = (np.asarray(s, float) for s in slots)
    terms = [cross_entropy([float(now[i, j] @ later[m, j]) for m in range(5)], i) for j in range(3) for i in range(5)]
    assert saliency_loss(*slots) == pytest.approx(np.mean(terms), rel=1e-5)


def test_diversity_loss_is_eq_2_of_the_paper(slots):
    now, later = (np.asarray(s, float) for s in slots)
    terms = [cross_entropy([float(now[i, j] @ later[i, m]) for m in range(3)], j) for j in range(3) for i in range(5)]
    assert diversity_loss(*slots) == pytest.approx(np.mean(terms), rel=1e-5)


def test_losses_are_log_candidates_when_slots_are_constant():
    same = jnp.ones((6, 4, 8))
    assert saliency_loss(same, same) == pytest.approx(log(6), rel=1e-5)
    assert diversity_loss(same, same) == pytest.approx(log(4), rel=1e-5)


def test_diversity_loss_is_zero_with_one_slot(slots):
    assert diversity_loss(slots[0][:, :1], slots[1][:, :1]) == 0


def test_saliency_loss_does_not_compare_different_slots(slots):
    now, later = slots
    order = jnp.array([2, 0, 1])
    assert saliency_loss(now[:, order], later[:, order]) == pytest.approx(float(saliency_loss(now, later)), rel=1e-5)
    assert saliency_loss(now, later[:, order]) != pytest.approx(float(saliency_loss(now, later)), rel=1e-2)


def test_scn_saliency_leaves_the_diversity_term_out():
    full, alone = methods.create("scn"), methods.create("scn-saliency")
    assert (full.diversity_weight, alone.diversity_weight) == (1.0, 0.0)


def test_energy_is_the_scaled_squared_distance_averaged_over_slots(slots):
    a, b = (np.asarray(s, float) for s in slots)
    expected = [np.mean([np.sum((a[i, k] - b[i, k]) ** 2) for k in range(3)]) / (2 * 0.5**2) for i in range(5)]
    np.testing.assert_allclose(energy(*slots, sigma=0.5), expected, rtol=1e-5)


class FakeWorld(nnx.Module):
    """Frames are already slots, and nothing ever changes but by 0.1."""

    def encoder(self, frames):
        return frames[..., 0, :, :]

    def transition(self, slots, actions):
        return jnp.full_like(slots, 0.1)


@pytest.mark.parametrize("negative", ["next", "current"])
def test_cswm_loss_is_the_papers_hinge(slots, negative):
    now, later = (np.asarray(s, float) * 0.3 for s in slots)
    frames = jnp.stack([now, later], axis=1).astype(jnp.float32)[:, :, None]
    loss, _ = methods.create("cswm", negative=negative).loss(FakeWorld(), Batch(frames), jax.random.key(0))

    def h(a, b):
        return np.mean(np.sum((a - b) ** 2, -1)) / (2 * 0.5**2)

    terms = []
    for i in range(5):
        other = now[(i - 1) % 5]
        against = later[i] if negative == "next" else now[i]
        terms.append(h(now[i] + 0.1, later[i]) + max(0.0, 1.0 - h(other, against)))
    assert loss == pytest.approx(np.mean(terms), rel=1e-5)


def layer_norm(x, norm):
    x = (x - x.mean()) / np.sqrt(x.var() + norm.epsilon)
    return x * np.asarray(norm.scale[...], float) + np.asarray(norm.bias[...], float)


def affine(x, linear):
    bias = 0 if linear.bias is None else np.asarray(linear.bias[...], float)
    return x @ np.asarray(linear.kernel[...], float) + bias


def slow_transition(gnn, slots, actions):
    """f_node([z_i, a_i, sum over j != i of f_edge([z_i, z_j])]), pair by pair."""
    change = np.zeros_like(slots)
    for n, i in np.ndindex(slots.shape[:2]):
        total = np.zeros(gnn.edge_out.out_features)
        for j in range(slots.shape[1]):
            if j != i:
                hidden = np.maximum(affine(slots[n, i], gnn.edge_from) + affine(slots[n, j], gnn.edge_to), 0)
                hidden = np.maximum(layer_norm(affine(hidden, gnn.edge_hidden), gnn.edge_norm), 0)
                total += affine(hidden, gnn.edge_out)
        node = np.maximum(affine(np.concatenate([slots[n, i], actions[n, i], total]), gnn.node_in), 0)
        node = np.maximum(layer_norm(affine(node, gnn.node_hidden), gnn.node_norm), 0)
        change[n, i] = affine(node, gnn.node_out)
    return change


@pytest.mark.parametrize("num_slots", [1, 2, 5])
def test_gnn_transition_equals_the_pairwise_sum(num_slots):
    gnn = GNNTransition(4, 3, 8, nnx.Rngs(0))
    gnn.edge_out.bias[...] = jnp.arange(8.0)
    rng = np.random.default_rng(1)
    slots, actions = rng.normal(size=(2, num_slots, 4)), rng.normal(size=(2, num_slots, 3))
    fast = gnn(jnp.asarray(slots, jnp.float32), jnp.asarray(actions, jnp.float32))
    np.testing.assert_allclose(fast, slow_transition(gnn, slots, actions), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("num_slots", [1, 3])
def test_the_change_of_every_slot_depends_on_the_action(num_slots):
    import tiny

    method = methods.create("cswm", num_slots=num_slots)
    model = method.build(tiny.Tiny().spec(), nnx.Rngs(0))
    slots = jax.random.normal(jax.random.key(0), (1, num_slots, 32))
    left, right = (model.transition(slots, jnp.array([action])) for action in (0, 1))
    assert (jnp.abs(left - right).max(-1) > 1e-4).all()


def test_cswm_has_its_papers_numbers_unless_told_otherwise():
    cswm = methods.create("cswm")
    assert (cswm.hidden, cswm.sigma, cswm.margin, cswm.negative) == (512, 0.5, 1.0, "next")
