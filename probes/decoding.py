"""Frames decoded from frozen slots: which slots stand for which frame, a decoder fitted to them, and its scores."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from benchmark.modules.decoder import SpatialBroadcastDecoder, decoder_filters
from benchmark.training import Kernel, adam
from benchmark.types import Array, Batch, Bool, Data, DatasetSpec, Decoded, Float, Frozen, Int, Key
from probes.foreseen import foreseen, predicted

Decode = Callable[[Float[Array, "b k d"]], Decoded]
Read = Callable[[Data, Int[Array, " b"]], Batch]


class Aligned(NamedTuple):
    """Slots set beside the frames that they stand for; `clips` and `times` list the m entries that exist and count."""

    slots: Float[Array, "i t k d"]
    clips: Int[Array, " m"]
    times: Int[Array, " m"]


Targets = Callable[[Frozen], dict[str, Aligned]]
"""What a decoder learns of a split, by name, such as what `align` finds."""


def align(frozen: Frozen, steps: int) -> dict[str, Aligned]:
    """`s`, the encoded slots of every frame, and `p1` to `p<steps>`, its slots predicted so many steps before.

    `p<j>` of frame f is `predicted[:, f - j, j - 1]`, for which `context` frames must have been seen: f - j is at least
    context - 1. A method that does not predict has `s` only.
    """
    found = {"s": _aligned(frozen.slots, frozen.valid)}
    if frozen.predicted is None:
        return found
    for ahead in range(1, steps + 1):
        found[f"p{ahead}"] = _aligned(predicted(frozen, ahead), foreseen(frozen, ahead))
    return found


def _aligned(slots: Float[np.ndarray, "i t k d"], counts: Bool[np.ndarray, "i t"]) -> Aligned:
    clips, times = np.nonzero(counts)
    return Aligned(jnp.asarray(slots), jnp.asarray(clips), jnp.asarray(times))


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How a decoder learns.

    A step has `frames_per_step` frames, fewer where these would exceed `pixels_per_step`: 256 on GridWorld, 8 of 32 x
    32 pixels, 2 of 64 x 64, as a step costs by the pixel and few frames teach about as much in it as many. Each target
    has an equal share of them, one frame at least. After every `round_steps` the decoder is measured on `val_frames`
    frames a target. Training stops when that error has not fallen by the fraction `tolerance` for `patience` rounds,
    and after `max_steps`; the decoder that was best on val is kept.
    """

    learning_rate: float = 1e-3
    frames_per_step: int = 256
    pixels_per_step: int = 8_192
    max_steps: int = 1_000
    round_steps: int = 100
    patience: int = 5
    tolerance: float = 0.01
    val_frames: int = 256

    def batch_size(self, spec: DatasetSpec) -> int:
        """Frames of a step, before they are shared among targets; as many are decoded at once to be scored."""
        h, w, _ = spec.frame_shape
        return max(1, min(self.frames_per_step, self.pixels_per_step // (h * w)))


class FittedDecoder(NamedTuple):
    """The decoder that was best on val, at `best_step`; the curve of (step, val MSE); why training stopped.

    `frames_per_step` is how many frames a step really had.
    """

    decode: Decode
    best_step: int
    curve: list[list[float]]
    stopped: str
    frames_per_step: int


def fit_decoder(train: Frozen, val: Frozen, targets: Targets, rule: Rule, key: Key) -> FittedDecoder:
    """One fresh decoder for all `targets` of a split; each has the same share of every batch."""
    assert train.read is not None
    entries = {name: aligned for name, aligned in targets(train).items() if len(aligned.clips)}
    init_key, key = jax.random.split(key)
    filters = decoder_filters(train.spec)
    model = SpatialBroadcastDecoder(train.spec, train.slots.shape[-1], filters, nnx.Rngs(init_key))
    shapes = tuple(leaf.shape for leaf in jax.tree.leaves(entries))
    batch_size = rule.batch_size(train.spec)
    share = max(1, batch_size // len(entries))
    kernel = _kernel(train.read, share, rule.learning_rate, shapes)
    held_out = [_some(aligned, rule.val_frames) for aligned in targets(val).values() if len(aligned.clips)]

    def validate(decode: Decode) -> float:
        return float(np.mean([score(decode, val, aligned, batch_size).errors.mean() for aligned in held_out]))

    best, best_step, curve = _fit(kernel, model, (train.data, entries), validate, rule, key, train.say)
    stopped = "max_steps" if curve[-1][0] >= rule.max_steps else "patience"
    return FittedDecoder(best, best_step, curve, stopped, share * len(entries))


def _fit(
    kernel: Kernel,
    model: Any,
    data: Data,
    validate: Callable[[Decode], float],
    rule: Rule,
    key: Key,
    say: Callable[[str], None],
) -> tuple[Decode, int, list[list[float]]]:
    """The best decoder, its step and the curve."""
    best, best_step, optimizer_state = _snapshot(model), 0, None
    curve = [[0.0, validate(best)]]
    while (done := int(curve[-1][0])) < rule.max_steps and _stagnant(curve, rule.tolerance) < rule.patience:
        steps = min(rule.round_steps, rule.max_steps - done)
        fitted = kernel.fit(model, data, steps, jax.random.fold_in(key, done), optimizer_state=optimizer_state)
        model, optimizer_state = fitted.model, fitted.optimizer_state
        now = _snapshot(model)
        curve.append([float(done + steps), validate(now)])
        say(f"a decoder learns, step {done + steps} of at most {rule.max_steps}, error {curve[-1][1]:.4g} on val")
        if curve[-1][1] <= min(value for _, value in curve):
            best, best_step = now, done + steps
    return best, best_step, curve


def _stagnant(curve: list[list[float]], tolerance: float) -> int:
    """Rounds since val last fell by that fraction."""
    reference, waited = np.inf, 0
    for _, value in curve:
        if value < (1 - tolerance) * reference:
            reference, waited = value, 0
        else:
            waited += 1
    return waited


def _some(aligned: Aligned, count: int) -> Aligned:
    """At most `count` of the entries, drawn at random but always the same."""
    chosen = np.random.default_rng(0).permutation(len(aligned.clips))[:count]
    return Aligned(aligned.slots, aligned.clips[chosen], aligned.times[chosen])


@lru_cache(maxsize=4)  # as many as there are decoder probes: each holds the frames that it reads
def _kernel(read: Read, share: int, learning_rate: float, shapes: tuple[tuple[int, ...], ...]) -> Kernel:
    """A kernel that seeds and methods share, which draws `share` frames of each of the entries.

    Its programs are compiled for slots and entries of these `shapes`.
    """

    def sample(data: Data, key: Key) -> tuple[Array, Array]:
        video, entries = data
        keys = jax.random.split(key, len(entries))
        drawn = [_draw(aligned, keys[j], share) for j, aligned in enumerate(entries.values())]
        slots, clips, times = (jnp.concatenate(parts) for parts in zip(*drawn, strict=True))
        return slots, read(video, clips).frames[jnp.arange(len(times)), times]

    def loss(model: Any, batch: tuple[Array, Array], key: Key) -> tuple[Float[Array, ""], dict[str, Array]]:
        slots, frames = batch
        return jnp.square(model(slots).frames - frames).mean(), {}

    return Kernel(loss, sample, adam(learning_rate))


def _draw(aligned: Aligned, key: Key, count: int) -> tuple[Array, Array, Array]:
    drawn = jax.random.randint(key, (count,), 0, len(aligned.clips))
    clips, times = aligned.clips[drawn], aligned.times[drawn]
    return aligned.slots[clips, times], clips, times


def _snapshot(model: nnx.Module) -> Decode:
    """The decoder as it is now: training uses the model's own arrays up."""
    graph, params = nnx.split(model)
    return partial(_program(graph), jax.tree.map(jnp.copy, params))


@lru_cache(maxsize=8)
def _program(graph: Any) -> Callable[[Any, Float[Array, "b k d"]], Decoded]:
    return jax.jit(lambda params, slots: nnx.merge(graph, params)(slots))


class Scored(NamedTuple):
    """The mean squared error of each frame, and the slot whose mask is largest at each of its pixels."""

    errors: Float[np.ndarray, " m"]
    segments: Int[np.ndarray, "m h w"]


def score(decode: Decode, frozen: Frozen, aligned: Aligned, batch_size: int) -> Scored:
    """The scores of all entries, at least one."""
    parts = []
    for decoded, frames in _paint(decode, frozen, aligned, batch_size):
        errors = jnp.square(decoded.frames - frames).mean((1, 2, 3))
        parts.append(Scored(np.asarray(errors), np.asarray(decoded.masks.argmax(1))))
    return _joined(parts, aligned)


def painted(
    decode: Decode, frozen: Frozen, aligned: Aligned, batch_size: int
) -> tuple[Decoded, Float[np.ndarray, "m h w c"]]:
    """All entries decoded, and the frames that they stand for, as NumPy arrays."""
    parts = [jax.tree.map(np.asarray, part) for part in _paint(decode, frozen, aligned, batch_size)]
    return _joined(parts, aligned)


def _paint(decode: Decode, frozen: Frozen, aligned: Aligned, batch_size: int) -> Iterator[tuple[Decoded, Array]]:
    """Decoded and true frames, in batches of one shape: the last one is filled up with the last entry."""
    assert frozen.read is not None
    last = len(aligned.clips) - 1
    for start in range(0, last + 1, batch_size):
        chosen = np.minimum(np.arange(start, start + batch_size), last)
        clips, times = aligned.clips[chosen], aligned.times[chosen]
        yield decode(aligned.slots[clips, times]), _frames(frozen.read)(frozen.data, clips, times)


def _joined(parts: list[Any], aligned: Aligned) -> Any:
    return jax.tree.map(lambda *arrays: np.concatenate(arrays)[: len(aligned.clips)], *parts)


@lru_cache(maxsize=2)  # val and test of one data set
def _frames(read: Read) -> Callable[[Data, Array, Array], Float[Array, "b h w c"]]:
    return jax.jit(lambda data, clips, times: read(data, clips).frames[jnp.arange(len(times)), times])
