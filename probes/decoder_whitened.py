"""What a decoder makes of slots whose every direction has the same scale.

A decoder learns by gradient descent, and finds late what few and faint directions of a slot tell: it paints the objects
that much of the variance speaks of and leaves the others out. A linear regression does not mind. Here both see alike:
the principal directions of each slot are scaled to variance 1 on the probe's training frames. That map is linear and
one to one, so it adds nothing to the slots and takes nothing from them. A slot that is constant tells nothing and is
shown as zeros.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from benchmark.registry import probes
from benchmark.types import Float, Frozen, Key, ProbeResult
from probes.decoder import Decoder

FAINTEST = 1e-5
"""As a share of a slot's largest variance: what has less is scaled as if it had as much."""


@probes.register("decoder-whitened")
@dataclass(frozen=True, kw_only=True)
class DecoderWhitened(Decoder):
    """As `decoder`, on whitened slots of the frame itself. Asked only by its name.

    As each slot has a map of its own, a slot's number stands beside its values: one decoder serves all slots. Predicted
    slots are not asked about, as they are off by many times what a faint direction varies; nor is a method's own
    decoder.
    """

    optional: ClassVar[bool] = True
    reads_decoder: ClassVar[bool] = False
    horizon: ClassVar[int] = 0

    def __call__(self, train: Frozen, val: Frozen, test: Frozen, key: Key) -> ProbeResult:
        """As `Decoder`'s; the maps are fitted on `train` alone."""
        if not train.valid.any():
            return super().__call__(train, val, test, key)
        maps = whitening(train.slots[train.valid])
        train, val, test = (_seen_through(maps, split) for split in (train, val, test))
        return super().__call__(train, val, test, key)


Maps = tuple[Float[np.ndarray, "k d"], Float[np.ndarray, "k d d"]]


def whitening(slots: Float[np.ndarray, "m k d"]) -> Maps:
    """For every slot its mean and the matrix that takes what differs from it to variance 1 in each direction.

    A slot that varies by no more than float32 rounds it has no such direction: its matrix is 0.
    """
    values = slots.astype(np.float64)
    centres = values.mean(0)
    covariances = np.einsum("mkd,mke->kde", values - centres, values - centres) / len(values)
    variances, directions = np.linalg.eigh(covariances)
    largest = variances.max(-1, keepdims=True)
    rounding = np.finfo(np.float32).eps ** 2 * np.square(values).mean(0).sum(-1, keepdims=True)
    counted = np.where(largest > rounding, np.maximum(variances, FAINTEST * largest), np.inf)
    return centres, directions / np.sqrt(counted)[:, None]


def _seen_through(maps: Maps, split: Frozen) -> Frozen:
    return replace(split, slots=whitened(maps, split.slots), predicted=None, decode=None)


def whitened(maps: Maps, slots: Float[np.ndarray, "*b k d"]) -> Float[np.ndarray, "*b k e"]:
    """Slots as their maps show them, the number of the slot as one of K behind: e = d + k."""
    centres, matrices = maps
    values = np.einsum("...kd,kde->...ke", slots - centres, matrices)
    numbers = np.broadcast_to(np.eye(slots.shape[-2]), (*slots.shape[:-1], slots.shape[-2]))
    return np.concatenate([values, numbers], axis=-1).astype(np.float32)
