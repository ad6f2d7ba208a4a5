"""A split seen through a trained encoder, once: what all probes of a run share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from flax import nnx

from benchmark import checked
from benchmark.contracts import Method, Split
from benchmark.machine import compile_, jit_once
from benchmark.types import Array, Batch, Data, DatasetSpec, Decoded, Float, Frozen, Labels, Slots

FRAMES_PER_CALL = 128


@dataclass
class Encoder:
    """A method's `encode` and `predict` on clips of one data set; compiled once, used for all splits and seeds.

    `horizon` is how many steps ahead the probes want predicted.
    """

    method: Method
    spec: DatasetSpec
    horizon: int = 0
    _compiled: dict[Any, Any] = field(default_factory=dict)

    def freeze(self, model: nnx.Module, split: Split, reader: Reader) -> Frozen:
        """Slots, masks, predictions and labels of every clip, as NumPy arrays.

        Raises ValueError when `encode` or `predict` gives another shape than it must, or a slot that is not finite.
        """
        model.eval()
        graph, state = nnx.split(model)
        outputs = [self._encode(graph, state, batch) for batch in reader.batches(split)]
        (slots, masks), predicted = jax.tree.map(lambda *parts: np.concatenate(parts)[: len(split.valid)], *outputs)
        if not np.isfinite(slots[split.valid]).all():
            raise ValueError("the encoder gives slots that are not finite")
        return Frozen(
            slots=slots,
            masks=masks,
            predicted=predicted,
            context=self.method.context,
            labels=reader.labels(split),
            valid=split.valid,
            spec=self.spec,
            data=split.data,
            read=split.read,
            decode=self._decoder(graph, state) if self.method.decodes else None,
        )

    def _encode(self, graph: Any, state: Any, batch: Batch) -> tuple[Slots, np.ndarray | None]:
        if graph not in self._compiled:
            self._compiled[graph] = compile_(self._forward(graph), state, batch)
        return jax.tree.map(np.asarray, self._compiled[graph](state, batch))

    def _forward(self, graph: Any) -> Callable[[Any, Batch], tuple[Slots, Array | None]]:
        def forward(state: Any, batch: Batch) -> tuple[Slots, Array | None]:
            model = nnx.merge(graph, state)
            encoded = checked.encode(self.method, model, batch.frames)
            if not (self.horizon and self.method.context):
                return encoded, None
            return encoded, checked.predict(self.method, model, encoded.slots, batch.actions, self.horizon)

        return forward

    def _decoder(self, graph: Any, state: Any) -> Callable[[Float[Array, "b k d"]], Decoded]:
        return jax.jit(lambda slots: self.method.decode(nnx.merge(graph, state), slots))


@dataclass
class Reader:
    """Reads the clips of splits in batches of one shape; the labels of a split are read once for all runs."""

    clips_per_call: int
    _read: dict[int, Callable[[Data, Any], Batch]] = field(default_factory=dict)
    _labels: dict[int, Any] = field(default_factory=dict)

    def batches(self, split: Split) -> Iterator[Batch]:
        """Batches of `clips_per_call` clips, without labels; the last one is filled up with clip 0."""
        if id(split) not in self._read:
            self._read[id(split)] = jax.jit(lambda data, clips: split.read(data, clips)._replace(labels=None))
        for start in range(0, len(split.valid), self.clips_per_call):
            clips = np.arange(start, start + self.clips_per_call)
            yield self._read[id(split)](split.data, np.where(clips < len(split.valid), clips, 0))

    def labels(self, split: Split) -> Labels:
        """The labels of all clips, as NumPy arrays [i t ...]."""
        if id(split) not in self._labels:
            read = jit_once(lambda data, clips: split.read(data, clips).labels)
            self._labels[id(split)] = jax.tree.map(np.asarray, read(split.data, np.arange(len(split.valid))))
        return self._labels[id(split)]


def reader(spec: DatasetSpec) -> Reader:
    """A reader whose batches hold about FRAMES_PER_CALL frames."""
    return Reader(max(1, FRAMES_PER_CALL // spec.clip_length))
