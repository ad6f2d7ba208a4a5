"""SlotContrast, slotwise with matched slots, C-SWM in an episode and slot repulsion against slow float64 versions."""

from functools import cache
from itertools import permutations
from math import exp, log, sqrt

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy.optimize import linear_sum_assignment
from test_scn_losses import FakeWorld
from test_setcon_losses import SPEC, slow_info_nce
from test_slot_attention import apply, layer_norm, mlp, randomised

from benchmark.errors import UserError
from benchmark.modules.contrastive import cosines
from benchmark.registry import methods
from benchmark.training import initialiser
from benchmark.types import Batch
from methods.cswm_episode import negatives
from methods.slot_repulsion import repulsion
from methods.slotcontrast import Predictor, slot_contrast
from methods.slotwise_matched import best_assignment, in_predicted_order

RNG = np.random.default_rng(0)
FRAMES = jnp.asarray(RNG.normal(size=(3, 4, 4, 4, 3)), jnp.float32)


def normal(*shape):
    return jnp.asarray(RNG.normal(size=shape), jnp.float32)


def cosine(a, b):
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return float(a @ b / sqrt(a @ a) / sqrt(b @ b))


ordered = jax.jit(in_predicted_order)


@cache
def built(name):
    """A method and its model for the small data set."""
    method = methods.create(name)
    return method, initialiser(lambda rngs: method.build(SPEC, rngs))(jax.random.key(0))


def loss_of(method, model, batch):
    return jax.jit(lambda batch: method.loss(model, batch, jax.random.key(0))[0])(batch)


def test_cosines_of_nothing_are_0_with_finite_gradients():
    a = normal(3, 4).at[1].set(0)
    np.testing.assert_allclose(cosines(a, a)[1], 0)
    assert bool(jnp.isfinite(jax.grad(lambda a: cosines(a, a).sum())(a)).all())


def test_slotcontrast_finds_each_slot_again_among_all_of_the_next_frame():
    slots = normal(3, 4, 2, 5)
    terms = []
    for n, t, k in np.ndindex(3, 3, 2):
        g = lambda m, j: exp(cosine(slots[n, t, k], slots[m, t + 1, j]) / 0.1)  # noqa: B023, E731
        terms.append(-log(g(n, k) / sum(g(m, j) for m, j in np.ndindex(3, 2))))
    assert slot_contrast(slots, 0.1) == pytest.approx(np.mean(terms), rel=1e-5)


def test_slotcontrast_of_slots_that_ignore_the_frames_is_log_batch():
    assert slot_contrast(jnp.ones((6, 3, 4, 8)), 0.1) == pytest.approx(log(6 * 4), rel=1e-5)
    index_only = jnp.broadcast_to(jnp.eye(4, 8), (6, 3, 4, 8))
    assert slot_contrast(index_only, 0.1) == pytest.approx(log(6 + 18 * exp(-10)), rel=1e-5)


