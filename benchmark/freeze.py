"""A split seen through a trained encoder, once: what all probes of a run share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from flax import nnx

from benchmark.contracts import Method, Split
from benchmark.machine import compile_
from benchmark.types import Array, Batch, Data, DatasetSpec, Float, Frozen, Slots

FRAMES_PER_CALL = 128


@dataclass
class Encoder:
    """A method's `encode` on clips of one data set; compiled once and used for all splits and seeds."""

    method: Method
    spec: DatasetSpec
    _compiled: dict[Any, Any] = field(default_factory=dict)

    def freeze(self, model: nnx.Module, split: Split, reader: Reader) -> Frozen:
        """Slots, masks and labels of every clip, as NumPy arrays.

        Raises ValueError when `encode` does not give `[b t k d]`, or gives a slot that is not finite.
        """
        model.eval()
        graph, state = nnx.split(model)
        outputs = [self._encode(graph, state, batch.frames) for batch in reader.batches(split)]
        labels = reader.labels(split)
        clips = len(split.valid)
        slots, masks = jax.tree.map(lambda *parts: np.concatenate(parts)[:clips], *outputs)
        if not np.isfinite(slots[split.valid]).all():
            raise ValueError("the encoder gives slots that are not finite")
        return Frozen(slots=slots, masks=masks, labels=labels, valid=split.valid, spec=self.spec)

    def _encode(self, graph: Any, state: Any, frames: Float[Array, "b t h w c"]) -> Slots:
        if graph not in self._compiled:

            def encode(state: Any, frames: Float[Array, "b t h w c"]) -> Slots:
                return self.method.encode(nnx.merge(graph, state), frames)

            shape = jax.eval_shape(encode, state, frames).slots.shape
            if len(shape) != 4 or shape[:2] != frames.shape[:2]:
                b, t = frames.shape[:2]
                raise ValueError(f"encode gave slots of shape {shape}; expected [b t k d] with b = {b}, t = {t}")
            self._compiled[graph] = compile_(encode, state, frames)
        return jax.tree.map(np.asarray, self._compiled[graph](state, frames))


@dataclass
class Reader:
    """Reads the clips of splits in batches of one shape; the labels of a split are read once for all runs."""

    clips_per_call: int
    _read: dict[int, Callable[[Data, Any], Batch]] = field(default_factory=dict)
    _labels: dict[int, Any] = field(default_factory=dict)

    def batches(self, split: Split) -> list[Batch] | Any:
        """Batches of `clips_per_call` clips; the last one is filled up with clip 0."""
        read = self._read.setdefault(id(split), jax.jit(split.read))
        count = len(split.valid)
        for start in range(0, count, self.clips_per_call):
            clips = np.arange(start, start + self.clips_per_call)
            yield read(split.data, np.where(clips < count, clips, 0))

    def labels(self, split: Split) -> Any:
        """The labels of all clips, as NumPy arrays [i t ...]."""
        if id(split) not in self._labels:
            read = jax.jit(lambda data, clips: split.read(data, clips).labels)
            self._labels[id(split)] = jax.tree.map(np.asarray, read(split.data, np.arange(len(split.valid))))
        return self._labels[id(split)]


def reader(spec: DatasetSpec) -> Reader:
    """A reader whose batches hold about FRAMES_PER_CALL frames."""
    return Reader(max(1, FRAMES_PER_CALL // spec.clip_length))
