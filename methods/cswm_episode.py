"""C-SWM with negatives from the same episode (Biza, van der Pol & Kipf 2021, arXiv 2107.11676).

A state of another episode can be told from the true one by what never changes in an episode, such as the background.
With probability `in_episode` the negative is another state of the same episode instead, which differs by what moves.
All else is C-SWM's.

Departures: a sample is a window of `episode_frames` consecutive frames and stands for the episode, so in-episode
negatives are fewer than so many frames away, where the paper's come from all of it. Every pair of consecutive frames in
the window is a positive: a step has as many frames as any method's, from a quarter of C-SWM's samples, but 7 pairs
where C-SWM has 4. A negative is never the very state that it is held against.

    python run_benchmark.py --methods cswm-episode --suite atari

No score to expect on this data; cswm is the one to compare it with.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from benchmark.contracts import Loss
from benchmark.errors import UserError
from benchmark.modules.contrastive import check_negatives
from benchmark.registry import methods
from benchmark.types import Array, Batch, DatasetSpec, Float, Key
from methods.cswm import CSWM


@methods.register("cswm-episode")
@dataclass(frozen=True, kw_only=True)
class CSWMEpisode(CSWM):
    """`in_episode` is a probability; samples have `episode_frames` frames, fewer where the data set's clips have."""

    in_episode: float = 0.5
    episode_frames: int = 8

    def __post_init__(self) -> None:
        """Raises UserError for a probability out of its range."""
        super().__post_init__()
        if not 0 <= self.in_episode <= 1:
            raise UserError(f"CSWMEpisode: in_episode is {self.in_episode}; it must be from 0 to 1")

    def window(self, spec: DatasetSpec) -> int:
        return min(self.episode_frames, spec.clip_length)

    def supports(self, spec: DatasetSpec) -> str | None:
        if self.window(spec) < 3:
            return f"a pair and a negative are three frames of an episode, but samples have {self.window(spec)}"
        return super().supports(spec)

    def loss(self, model: Any, batch: Batch, key: Key) -> Loss:
        if self.in_episode < 1:
            check_negatives(len(batch.frames))
        slots = model.encoder(batch.frames)
        now, later = _pairs(slots[:, :-1]), _pairs(slots[:, 1:])
        change = model.transition(now, None if batch.actions is None else batch.actions[:, :-1].reshape(-1))
        against, target = {"next": (later, 1), "current": (now, 0)}[self.negative]
        negative = _pairs(negatives(slots, target, self.in_episode, key))
        return self.contrast(now + change, later, negative, against)


def negatives(slots: Float[Array, "b t k d"], target: int, in_episode: float, key: Key) -> Float[Array, "b t-1 k d"]:
    """For the pair of frames t and t + 1: with that probability any frame of the window but t + `target`, each equally
    likely, else frame t of the next sample in the batch, as in C-SWM.
    """
    b, t = slots.shape[:2]
    coin, which = jax.random.split(key)
    frame = jnp.arange(t - 1) + target + jax.random.randint(which, (b, t - 1), 1, t)
    inside = jnp.take_along_axis(slots, (frame % t)[..., None, None], axis=1)
    chosen = jax.random.bernoulli(coin, in_episode, (b, t - 1))
    return jnp.where(chosen[..., None, None], inside, jnp.roll(slots[:, :-1], 1, axis=0))


def _pairs(slots: Float[Array, "b t k d"]) -> Float[Array, "bt k d"]:
    return slots.reshape(-1, *slots.shape[2:])
