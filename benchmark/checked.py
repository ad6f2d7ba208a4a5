"""Calls a method's parts; checks what they, and a data set's `load`, give by the contract; an error names the file.

Only shapes and types are looked at, while a program is traced: it costs nothing when the program runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from benchmark.contracts import Dataset, Method, Probe, Splits
from benchmark.errors import UserError
from benchmark.records import digest
from benchmark.registry import source
from benchmark.types import Array, Batch, DatasetSpec, Float, Int, Key, Slots

JSON = "numbers, texts, booleans, None, lists and dicts"
"""What a record can hold."""


def loaded(dataset: Dataset, given: Any) -> Splits:
    """What `load` gave. Raises ValueError unless it is Splits whose frames and labels have the shapes that their spec
    says, some of which count in every split, with facts that a record can hold.
    """
    splits, file = as_splits(dataset, given), source(type(dataset))
    try:
        digest(splits.facts)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{file}: facts hold what is no JSON value ({error}); expected {JSON}") from None
    objects = len(splits.spec.objects)
    for known in splits.spec.coordinates:
        if known.object not in range(objects):
            told = f"{known.name} is of object {known.object!r}; expected one of 0 to {objects - 1}"
            raise ValueError(f"{file}: {told}, as its spec lists {objects}")
    for name in ("train", "probe", "val", "test"):
        split = getattr(splits, name)
        if not np.any(split.valid):
            raise ValueError(f"{file}: {name} has no frame that counts; expected some that are `valid` in each split")
        batch = jax.eval_shape(split.read, split.data, jax.ShapeDtypeStruct((1,), "int32"))
        if batch.frames.ndim != 5 or batch.frames.shape[2:] != splits.spec.frame_shape:
            expected = f"[b t h w c] with (h, w, c) = {splits.spec.frame_shape} as its spec says"
            raise ValueError(f"{file}: {name}.read gave frames of {batch.frames.shape}; expected {expected}")
        if name != "train" and batch.frames.shape[1] != splits.spec.clip_length:
            told = f"{name}.read gave clips of {batch.frames.shape[1]} frames"
            raise ValueError(f"{file}: {told}; expected {splits.spec.clip_length}, the clip_length of its spec")
        labels = getattr(getattr(batch.labels, "coordinates", None), "shape", None)
        if labels is None or len(labels) != 3 or labels[2] != len(splits.spec.coordinates):
            expected = f"[b t p] with p = {len(splits.spec.coordinates)} as its spec says"
            raise ValueError(f"{file}: {name}.read gave coordinates of {labels}; expected {expected}")
        if mistake := _mistake_in_masks(batch, splits.spec):
            raise ValueError(f"{file}: {name}.read gave {mistake}")
    return splits


def _mistake_in_masks(batch: Batch, spec: DatasetSpec) -> str | None:
    masks = getattr(batch.labels, "masks", None)
    if spec.has_masks != (masks is not None):
        return f"{'no ' if masks is None else ''}masks; its spec says has_masks={spec.has_masks}"
    if masks is None or (masks.shape == batch.frames.shape[:4] and jnp.issubdtype(masks.dtype, jnp.integer)):
        return None
    return f"masks {masks.dtype} {list(masks.shape)}; expected integers [b t h w], 0 for the background, j + 1 object j"


def as_splits(dataset: Dataset, given: Any) -> Splits:
    """What `load` gave. Raises UserError unless it is Splits."""
    if not isinstance(given, Splits):
        file = source(type(dataset))
        raise UserError(f"{file}: load gave {in_words(given)}; expected benchmark.contracts.Splits(...)")
    return given


def supports(plugin: Method | Probe, spec: DatasetSpec) -> str | None:
    """Why it does not go with a data set, None if it does. Raises UserError where it says neither."""
    given = plugin.supports(spec)
    if given is None or (isinstance(given, str) and given.strip()):
        return given
    told = f"supports gave {given!r} for {spec.name}; expected None, or a text that says why not"
    raise UserError(f"{source(type(plugin), 'supports')}: {told}")


def build(method: Method, spec: DatasetSpec, rngs: nnx.Rngs) -> nnx.Module:
    """`method.build`. Raises UserError unless it gives a module."""
    given = method.build(spec, rngs)
    if not isinstance(given, nnx.Module):
        _refuse(method, "build", in_words(given), "an nnx.Module")
    return given


def loss(method: Method, model: Any, batch: Batch, key: Key) -> tuple[Float[Array, ""], dict[str, Any]]:
    """`method.loss`. Raises UserError unless it gives a scalar and a dict of scalars."""
    given = method.loss(model, batch, key)
    expected = "the scalar to minimise and a dict of its named parts, which may be empty"
    if not (isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], Mapping)):
        _refuse(method, "loss", in_words(given), expected)
    scalar, logs = given
    if not _is_number(scalar):
        _refuse(method, "loss", f"{in_words(scalar)} to minimise", expected)
    if not jnp.issubdtype(dtype := jnp.result_type(scalar), jnp.floating):
        _refuse(method, "loss", f"a number of {dtype} to minimise", "float32")
    for name, value in logs.items():
        if not _is_number(value):
            _refuse(method, "loss", f"{in_words(value)} as its part {name!r}", expected)
    return scalar, dict(logs)


def encode(method: Method, model: Any, frames: Float[Array, "b t h w c"]) -> Slots:
    """`method.encode`. Raises UserError unless it gives Slots of [b t k d], floats, with masks of [b t k n] if any."""
    given = method.encode(model, frames)
    b, t = frames.shape[:2]
    if not isinstance(given, Slots):
        _refuse(method, "encode", in_words(given), "benchmark.types.Slots(slots)")
    if given.slots.ndim != 4 or given.slots.shape[:2] != (b, t):
        _refuse(method, "encode", f"slots of shape {given.slots.shape}", f"[b t k d] with b = {b}, t = {t}")
    if not jnp.issubdtype(given.slots.dtype, jnp.floating):
        _refuse(method, "encode", f"slots of {given.slots.dtype}", "float32")
    k = given.slots.shape[2]
    if given.masks is not None and (given.masks.ndim != 4 or given.masks.shape[:3] != (b, t, k)):
        expected = f"[b t k n] with b = {b}, t = {t}, k = {k}"
        _refuse(method, "encode", f"masks of shape {given.masks.shape}", expected)
    return given


def predict(
    method: Method, model: Any, slots: Float[Array, "b t k d"], actions: Int[Array, "b t"] | None, steps: int
) -> Float[Array, "b t j k d"]:
    """`method.predict`. Raises UserError unless it gives [b t j k d] with j = steps."""
    given = method.predict(model, slots, actions, steps)
    b, t, k, d = slots.shape
    if jnp.shape(given) != (b, t, steps, k, d):
        expected = f"[b t j k d] with b = {b}, t = {t}, j = {steps}, k = {k}, d = {d}"
        _refuse(method, "predict", in_words(given), expected)
    return given


def _refuse(method: Method, part: str, given: str, expected: str) -> NoReturn:
    raise UserError(f"{source(type(method), part)}: {part} gave {given}; expected {expected}")


def _is_number(given: Any) -> bool:
    kinds = int | float | jax.Array | np.ndarray | np.number | np.bool_ | nnx.Variable
    return isinstance(given, kinds) and getattr(given, "shape", ()) == ()


def in_words(given: Any) -> str:
    """What something is, in a few words."""
    if isinstance(given, jax.Array | jax.core.Tracer | np.ndarray):
        return f"an array of shape {given.shape}"
    return f"a {type(given).__name__} of {len(given)}" if isinstance(given, tuple) else f"a {type(given).__name__}"
