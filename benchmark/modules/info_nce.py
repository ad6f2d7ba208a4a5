"""InfoNCE between predicted and encoded states of videos (Eq. 2, Löwe et al. 2020)."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from benchmark.errors import UserError
from benchmark.modules.cross_entropy import cross_entropy
from benchmark.types import Array, Float


def info_nce(z_p: Float[Array, "b u d"], z_s: Float[Array, "b t d"], tau: float) -> Float[Array, ""]:
    """Mean over predictions of -log g(z_p, z_s) / sum of g(z_p, z) over all candidates z, g(x, y) = exp(x . y / tau).

    z_p: predicted vectors of the last u of t steps; z_s: encoded vectors of all t; tau: temperature. The positive is
    z_s at the same step of the same sequence; candidates are all z_s and all z_p of the batch but the anchor itself.
    Equal vectors give ln(b t + b u - 1). Gradients flow through both arguments.
    """
    u, d = z_p.shape[1:]
    anchors, positives = jnp.swapaxes(z_p, 0, 1), jnp.swapaxes(z_s[:, -u:], 0, 1)
    candidates = jnp.concatenate([anchors.reshape(-1, d), z_s.reshape(-1, d)])
    return cross_entropy(anchors / tau, positives, candidates)


def in_shards(
    loss: Callable[[Float[Array, "n u *rest"], Float[Array, "n t *rest"]], Float[Array, ""]],
    p: Float[Array, "b u *rest"],
    s: Float[Array, "b t *rest"],
    size: int | None,
) -> Float[Array, ""]:
    """Mean of loss(p, s) over groups of `size` sequences, which see no candidates but their own; None: one group.

    Raises UserError when the batch does not divide.
    """
    size = size or len(s)
    if len(s) % size:
        raise UserError(f"negatives_per_shard={size} does not divide the batch of {len(s)} sequences")
    s, p = (z.reshape(-1, size, *z.shape[1:]) for z in (s, p))
    return jax.vmap(loss)(p, s).mean()
