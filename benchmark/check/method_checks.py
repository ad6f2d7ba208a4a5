"""What any method must keep. Each check takes a `Trial`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from benchmark import checked
from benchmark.check import outcome
from benchmark.check.outcome import Check
from benchmark.check.trial import State, Trial
from benchmark.contracts import Method
from benchmark.machine import jit_once
from benchmark.training import split
from benchmark.types import Array, Key

ROUNDING = 1e-5
"""A difference that two computations of the same may show, as a share of the largest number."""


def checks(method: type[Method]) -> tuple[Check, ...]:
    """Those that apply to it."""
    return (
        settings_are_plain_values,
        supports_gives_a_reason_or_none,
        a_training_sample_fits_a_clip,
        the_loss_is_a_finite_scalar_with_named_parts,
        the_loss_leaves_the_parameters_to_the_optimiser,
        *((gradients_reach_the_encoder, training_lowers_the_loss_on_a_fixed_batch) if method.trains else ()),
        *(() if method.reads_labels else (the_loss_reads_no_labels,)),
        seeds_reproduce_and_differ,
        seeds_side_by_side_equal_seeds_one_by_one,
        encode_gives_finite_slots_in_the_declared_number,
        encode_is_deterministic,
        encode_depends_on_the_frame,
        encode_uses_no_later_frame,
        encode_sees_each_clip_by_itself,
        masks_sum_to_1_over_slots,
        *((predict_uses_the_slots_up_to_its_frame,) if method.context else ()),
        *((decode_gives_frames_and_masks,) if method.decodes else (nothing_decodes_unasked,)),
    )


def settings_are_plain_values(trial: Trial) -> str | None:
    return outcome.settings_are_plain_values(trial.method)


def supports_gives_a_reason_or_none(trial: Trial) -> str | None:
    checked.supports(trial.method, trial.spec)  # raises otherwise
    return None


def a_training_sample_fits_a_clip(trial: Trial) -> str | None:
    window, length = trial.method.window(trial.spec), trial.spec.clip_length
    if isinstance(window, int) and 1 <= window <= length:
        return None
    return f"window gave {window!r}; expected a whole number of frames from 1 to {length}"


def the_loss_is_a_finite_scalar_with_named_parts(trial: Trial) -> str | None:
    (loss, logs), _ = trial.first
    numbers = {"the loss": loss, **logs}
    wrong = [f"{name} is {value}" for name, value in numbers.items() if not np.isfinite(value)]
    return f"{', '.join(wrong)}; expected finite numbers" if wrong else None


def the_loss_leaves_the_parameters_to_the_optimiser(trial: Trial) -> str | None:
    """What a loss puts into an nnx.Param is lost after the step; what it puts into another variable is kept."""
    graph, before, seen, touched = trial.models[0], trial.state[0], trial.seen, set[Any]()

    def after(state: State) -> Any:
        model = nnx.merge(graph, *state, copy=True)
        checked.loss(trial.method, model, seen, jax.random.key(2))
        left = split(model)[1]
        pairs = zip(jax.tree.leaves_with_path(state[0]), jax.tree.leaves(left), strict=True)
        touched.update(path for (path, old), new in pairs if old is not new)
        return left

    jax.eval_shape(after, trial.state)  # tracing tells at no cost what cannot have changed
    left = dict(jax.tree.leaves_with_path(jit_once(after)(trial.state))) if touched else {}
    changed = [
        path
        for path, old in jax.tree.leaves_with_path(before)
        if path in touched and not np.array_equal(old, left[path], equal_nan=True)
    ]
    if not changed:
        return None
    remedy = "expected an nnx.Variable that is no nnx.Param for what it keeps, such as an average of weights"
    return f"the loss changes {_named(changed)}, and the change is lost; {remedy}"


def gradients_reach_the_encoder(trial: Trial) -> str | None:
    """Every parameter whose change changes the slots must get a gradient that is finite and not zero."""
    gradients = jax.tree_util.tree_leaves_with_path(trial.first[1])
    if endless := [path for path, gradient in gradients if not np.isfinite(gradient).all()]:
        return f"the gradient of {_named(endless)} is not finite; expected finite numbers"
    reached = [path for path, gradient in gradients if np.any(np.asarray(gradient))]
    missed = [path for path, _ in gradients if path not in reached and _moves_slots(trial, path)]
    if not any(_moves_slots(trial, path) for path in reached):
        return "no parameter that changes the slots gets a gradient; expected a loss that depends on them"
    if missed:
        remedy = "expected one for every nnx.Param that slots depend on (what is to stay as it is: nnx.Variable)"
        return f"no gradient reaches {_named(missed)}; {remedy}"
    return None


def _named(paths: Sequence[Any]) -> str:
    names = (jax.tree_util.keystr(path, simple=True, separator=".") for path in paths)
    return ", ".join(name.removesuffix(".value") for name in names)


def _moves_slots(trial: Trial, which: Any) -> bool:
    """Does noise on that parameter change the slots?"""
    rng = np.random.default_rng(0)

    def moved(path: Any, leaf: Array) -> Any:
        return np.asarray(leaf + rng.normal(size=leaf.shape), leaf.dtype) if path == which else leaf

    params, rest = trial.state
    changed = trial.encode((jax.tree_util.tree_map_with_path(moved, params), rest), trial.clips.frames)
    return _gap(changed, trial.slots) > 0


def training_lowers_the_loss_on_a_fixed_batch(trial: Trial) -> str | None:
    losses = [float(loss) for (loss, _), _ in trial.losses_and_gradients]
    if losses[-1] < losses[0]:
        return None
    return f"the loss goes from {losses[0]:.6g} to {losses[-1]:.6g} in {len(losses)} steps; expected less"


def the_loss_reads_no_labels(trial: Trial) -> str | None:
    """With labels in the batch it must be the very program that it is without."""

    def program(batch: Any) -> str:
        return outcome.program(lambda state, batch: trial.loss(state, batch)[0], trial.state, batch)

    if (with_labels := program(trial.batch)) == program(trial.batch._replace(labels=None)):
        return None
    if with_labels != program(trial.batch):  # it draws random numbers outside JAX, which another check tells
        return None
    return "the loss computes something else where labels are; expected the same, or `reads_labels = True` (a ceiling)"


def seeds_reproduce_and_differ(trial: Trial) -> str | None:
    def build(key: Key) -> Any:
        return nnx.state(trial.build(key))

    if outcome.draws_outside_jax(build, jax.random.key(0)):
        return "building twice from one seed gives different models; expected all randomness to come from `rngs`"
    again, _, _ = trial.step(trial.state, trial.averages, trial.seen)
    if outcome.draws_outside_jax(trial.loss, trial.state, trial.seen) or not outcome.same_bits(again, trial.first):
        return "the same step twice gives other losses; expected all randomness to come from `key`"
    first, second = trial.models[1]
    return (
        "two seeds give equal parameters; expected randomness from `rngs`"
        if outcome.same_bits(first[0], second[0])
        else None
    )


def seeds_side_by_side_equal_seeds_one_by_one(trial: Trial) -> str | None:
    """One program for several seeds (vmap) computes what a program a seed does, to rounding."""
    stacked = jit_once(lambda *states: jax.tree.map(lambda *leaves: jnp.stack(leaves), *states))(*trial.models[1])
    together = jit_once(jax.vmap(trial.gradients, in_axes=(0, None)))(stacked, trial.seen)
    for seed, state in enumerate(trial.models[1]):
        alone, _, _ = trial.step(state, trial.averages, trial.seen)
        gap = _gap(jax.tree.map(lambda leaf, seed=seed: leaf[seed], together), alone)
        if gap > 100 * ROUNDING:
            return f"losses and gradients of seed {seed} differ by {gap:.2g} of the largest; expected rounding only"
    return None


def encode_gives_finite_slots_in_the_declared_number(trial: Trial) -> str | None:
    slots = trial.slots.slots
    if slots.shape[2] != trial.num_slots:
        return f"encode gave {slots.shape[2]} slots a frame; expected {trial.num_slots} (num_slots)"
    return None if np.isfinite(slots).all() else "encode gave slots that are not finite"


def encode_is_deterministic(trial: Trial) -> str | None:
    again = trial.encode(trial.state, trial.clips.frames)
    if outcome.draws_outside_jax(trial.encode_with, trial.state, trial.clips.frames) or not outcome.same_bits(
        again, trial.slots
    ):
        return "encoding the same frames twice gives other slots; expected no randomness in encode"
    return None


def encode_depends_on_the_frame(trial: Trial) -> str | None:
    other = trial.encode(trial.state, trial.others.frames)
    same = np.isclose(other.slots, trial.slots.slots).all((0, 2, 3))
    return f"frame {np.argmax(same)} does not change its slots; expected slots of the frame" if same.any() else None


def encode_uses_no_later_frame(trial: Trial) -> str | None:
    """Slots and masks of the frames before t stay when frames from t on are replaced, for every t."""
    for t in range(1, trial.spec.clip_length):
        frames = np.concatenate([trial.clips.frames[:, :t], trial.others.frames[:, t:]], axis=1)
        changed = trial.encode(trial.state, frames)
        gap = _gap(*(jax.tree.map(lambda x, t=t: x[:, :t], both) for both in (changed, trial.slots)))
        if gap > ROUNDING:
            return f"slots before frame {t} depend on it or on later ones; expected frame t to use frames up to t only"
    return None


def encode_sees_each_clip_by_itself(trial: Trial) -> str | None:
    frames = np.stack([trial.clips.frames[0], trial.others.frames[1]])
    changed = trial.encode(trial.state, frames)
    if _gap(*(jax.tree.map(lambda x: x[0], both) for both in (changed, trial.slots))) <= ROUNDING:
        return None
    return "slots of a clip depend on the other clips of the batch; expected averages that training has fixed"


def masks_sum_to_1_over_slots(trial: Trial) -> str | None:
    """Where there are any."""
    masks = trial.slots.masks
    return None if masks is None else _no_mixture(np.asarray(masks), "the masks of encode", 2)


def predict_uses_the_slots_up_to_its_frame(trial: Trial) -> str | None:
    slots, actions, context = trial.slots.slots, trial.clips.actions, trial.method.context
    changed = np.concatenate([slots[:, :-1], slots[:, -1:] + 1], axis=1)
    before, after = trial.predict(slots, actions), trial.predict(changed, actions)
    if not np.isfinite(before[:, context - 1 :]).all():
        return "predict gave slots that are not finite"
    if _gap(before[:, :-1], after[:, :-1]) > ROUNDING:
        return "a prediction depends on slots of later frames; expected entry [:, t, j] to use slots up to t only"
    if _gap(before[:, -1], after[:, -1]) == 0:
        return "a prediction does not depend on its own frame; expected entry [:, t, j] to use slots up to t"
    return None


def decode_gives_frames_and_masks(trial: Trial) -> str | None:
    slots = trial.slots.slots[:, 0]
    decoded = jit_once(lambda slots: trial.method.decode(trial.model(trial.state), slots))(slots)
    (b, k), (h, w, c) = slots.shape[:2], trial.spec.frame_shape
    expected = {"frames": (b, h, w, c), "masks": (b, k, h, w)}
    for name, shape in expected.items():
        if (given := getattr(decoded, name).shape) != shape:
            return f"decode gave {name} of shape {given}; expected {shape}"
    return _no_mixture(np.asarray(decoded.masks), "the masks of decode", 1)


def nothing_decodes_unasked(trial: Trial) -> str | None:
    if type(trial.method).decode is Method.decode:
        return None
    return "it has a `decode` that nothing asks; expected `decodes = True` in the class, or no decode"


def _no_mixture(masks: np.ndarray, what: str, axis: int) -> str | None:
    sums = masks.sum(axis)
    if np.allclose(sums, 1, atol=1e-4) and (masks >= 0).all():
        return None
    return f"{what} sum to {sums.min():.4g} up to {sums.max():.4g} over slots; expected 1, and none below 0"


def _gap(a: Any, b: Any) -> float:
    """The largest difference over all arrays, as a share of the largest number in them."""
    pairs = [(np.asarray(x), np.asarray(y)) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)]
    largest = max(float(np.abs(y).max(initial=0)) for _, y in pairs)
    return max(float(np.abs(x - y).max(initial=0)) for x, y in pairs) / (largest or 1.0)
