"""The three things one can add: a method, a data set, a probe. Each is a frozen dataclass whose fields are its
configuration, registered under a name (see `registry.py`).

`version` is raised by hand when a change alters the numbers that the class produces; it is part of a run's identity.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from math import inf
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from flax import nnx

from benchmark.errors import UserError
from benchmark.types import Array, Batch, Bool, Data, DatasetSpec, Decoded, Float, Frozen, Int, Key, ProbeResult, Slots

Loss = tuple[Float[Array, ""], dict[str, Float[Array, ""]]]
"""The scalar to minimise and, for readers, its named parts, which a run records beside it."""


def check_counts(plugin: Any) -> None:
    """Raises UserError for a count below 1: a whole number in a field of such, unless it is a seed."""
    for field in fields(plugin):
        value = getattr(plugin, field.name)
        if type(value) is int and value < 1 and "int" in str(field.type) and not field.name.endswith("seed"):
            raise UserError(f"{type(plugin).__name__}: {field.name} is {value}; it must be at least 1")


def check_positive(plugin: Any, *names: str) -> None:
    """Raises UserError where one of these fields, if it has them, is not a finite number above 0."""
    for name in names:
        if not 0 < (value := getattr(plugin, name, 1.0)) < inf:
            raise UserError(f"{type(plugin).__name__}: {name} is {value:g}; it must be a finite number above 0")


def check_window(window: int, length: int) -> None:
    """Raises UserError for a training sample of more frames than the sequences have that it is cut from."""
    if window > length:
        raise UserError(
            f"a training sample of {window} frames does not fit into sequences of {length}; take longer ones, or a "
            f"method whose `window` gives fewer (those that have the field: --set 'methods.*.clip={length}')"
        )


@dataclass(frozen=True, kw_only=True)
class Method(ABC):
    """Learns slots. The defaults of a subclass's fields are its paper's."""

    version: ClassVar[int] = 1
    trains: ClassVar[bool] = True
    """False for an encoder that is probed as it was initialised."""
    reads_labels: ClassVar[bool] = False
    """True only for a ceiling; the engine takes the labels out of every other method's batches."""
    context: ClassVar[int] = 0
    """Frames that `predict` needs; 0 for a method without a transition model."""
    decodes: ClassVar[bool] = False
    """True for a method that trains a decoder of its own, `decode`."""

    learning_rate: float = 3e-4
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        """Raises UserError for a count (slots, sizes, widths) below 1, and for a learning rate or temperature of 0."""
        check_counts(self)
        check_positive(self, "learning_rate", "tau")

    @abstractmethod
    def window(self, spec: DatasetSpec) -> int:
        """Consecutive frames in one training sample."""

    @abstractmethod
    def build(self, spec: DatasetSpec, rngs: nnx.Rngs) -> nnx.Module:
        """A freshly initialised model; all randomness comes from `rngs`."""

    @abstractmethod
    def loss(self, model: Any, batch: Batch, key: Key) -> Loss:
        """The scalar to minimise and its named parts. `batch.frames` is `[b t h w c]` with t = `window(spec)`."""

    @abstractmethod
    def encode(self, model: Any, frames: Float[Array, "b t h w c"]) -> Slots:
        """Slots of every frame; deterministic, and frame t uses frames up to t only."""

    def predict(
        self, model: Any, slots: Float[Array, "b t k d"], actions: Int[Array, "b t"] | None, steps: int
    ) -> Float[Array, "b t j k d"]:
        """Entry [:, t, j] predicts the slots of frame t + 1 + j from those up to frame t, without a further frame.

        Only for `context` > 0; entries with t < context - 1 are not scored.
        """
        raise NotImplementedError(f"{type(self).__name__} has no transition model")

    def decode(self, model: Any, slots: Float[Array, "b k d"]) -> Decoded:
        """Frames from slots by the decoder that was trained with the method. Only where `decodes`."""
        raise NotImplementedError(f"{type(self).__name__} has no decoder")

    def supports(self, spec: DatasetSpec) -> str | None:
        """None, or the reason why this method cannot run on that data set (then the run is skipped)."""
        return None


class Split(ABC):
    """Some frames of a data set. `data` is handed through the compiled step, so it must be a pytree of arrays."""

    data: Data
    valid: Bool[np.ndarray, "i t"]
    """Which entries of the clips count: False for padding, and for held-out frames that an earlier split has too."""

    @abstractmethod
    def sample(self, data: Data, key: Key, batch_size: int, window: int) -> Batch:
        """`batch_size` windows of consecutive frames drawn at random, labels and actions beside them; pure JAX."""

    @abstractmethod
    def read(self, data: Data, clips: Int[Array, " b"]) -> Batch:
        """The clips with those indices (into `valid`), in order; pure JAX."""


@dataclass(frozen=True)
class Splits:
    """A loaded data set: methods learn from `train`; probes are fitted on `probe`, tuned on `val`, scored on `test`.

    `spec` is complete now. `facts` goes into the record as it is (plain JSON values): the hash of the data, frames and
    episodes a split, dropped labels, and whatever else a reader must know.
    """

    spec: DatasetSpec
    train: Split
    probe: Split
    val: Split
    test: Split
    facts: dict[str, Any]


Report = Callable[[str], None]
"""Says in one short line how far a long preparation has come."""


@dataclass(frozen=True, kw_only=True)
class Dataset(ABC):
    """A source of videos with labels. Its own seed is a field and fixed: run seeds never change the frames."""

    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        """Raises UserError for a count (frames, sizes) below 1."""
        check_counts(self)

    @abstractmethod
    def spec(self) -> DatasetSpec:
        """What is known without touching a frame; takes milliseconds."""

    @abstractmethod
    def load(self, cache: Path, report: Report) -> Splits:
        """The data, generated or collected into `cache` if they are not there yet.

        Raises UserError when they cannot be had (a missing ROM, a full disk).
        """

    def missing(self, cache: Path) -> tuple[int, int]:
        """(bytes of disk, raw emulator frames) that `load` still has to spend; (0, 0) when all is there.

        Raises UserError when they cannot be had.
        """
        return 0, 0

    def held(self) -> int:
        """Bytes of memory that the loaded frames take, in each process that works on them; 0 where it is not much."""
        return 0


@dataclass(frozen=True, kw_only=True)
class Probe(ABC):
    """Asks a frozen representation one question. It gets arrays, never a model: no gradient can reach the encoder."""

    version: ClassVar[int] = 1
    horizon: ClassVar[int] = 0
    """Steps ahead that it needs predicted; 0 for a probe that asks about the present only."""
    optional: ClassVar[bool] = False
    """True for a probe that is asked only where its name is given."""
    reads_decoder: ClassVar[bool] = False
    """True for one that asks the decoder too which was trained with the method, `Frozen.decode`."""

    def __post_init__(self) -> None:
        """Raises UserError for a count (steps, draws) below 1."""
        check_counts(self)

    @abstractmethod
    def __call__(self, train: Frozen, val: Frozen, test: Frozen, key: Key) -> ProbeResult:
        """Fit on `train`, tune on `val`, report on `test`."""

    def supports(self, spec: DatasetSpec) -> str | None:
        """None, or the reason why this question makes no sense on that data set."""
        return None

    def pixels_learned(self, spec: DatasetSpec) -> int:
        """How many pixels its decoder is trained on at most, each once a slot: for a first guess of its time."""
        return 0
