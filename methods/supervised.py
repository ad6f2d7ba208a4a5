"""SUPERVISED: slot j regresses the coordinates of object j; the ceiling of every table (Racah & Chandar 2020).

Departures: slots and objects keep one fixed order (in SCN's code the order came from a set and could differ between
runs, which understates modularity and compactness); targets are standardised by the training frames' mean and standard
deviation, without which short budgets do not converge.

    python run_benchmark.py --methods supervised --suite atari --budget paper

Expected at the paper's budget: mean R2 of .84 over 20 games.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import optax
from flax import nnx

from benchmark.contracts import Loss, Method
from benchmark.modules.slot_encoder import slot_encoder, too_many_slots
from benchmark.registry import methods
from benchmark.types import Array, Batch, DatasetSpec, Float, Key, Slots


class SupervisedModel(nnx.Module):
    """The encoder and one linear read-out, shared by the slots, with one output an axis."""

    def __init__(self, spec: DatasetSpec, num_slots: int, slot_size: int, rngs: nnx.Rngs) -> None:
        axes = sorted({c.axis for c in spec.coordinates})
        self.slot = tuple(c.object for c in spec.coordinates)
        self.axis = tuple(axes.index(c.axis) for c in spec.coordinates)
        self.mean, self.std = spec.coordinate_mean, spec.coordinate_std
        self.encoder = slot_encoder(spec, num_slots, slot_size, rngs)
        self.readout = nnx.Linear(slot_size, len(axes), rngs=rngs)

    def coordinates(self, frames: Float[Array, "b t h w c"]) -> Float[Array, "b t p"]:
        """Standardised coordinates, those of object j from slot j."""
        return self.readout(self.encoder(frames))[..., np.array(self.slot), np.array(self.axis)]

    def standardise(self, coordinates: Float[Array, "b t p"]) -> Float[Array, "b t p"]:
        """(coordinate - mean) / std of the training frames; a coordinate that never moves there stays 0."""
        std = np.array(self.std)
        return (coordinates - np.array(self.mean)) / np.where(std > 0, std, 1)


@methods.register("supervised")
@dataclass(frozen=True, kw_only=True)
class Supervised(Method):
    """Sees the labels, and its name says so."""

    reads_labels = True

    slot_size: int = 32
    num_slots: int | None = None

    def window(self, spec: DatasetSpec) -> int:
        return 1

    def build(self, spec: DatasetSpec, rngs: nnx.Rngs) -> SupervisedModel:
        return SupervisedModel(spec, self.num_slots or spec.num_slots, self.slot_size, rngs)

    def loss(self, model: Any, batch: Batch, key: Key) -> Loss:
        """Smooth L1 (Huber with threshold 1) between predicted and true standardised coordinates."""
        assert batch.labels is not None
        targets = model.standardise(batch.labels.coordinates)
        return optax.huber_loss(model.coordinates(batch.frames), targets).mean(), {}

    def encode(self, model: Any, frames: Float[Array, "b t h w c"]) -> Slots:
        return Slots(model.encoder(frames))

    def supports(self, spec: DatasetSpec) -> str | None:
        if not spec.coordinates:
            return "the data set has no coordinates to learn from"
        slots = self.num_slots or spec.num_slots
        if slots < len(spec.objects):
            return f"slot j learns object j, but there are {slots} slots for {len(spec.objects)} objects"
        return too_many_slots(spec, self.num_slots)
