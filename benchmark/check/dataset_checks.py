"""What any data set must keep. Each check takes a `Source`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from benchmark import checked
from benchmark.check import outcome
from benchmark.check.outcome import Check
from benchmark.contracts import Dataset, Split, Splits
from benchmark.errors import UserError
from benchmark.modules.backbones import BACKBONES
from benchmark.modules.slot_encoder import slot_encoder
from benchmark.types import Array, Batch, Data, DatasetSpec, Key

BATCH = 3

CHUNK = 64
"""Clips that are compared at once."""


@dataclass(frozen=True)
class Source:
    """A configured data set and what it loads."""

    dataset: Dataset
    splits: Splits

    @property
    def spec(self) -> DatasetSpec:
        """As completed by `load`."""
        return self.splits.spec

    @cached_property
    def clips(self) -> dict[str, Batch]:
        """The first clips of each split."""
        splits = {name: getattr(self.splits, name) for name in ("train", "probe", "val", "test")}
        return {name: _first_clips(split) for name, split in splits.items()}

    @cached_property
    def sample(self) -> Callable[[int], Batch]:
        """A training sample from a seed, compiled."""
        train, window = self.splits.train, self.spec.training_window
        compiled = jax.jit(lambda data, key: train.sample(data, key, BATCH, window))
        return lambda seed: compiled(train.data, jax.random.key(seed))


def _first_clips(split: Split) -> Batch:
    return jax.jit(split.read)(split.data, np.arange(min(BATCH, len(split.valid))))


def settings_are_plain_values(source: Source) -> str | None:
    return outcome.settings_are_plain_values(source.dataset)


def load_completes_the_spec_and_changes_nothing_else(source: Source) -> str | None:
    before, after = source.dataset.spec(), source.spec
    known: dict[str, Any] = {"coordinates": before.coordinates, "coordinate_mean": (), "coordinate_std": ()}
    if replace(after, **known) != replace(before, **known):
        return f"load gave {after}; expected spec()'s {before} with coordinates and their statistics"
    if strange := set(after.coordinates) - set(before.coordinates):
        return f"load knows coordinates that spec() does not list: {sorted(c.name for c in strange)}"
    if not np.isfinite([*after.coordinate_mean, *after.coordinate_std]).all():
        return f"means {after.coordinate_mean} and deviations {after.coordinate_std}; expected finite numbers"
    counts = [len(part) for part in (after.coordinates, after.coordinate_mean, after.coordinate_std)]
    return f"{counts} coordinates, means and standard deviations; expected as many" if len(set(counts)) > 1 else None


def the_spec_fits_together(source: Source) -> str | None:
    spec = source.spec
    names = [c.name for c in spec.coordinates]
    for field in ("num_slots", "clip_length", "training_window"):
        if type(count := getattr(spec, field)) is not int or count < 1:
            return f"{field} is {count!r}; expected a whole number of at least 1"
    if spec.backbone not in BACKBONES:
        return f"backbone {spec.backbone!r}; expected one of {', '.join(BACKBONES)}"
    if len(set(names)) < len(names):
        return "two coordinates have one name; expected each its own"
    if any(c.axis not in ("x", "y") or c.object not in range(len(spec.objects)) for c in spec.coordinates):
        return f"a coordinate's axis is not x or y, or its object is none of the {len(spec.objects)}"
    if not 1 <= spec.training_window <= spec.clip_length:
        return f"training_window {spec.training_window}; expected 1 to clip_length, which is {spec.clip_length}"
    return None


def its_backbone_takes_its_frames(source: Source) -> str | None:
    spec = source.spec
    if spec.backbone not in BACKBONES:
        return "there is none of that name"
    try:
        jax.eval_shape(lambda: nnx.state(slot_encoder(spec, spec.num_slots, spec.slot_size or 32, nnx.Rngs(0))))
    except UserError as error:
        return str(error)
    return None


def a_run_takes_what_it_loads(source: Source) -> str | None:
    try:
        checked.loaded(source.dataset, source.splits)
    except ValueError as error:
        return str(error)
    return None


def coordinates_are_finite(source: Source) -> str | None:
    """In all frames that probes read, as far as they count."""
    for name in ("probe", "val", "test"):
        known = _coordinates(getattr(source.splits, name))
        if wrong := int((~np.isfinite(known)).any(-1).sum()):
            return f"{wrong} frames of {name} have coordinates that are not finite; leave them out by `valid`"
    return None


def _coordinates(split: Split) -> np.ndarray:
    """Of the frames that count [frames p]."""
    labels = jax.jit(lambda data, clips: split.read(data, clips).labels)(split.data, np.arange(len(split.valid)))
    return np.asarray(labels.coordinates)[split.valid]


def every_coordinate_changes(source: Source) -> str | None:
    """In the frames that probes are fitted on, as far as they count."""
    names, known = [c.name for c in source.spec.coordinates], _coordinates(source.splits.probe)
    columns = zip(names, known.T, strict=False)  # that there are as many, another check asks
    still = [f"{name} is {values[0]:g}" for name, values in columns if not np.ptp(values)]
    return f"{', '.join(still)} in every frame of probe; leave out what never changes" if still else None


def clips_have_the_shape_that_the_spec_says(source: Source) -> str | None:
    for name, clips in source.clips.items():
        valid = getattr(source.splits, name).valid
        # What is only trained on may come in longer episodes: it is never encoded whole.
        length = valid.shape[-1] if name == "train" else source.spec.clip_length
        if valid.ndim != 2 or valid.shape[1] != length or not valid.any():
            return f"{name}.valid has shape {valid.shape}; expected [clips {length}], not all False"
        if wrong := _wrong(clips, source.spec, (min(BATCH, len(valid)), length)):
            return f"{name}.read: {wrong}"
    return None


def frames_use_the_range_that_the_spec_says(source: Source) -> str | None:
    """Frames that use next to none of it are mostly on another scale, such as [0, 1] declared as [0, 255]."""
    low, high = source.spec.frame_range
    frames = [np.asarray(clips.frames) for clips in source.clips.values()]
    least, most = min(part.min() for part in frames), max(part.max() for part in frames)
    if (most - least) * 50 >= high - low:
        return None
    return f"frames go from {least:g} to {most:g}; expected more of the frame_range, which is {low:g} to {high:g}"


def samples_have_the_shape_that_the_spec_says(source: Source) -> str | None:
    train, window = source.splits.train, source.spec.training_window
    if wrong := _wrong(source.sample(0), source.spec, (BATCH, window)):
        return f"train.sample with a window of {window}: {wrong}"
    single = jax.eval_shape(lambda data, key: train.sample(data, key, BATCH, 1), train.data, jax.random.key(0))
    expected = (BATCH, 1, *source.spec.frame_shape)
    if single.frames.shape == expected:
        return None
    return f"train.sample with a window of 1 gave frames of shape {single.frames.shape}; expected {expected}"


def samples_depend_on_the_key_alone(source: Source) -> str | None:
    train, window = source.splits.train, source.spec.training_window
    first, again, other = (source.sample(key) for key in (0, 0, 1))

    def sample(data: Data, key: Key) -> Batch:
        return train.sample(data, key, BATCH, window)

    if not outcome.same_bits(first, again) or outcome.draws_outside_jax(sample, train.data, jax.random.key(0)):
        return "one key gives two samples; expected all randomness to come from `key`"
    return "two keys give the same sample; expected draws at random" if outcome.same_bits(first, other) else None


def test_is_kept_apart(source: Source) -> str | None:
    """No clip of it is in another split, as far as it counts."""
    test, valid = _prints(source.splits.test), source.splits.test.valid
    for name in ("train", "probe", "val"):
        other = _prints(getattr(source.splits, name))
        length = min(test.shape[1], other.shape[1])
        shared = _shared(test[:, :length], other[:, :length], valid[:, :length])
        if shared:
            (i, j), more = shared[0], len(shared) - 1
            others = f", and {more} more are" if more else ""
            return f"clip {i} of test is clip {j} of {name}{others}; expected clips kept apart"
    return None


def _shared(clips: np.ndarray, others: np.ndarray, counts: np.ndarray) -> list[tuple[int, int]]:
    """Which clips [clips t 2] have the frames of another one where they count, and which one that is."""
    found = []
    for pattern in np.unique(counts[counts.any(1)], axis=0):
        known = {other[pattern].tobytes(): j for j, other in reversed([*enumerate(others)])}
        same = np.flatnonzero((counts == pattern).all(1))
        found += [(int(i), known[key]) for i in same if (key := clips[i, pattern].tobytes()) in known]
    return sorted(found)


def _prints(split: Split) -> np.ndarray:
    """Two numbers for each frame [clips t 2], which equal frames share and others do not, but for bad luck."""

    @jax.jit
    def prints(data: Data, clips: Array) -> Array:
        frames = split.read(data, clips).frames
        bits = jax.lax.bitcast_convert_type(frames, jnp.uint32).reshape(*frames.shape[:2], 1, -1)
        return (bits * (jax.random.bits(jax.random.key(0), (2, bits.shape[-1])) | 1)).sum(-1)

    every = np.arange(len(split.valid))
    parts = [prints(split.data, every[start : start + CHUNK]) for start in range(0, len(every), CHUNK)]
    return np.concatenate([np.asarray(part) for part in parts])


CHECKS: tuple[Check, ...] = (
    settings_are_plain_values,
    load_completes_the_spec_and_changes_nothing_else,
    the_spec_fits_together,
    its_backbone_takes_its_frames,
    a_run_takes_what_it_loads,
    coordinates_are_finite,
    every_coordinate_changes,
    clips_have_the_shape_that_the_spec_says,
    frames_use_the_range_that_the_spec_says,
    samples_have_the_shape_that_the_spec_says,
    samples_depend_on_the_key_alone,
    test_is_kept_apart,
)


def _wrong(batch: Batch, spec: DatasetSpec, shape: tuple[int, int]) -> str | None:
    """What does not fit in a batch of [b t]: frames and their range, actions, labels."""
    low, high = spec.frame_range
    arrays: dict[str, tuple[Any, tuple[int, ...], str, float, float]] = {}
    arrays["frames"] = (batch.frames, spec.frame_shape, "float32", low, high)
    if spec.num_actions:
        arrays["actions"] = (batch.actions, (), "int32", 0, spec.num_actions - 1)
    labels = batch.labels
    if labels is None:
        return f"no labels; expected coordinates [b t {len(spec.coordinates)}] beside the frames"
    arrays["labels.coordinates"] = (labels.coordinates, (len(spec.coordinates),), "float32", -np.inf, np.inf)
    if spec.has_masks:
        arrays["labels.masks"] = (labels.masks, spec.frame_shape[:2], "int32", 0, len(spec.objects))
    for name, (array, rest, kind, least, most) in arrays.items():
        if wrong := _array_wrong(array, (*shape, *rest), kind, least, most):
            return f"{name}: {wrong}"
    return None


def _array_wrong(array: Any, shape: tuple[int, ...], kind: str, least: float, most: float) -> str | None:
    expected = f"expected {kind} {list(shape)} from {least} to {most}"
    if array is None:
        return f"missing; {expected}"
    if array.shape != shape or np.dtype(array.dtype).kind not in {"float32": "f", "int32": "iu"}[kind]:
        return f"{array.dtype} {list(array.shape)}; {expected}"
    values = np.asarray(array)
    if not np.isfinite(values).all():
        return f"values that are not finite; {expected}"
    if values.size and not (values.min() >= least and values.max() <= most):
        return f"values from {values.min()} to {values.max()}; {expected}"
    return None