def test_slots_of_a_frame_start_where_the_predictor_puts_those_of_the_frame_before():
    _, model = built("slotcontrast")
    slots, masks = apply(model, FRAMES)
    features = apply(model.features, FRAMES)
    start = jnp.broadcast_to(model.initializer.slots[...], (3, 4, 16))
    now, mask = jax.jit(lambda *inputs: model.attention(*inputs, iterations=3))(features[:, 0], start)
    for t in range(4):
        np.testing.assert_allclose(slots[:, t], now, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(masks[:, t], mask, rtol=1e-4, atol=1e-5)
        if t < 3:
            now, mask = apply(model.attention, features[:, t + 1], apply(model.predictor, now))


def test_slots_keep_the_order_in_which_they_start():
    _, model = built("slotcontrast")
    turned = nnx.clone(model)
    turned.initializer.slots[...] = model.initializer.slots[...][::-1]
    np.testing.assert_allclose(
        apply(turned, FRAMES).slots[:, :, ::-1], apply(model, FRAMES).slots, rtol=1e-3, atol=1e-4
    )


def test_the_slotcontrast_loss_reaches_all_parameters():
    method, model = built("slotcontrast")
    graph, state = nnx.split(model)
    loss = lambda state: method.loss(nnx.merge(graph, state), Batch(FRAMES[:, :2]), jax.random.key(0))[0]  # noqa: E731
    gradients = jax.tree_util.tree_leaves_with_path(jax.jit(jax.grad(loss))(state))
    assert not [jax.tree_util.keystr(path) for path, gradient in gradients if not jnp.any(gradient != 0)]


@pytest.mark.parametrize("num_slots", [1, 4, 18])
def test_best_assignment_is_that_of_scipy(num_slots):
    similarity = normal(20, num_slots, num_slots)
    found = np.asarray(jax.jit(jax.vmap(best_assignment))(similarity))
    expected = np.array([linear_sum_assignment(-np.asarray(each, np.float64))[1] for each in similarity])
    np.testing.assert_array_equal(found, expected)


def test_a_greedy_choice_is_not_the_best_assignment():
    # Row 0 prefers column 0 by a little, row 1 by a lot.
    similarity = jnp.array([[5.0, 4.0, 0.0], [6.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    np.testing.assert_array_equal(jax.jit(best_assignment)(similarity), [1, 0, 2])
    sums = {order: sum(float(similarity[k, j]) for k, j in enumerate(order)) for order in permutations(range(3))}
    assert max(sums, key=sums.get) == (1, 0, 2)


def matched_slowly(s, p):
    """Each predicted frame's slots in the order that scipy finds, one frame after the other."""
    s, p = np.array(s, np.float64), np.asarray(p, np.float64)
    for n, u in np.ndindex(p.shape[:2]):
        frame = s[n, u - p.shape[1]]
        s[n, u - p.shape[1]] = frame[linear_sum_assignment(-(p[n, u] @ frame.T))[1]]
    return s


def test_matched_slotwise_loss_is_slotwise_of_slots_in_predicted_order():
    method, model = built("slotwise-matched")
    s = apply(model.encoder, FRAMES).slots
    p = apply(model.transition, s[:, :-2], s[:, 1:-1])
    in_order = matched_slowly(s, p)
    expected = np.mean([slow_info_nce(p[:, :, k], in_order[:, :, k], 0.5) for k in range(4)])
    assert loss_of(method, model, Batch(FRAMES)) == pytest.approx(expected, rel=1e-4)


def test_matching_undoes_any_order_of_the_frames_that_are_predicted_and_of_no_other():
    s, p = normal(4, 5, 3, 6), normal(4, 3, 3, 6)
    order = jnp.asarray(RNG.permuted(np.tile(np.arange(3), (4, 5, 1)), axis=-1))
    shuffled = jnp.take_along_axis(s, order[..., None], axis=2)
    before, after = ordered(s, p), ordered(shuffled, p)
    np.testing.assert_array_equal(after[:, 2:], before[:, 2:])
    np.testing.assert_array_equal(after[:, :2], shuffled[:, :2])


def test_matching_changes_nothing_where_slots_are_predicted_well():
    s = normal(4, 5, 3, 6) * 0.1 + 5 * jnp.eye(3, 6)
    np.testing.assert_array_equal(ordered(s, s[:, 2:]), s)


def test_gradients_flow_through_the_slots_in_their_order_and_not_through_the_matching():
    s, p, weights = normal(4, 5, 3, 6), normal(4, 3, 3, 6), normal(4, 5, 3, 6)
    gradients = jax.jit(jax.grad(lambda s, p: (weights * in_predicted_order(s, p)).sum(), argnums=(0, 1)))(s, p)
    assert not jnp.any(gradients[1])
    # Each slot gets the weight of the place where it came to stand.
    pulled = jnp.where((ordered(s, p)[:, :, :, None] == s[:, :, None]).all(-1)[..., None], weights[:, :, :, None], 0)
    np.testing.assert_array_equal(gradients[0], pulled.sum(2))


def test_matching_of_numbers_that_are_not_finite_ends():
    s = normal(4, 5, 3, 6).at[0, 3, 1].set(jnp.nan)
    assert bool(jnp.isnan(ordered(s, normal(4, 3, 3, 6))).any())


def energy(a, b):
    return float(np.square(np.asarray(a, np.float64) - np.asarray(b, np.float64)).sum(-1).mean() / (2 * 0.5**2))


@pytest.mark.parametrize(
    ("negative", "offset", "in_episode"), [("next", 1, 0.5), ("current", 0, 0.5), ("next", 1, 1.0)]
)
def test_cswm_in_an_episode_has_the_hinge_of_each_kind_of_negative_as_often_as_asked(negative, offset, in_episode):
    slots = normal(2, 3, 2, 4) * 0.3
    method = methods.create("cswm-episode", in_episode=in_episode, negative=negative)
    keys = jax.random.split(jax.random.key(0), 2000)
    batch = Batch(slots[:, :, None])
    found = jax.jit(jax.vmap(lambda key: method.loss(FakeWorld(), batch, key)[0]))(keys).mean()
    terms = []
    for n, t in np.ndindex(2, 2):
        against = slots[n, t + offset]
        hinge = lambda z: max(0.0, 1 - energy(z, against))  # noqa: B023, E731
        inside = np.mean([hinge(slots[n, j]) for j in range(3) if j != t + offset])
        outside = hinge(slots[1 - n, t])
        positive = energy(slots[n, t] + 0.1, slots[n, t + 1])
        terms.append(positive + in_episode * inside + (1 - in_episode) * outside)
    assert found == pytest.approx(np.mean(terms), rel=0.02)


def test_cswm_in_an_episode_takes_the_action_between_each_two_frames():
    class Moved(FakeWorld):
        def transition(self, slots, actions):
            return jnp.broadcast_to(actions[:, None, None], slots.shape)

    slots, actions = normal(2, 4, 3, 5), jnp.asarray([[3, 1, 4, 1], [5, 9, 2, 6]])
    _, logs = methods.create("cswm-episode").loss(Moved(), Batch(slots[:, :, None], actions), jax.random.key(0))
    pairs = [(n, t) for n in range(2) for t in range(3)]
    expected = np.mean([energy(slots[n, t] + actions[n, t], slots[n, t + 1]) for n, t in pairs])
    assert logs["positive"] == pytest.approx(expected, rel=1e-5)


def test_cswm_in_an_episode_is_cswm_where_no_negative_comes_from_it():
    batch = Batch(normal(5, 2, 1, 3, 4))
    alone, plain = methods.create("cswm-episode", in_episode=0.0), methods.create("cswm")
    assert loss_of(alone, FakeWorld(), batch) == pytest.approx(float(loss_of(plain, FakeWorld(), batch)), rel=1e-6)


def test_in_episode_negatives_are_every_other_frame_of_the_window_equally_often():
    numbers = jnp.broadcast_to(jnp.arange(6.0)[:, None, None], (500, 6, 1, 1))
    drawn = np.asarray(negatives(numbers, 1, 1.0, jax.random.key(0)))[..., 0, 0]
    for t in range(5):
        counts = np.bincount(drawn[:, t].astype(int), minlength=6)
        assert counts[t + 1] == 0 and np.delete(counts, t + 1).min() > 60


def test_a_window_of_an_episode_is_no_longer_than_the_clips():
    method = methods.create("cswm-episode")
    assert method.window(SPEC) == 5 and methods.create("cswm-episode", episode_frames=3).window(SPEC) == 3
    assert "samples have 2" in methods.create("cswm-episode", episode_frames=2).supports(SPEC)
    with pytest.raises(UserError, match=r"in_episode is 1\.5"):
        methods.create("cswm-episode", in_episode=1.5)


def test_repulsion_tells_each_slot_from_the_others_of_its_frame():
    slots = normal(3, 2, 4, 5)
    terms = []
    for n, t, k in np.ndindex(3, 2, 4):
        g = [exp(cosine(slots[n, t, k], slots[n, t, j]) / 0.1) for j in range(4)]
        terms.append(-log(g[k] / sum(g)))
    assert repulsion(slots, 0.1) == pytest.approx(np.mean(terms), rel=1e-4)


def test_repulsion_is_largest_for_copies_and_least_for_a_simplex():
    simplex = jnp.eye(4) - 1 / 4
    least = log(1 + 3 * exp((-1 / 3 - 1) / 0.1))
    assert repulsion(jnp.ones((2, 3, 4, 5)), 0.1) == pytest.approx(log(4), rel=1e-5)
    assert repulsion(simplex[None], 0.1) == pytest.approx(least, abs=1e-6)
    assert all(repulsion(normal(1, 4, 4), 0.1) > least for _ in range(5))


def test_one_slot_has_nothing_to_repel():
    assert "one slot" in methods.create("slot-repulsion", num_slots=1).supports(SPEC)
    assert methods.create("slot-repulsion").supports(SPEC) is None


def test_slots_are_found_again_only_where_there_is_a_next_frame():
    assert "one frame" in methods.create("slotcontrast", clip=1).supports(SPEC)
    assert methods.create("slotcontrast").window(SPEC) == 5


def test_slotcontrasts_predictor_is_a_transformer_block_with_the_norms_first():
    predictor = randomised(Predictor(16, nnx.Rngs(0)))
    slots = np.random.default_rng(1).normal(size=(2, 5, 16)).astype(np.float32)

    def weights(parameter):
        return np.asarray(parameter[...], np.float64)

    attention, x = predictor.attention, layer_norm(predictor.norm_attention, slots.astype(float))
    q, k, v = (
        np.einsum("bkd,dhe->bhke", x, weights(layer.kernel)) + weights(layer.bias)[:, None]
        for layer in (attention.query, attention.key, attention.value)
    )
    scores = np.exp(q @ k.swapaxes(-1, -2) / sqrt(16))  # 4 heads of 16
    heads = scores / scores.sum(-1, keepdims=True) @ v
    after = slots + np.einsum("bhke,hed->bkd", heads, weights(attention.out.kernel)) + weights(attention.out.bias)
    expected = after + mlp(predictor.mlp, layer_norm(predictor.norm_mlp, after))
    np.testing.assert_allclose(apply(predictor, slots), expected, rtol=1e-3, atol=1e-3)


def test_cswm_in_an_episode_has_its_papers_numbers_unless_told_otherwise():
    episode = methods.create("cswm-episode")
    assert (episode.in_episode, episode.episode_frames, episode.negative) == (0.5, 8, "next")


def test_each_pair_of_a_window_throws_its_own_coin():
    slots = jnp.broadcast_to(jnp.arange(200.0)[:, None, None, None], (200, 6, 1, 1))
    inside = np.asarray(negatives(slots, 1, 0.5, jax.random.key(0)))[..., 0, 0] == np.arange(200)[:, None]
    assert (inside.any(1) & ~inside.all(1)).mean() > 0.85  # 1 - 2 / 2^5 expected


def test_repulsion_has_its_temperature_unless_told_otherwise():
    assert methods.create("slot-repulsion").tau == 0.1
