"""Slot Attention (Locatello et al. 2020, arXiv 2006.15055), as Löwe et al. 2020 use it."""

from math import prod
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from flax import nnx

from benchmark.modules.mlp import MLP
from benchmark.modules.position import PositionedFeatures
from benchmark.modules.rows import by_rows
from benchmark.types import Array, DatasetSpec, Float, Key, Slots

EPSILON = 1e-8
"""Added to every attention weight before they are divided by their sum."""


class SlotAttention(nnx.Module):
    """Slots compete for positions; `iterations` times each slot is updated from the positions that it won.

    a = softmax over slots of k(h) . q(c) / sqrt(D), u = mean of v(h) over positions weighted by a (Eq. 1, Löwe et al.
    2020); then c = GRU(u, c) and c += f_mlp(LN(c)). q sees LN(c), k and v see LN(h), none of them has a bias.
    """

    def __init__(self, num_features: int, slot_size: int, iterations: int, rngs: nnx.Rngs) -> None:
        self.iterations, self.scale = iterations, slot_size**-0.5
        self.norm_features = nnx.LayerNorm(num_features, rngs=rngs)
        self.norm_slots = nnx.LayerNorm(slot_size, rngs=rngs)
        self.norm_mlp = nnx.LayerNorm(slot_size, rngs=rngs)
        self.query = nnx.Linear(slot_size, slot_size, use_bias=False, rngs=rngs)
        self.key = nnx.Linear(num_features, slot_size, use_bias=False, rngs=rngs)
        self.value = nnx.Linear(num_features, slot_size, use_bias=False, rngs=rngs)
        self.gru = nnx.GRUCell(slot_size, slot_size, rngs=rngs)
        self.mlp = MLP(slot_size, 128, slot_size, rngs)

    def __call__(
        self, features: Float[Array, "*b n f"], slots: Float[Array, "*#b k d"], iterations: int | None = None
    ) -> tuple[Float[Array, "*b k d"], Float[Array, "*b k n"]]:
        """The updated slots, and the masks of the last iteration, which sum to 1 over slots.

        `slots` that are the same all along a leading dimension may have it as 1. `iterations` None: as many as at
        construction.
        """
        features = by_rows(self.norm_features, features)
        for _ in range(iterations or self.iterations):
            masks = self.attend(features, slots)
            weights = masks + EPSILON
            weights = weights / weights.sum(-1, keepdims=True)
            # v is linear and the weights sum to 1: it may follow the mean, on k rows a frame instead of n.
            updates = by_rows(self.value, jnp.einsum("...kn,...nf->...kf", weights, features))
            slots = self.update(jnp.broadcast_to(slots, (*updates.shape[:-1], slots.shape[-1])), updates)
        return slots, masks

    def update(self, slots: Float[Array, "*b k d"], updates: Float[Array, "*b k d"]) -> Float[Array, "*b k d"]:
        """c = GRU(u, c), then c + f_mlp(LN(c))."""
        rows, _ = self.gru(slots.reshape(-1, slots.shape[-1]), updates.reshape(-1, slots.shape[-1]))
        return (rows + self.mlp(self.norm_mlp(rows))).reshape(slots.shape)

    def attend(self, features: Float[Array, "*b n f"], slots: Float[Array, "*#b k d"]) -> Float[Array, "*b k n"]:
        """Softmax over slots of k(h) . q(c) / sqrt(D)."""
        # k(h) . q = h . (K q): again k rows a frame instead of n.
        key = self.scale * self.key.kernel[...].T
        queries = by_rows(lambda rows: self.query(self.norm_slots(rows)) @ key, slots)
        if prod(queries.shape[:-2]) > 1:
            return jax.nn.softmax(jnp.einsum("...kf,...nf->...kn", queries, features), axis=-2)
        # All frames ask the same: one product of matrices instead of a small one a frame.
        logits = by_rows(lambda rows: rows @ queries.reshape(queries.shape[-2:]).T, features)
        return jnp.swapaxes(jax.nn.softmax(logits), -1, -2)


@runtime_checkable
class Initializer(Protocol):
    """Where the slots of each of `batch` sequences start; b is 1 where all start alike."""

    def __call__(self, batch: int, key: Key | None) -> Float[Array, "b k d"]: ...


class LearnedSlots(nnx.Module):
    """The initial slots c are parameters [k d], drawn from N(0, 1): slot k starts alike in every frame."""

    def __init__(self, num_slots: int, slot_size: int, rngs: nnx.Rngs) -> None:
        self.slots = nnx.Param(jax.random.normal(rngs.params(), (num_slots, slot_size)))

    def __call__(self, batch: int, key: Key | None) -> Float[Array, "b k d"]:
        return self.slots[...][None]


class GaussianSlots(nnx.Module):
    """c = mu + eps * sigma, with mu and sigma [d] shared by the slots (appendix B.4, Löwe et al. 2020).

    eps is drawn once a sequence: the transition model needs slot k to be the same slot in consecutive frames. Without
    a key it is the same for all sequences, so that encoding is deterministic.
    """

    def __init__(self, num_slots: int, slot_size: int, rngs: nnx.Rngs) -> None:
        self.num_slots = num_slots
        self.mu = nnx.Param(jax.random.normal(rngs.params(), (slot_size,)))
        self.sigma = nnx.Param(jnp.ones(slot_size))

    def __call__(self, batch: int, key: Key | None) -> Float[Array, "b k d"]:
        shape = (1 if key is None else batch, self.num_slots, self.mu.shape[0])
        eps = jax.random.normal(jax.random.key(0) if key is None else key, shape)
        return self.mu[...] + eps * self.sigma[...]


class SlotAttentionEncoder(nnx.Module):
    """Positioned features, then Slot Attention on every frame of a sequence from the same initial slots."""

    def __init__(
        self, spec: DatasetSpec, initializer: Initializer, slot_size: int, iterations: int, rngs: nnx.Rngs
    ) -> None:
        self.features = PositionedFeatures(spec, rngs)
        self.initializer = initializer
        self.attention = SlotAttention(self.features.num_features, slot_size, iterations, rngs)

    def __call__(self, frames: Float[Array, "b t h w c"], key: Key | None = None) -> Slots:
        slots = self.initializer(len(frames), key)
        return Slots(*self.attention(self.features(frames), slots[:, None]))
