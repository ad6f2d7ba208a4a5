"""What travels between data sets, methods, probes and the engine.

One letter a dimension: `b` batch, `t` time, `u` predicted frames, `j` steps ahead, `k` slots, `d` slot size, `n`
positions, `f` features, `a` actions, `o` objects, `p` coordinates, `h w c` image, `y x` rows and columns of a map of
features, `i` clips of a split, `m` entries of a split that count.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

Data = Any  # a pytree of arrays; what it holds is the split's own affair
Key = PRNGKeyArray | jax.Array


@dataclass(frozen=True)
class Coordinate:
    """One number that tells where an object is: the unit of slot accuracy.

    `name` is unique in its data set ("ball_x"), `object` indexes `DatasetSpec.objects`, `axis` is "x" or "y". With
    `pixel` (scale, offset) the object is seen at column or row scale * value + offset of the frame; None: not known.
    """

    name: str
    object: int
    axis: str
    pixel: tuple[float, float] | None = None


@dataclass(frozen=True)
class DatasetSpec:
    """What a method may know of a data set before it sees a frame; arrays of frames are float32 in `frame_range`.

    `frame_shape` is (height, width, channels). `objects` are their names, in the order that labels number them;
    `has_masks` tells whether labels say which of them is seen at each pixel. `backbone` names the convolutions that
    suit the frames, a key of `benchmark.modules.backbones.BACKBONES`. `coordinates`, `coordinate_mean` and
    `coordinate_std` (statistics of the training frames, one number a coordinate) are known only once the data are
    loaded; before that `coordinates` lists every candidate and the statistics are empty. `num_actions` 0 means that
    nobody acts. `clip_length` is the length of the sequences that are encoded and probed, `training_window` that of
    a training sample for methods that learn from as many frames as given. `actions_per_object` above 0 means that
    action a does a % actions_per_object to object a // actions_per_object. `slot_size` is that of the data set's
    own paper, for methods that are asked to take it.
    """

    name: str
    frame_shape: tuple[int, int, int]
    frame_range: tuple[float, float]
    num_slots: int
    objects: tuple[str, ...]
    backbone: str
    clip_length: int
    training_window: int
    num_actions: int = 0
    actions_per_object: int = 0
    slot_size: int | None = None
    coordinates: tuple[Coordinate, ...] = ()
    coordinate_mean: tuple[float, ...] = ()
    coordinate_std: tuple[float, ...] = ()
    has_masks: bool = False

    def measured(self, coordinates: Float[np.ndarray, "*b p"]) -> DatasetSpec:
        """With the mean and the standard deviation of these coordinates; 1 for one that never changes."""
        rows = coordinates.reshape(math.prod(coordinates.shape[:-1]), -1).astype(np.float64)
        mean, std = rows.mean(0), rows.std(0)
        std[std == 0] = 1.0
        return replace(self, coordinate_mean=tuple(mean.tolist()), coordinate_std=tuple(std.tolist()))


class Labels(NamedTuple):
    """Ground truth of the same instants as the frames beside it.

    `coordinates`: float32 in the data set's own unit (bytes of RAM on Atari, cells or pixels on
    synthetic videos).
    `masks`: which object is seen at each pixel, 0 the background, j + 1 object j.
    """

    coordinates: Float[Array, "*b p"]
    masks: Int[Array, "*b h w"] | None = None


class Batch(NamedTuple):
    """Windows of consecutive frames. `actions[:, t]` was taken after frame t and leads to frame t + 1."""

    frames: Float[Array, "b t h w c"]
    actions: Int[Array, "b t"] | None = None
    labels: Labels | None = None


class Slots(NamedTuple):
    """A representation: k vectors a frame and, where the encoder has them, its own soft masks over n positions."""

    slots: Float[Array, "b t k d"]
    masks: Float[Array, "b t k n"] | None = None


class Decoded(NamedTuple):
    """A frame as a mixture of what each slot paints, and how much each counts; `masks` sum to 1 over slots."""

    frames: Float[Array, "*b h w c"]
    masks: Float[Array, "*b k h w"]


@dataclass(frozen=True)
class Frozen:
    """One split seen through a trained encoder, as NumPy arrays: all that a probe gets.

    `valid` is False where a clip was padded, or an earlier split has the same frame; such entries must not be scored.
    `predicted[:, t, j]` are the slots of frame t + 1 + j, predicted from those up to frame t by a method that needs
    `context` frames for it; entries with t < context - 1, or beyond the clip's end, mean nothing. None: the method
    does not predict, or no probe of the suite asked.
    The arrays are shared by all probes of a run, so they cannot be written to: work on a copy, or assign anew.
    `read(data, clips)` gives the frames of clips as `Split.read` does, inside or outside a compiled step.
    `decode` is the decoder that the method trained for itself, if it has one. `say` tells the user how far a probe
    that takes long has come.
    """

    slots: Float[np.ndarray, "i t k d"]
    labels: Labels
    valid: Bool[np.ndarray, "i t"]
    spec: DatasetSpec
    masks: Float[np.ndarray, "i t k n"] | None = None
    predicted: Float[np.ndarray, "i t j k d"] | None = None
    context: int = 0
    data: Data = None
    read: Callable[[Data, Int[Array, " b"]], Batch] | None = None
    decode: Callable[[Float[Array, "b k d"]], Decoded] | None = None
    say: Callable[[str], None] = lambda text: None

    def __post_init__(self) -> None:
        for name in ("slots", "labels", "valid", "masks", "predicted"):
            object.__setattr__(self, name, jax.tree.map(_read_only, getattr(self, name)))


def _read_only(array: np.ndarray) -> np.ndarray:
    """The same numbers; NumPy raises ValueError where they are assigned to."""
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True)
class Metric:
    """One number of one probe: `value` None means undefined, which is neither 0 nor left out in silence.

    `higher_is_better` None: neither more nor less is better.
    """

    metric: str
    target: str
    value: float | None
    higher_is_better: bool | None = True
    split: str = "test"


@dataclass(frozen=True)
class ProbeResult:
    """What a probe found: `metrics` for the tables, `arrays` for figures, of at most `benchmark.answers.ARRAYS_LIMIT`
    bytes in all, `notes` for the record's reader.
    """

    metrics: tuple[Metric, ...]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
