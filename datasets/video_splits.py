"""Splits of synthetic videos: those held in memory, and those that are made while they are asked for."""

from collections.abc import Callable

import jax
import numpy as np

from benchmark.contracts import Split
from benchmark.types import Array, Batch, Data, Int, Key
from datasets.video import Video, cut, paint


class Clips(Split):
    """Videos in memory; a sample is a window from a video drawn at random, both uniform."""

    def __init__(self, video: Video) -> None:
        self.data = video
        self.valid = np.ones(video.masks.shape[:2], bool)

    def sample(self, data: Data, key: Key, batch_size: int, window: int) -> Batch:
        which, when = jax.random.split(key)
        clips = jax.random.randint(which, (batch_size,), 0, data.masks.shape[0])
        return paint(cut(_take(data, clips), when, window))

    def read(self, data: Data, clips: Int[Array, " b"]) -> Batch:
        return paint(_take(data, clips))


class Stream(Split):
    """Videos without end: every sample makes new ones from its key.

    Clip i of the `size` that `read` knows is the video of key i in `clip_keys(key, ...)`.
    """

    def __init__(self, make: Callable[[Key], Video], key: Key, size: int, length: int) -> None:
        self.make, self.key = jax.vmap(make), key
        self.data = ()
        self.valid = np.ones((size, length), bool)

    def sample(self, data: Data, key: Key, batch_size: int, window: int) -> Batch:
        which, when = jax.random.split(key)
        return paint(cut(self.make(jax.random.split(which, batch_size)), when, window))

    def read(self, data: Data, clips: Int[Array, " b"]) -> Batch:
        return paint(self.make(clip_keys(self.key, clips)))


def clip_keys(key: Key, clips: Int[Array, " b"]) -> Key:
    """The keys [b] of clips with these numbers, independent of how many there are."""
    return jax.vmap(lambda clip: jax.random.fold_in(key, clip))(clips)


def _take(video: Video, clips: Int[Array, " b"]) -> Video:
    return Video(*(array[clips] for array in video))
