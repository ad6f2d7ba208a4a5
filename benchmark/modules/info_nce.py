"""InfoNCE between predicted and encoded states of videos (Eq. 2, Löwe et al. 2020)."""

import jax
import jax.numpy as jnp

from benchmark.types import Array, Float


def info_nce(z_p: Float[Array, "b u d"], z_s: Float[Array, "b t d"], tau: float) -> Float[Array, ""]:
    """Mean over predictions of -log g(z_p, z_s) / sum of g(z_p, z) over all candidates z, g(x, y) = exp(x . y / tau).

    z_p: predicted vectors of the last u of t steps; z_s: encoded vectors of all t; tau: temperature. The positive is
    z_s at the same step of the same sequence; candidates are all z_s and all z_p of the batch but the anchor itself.
    Equal vectors give ln(b t + b u - 1). Gradients flow through both arguments.
    """
    u, d = z_p.shape[1:]
    anchors, positives = z_p.reshape(-1, d) / tau, z_s[:, -u:].reshape(-1, d)
    candidates = jnp.concatenate([z_s.reshape(-1, d), z_p.reshape(-1, d)])
    return (log_partition(anchors, candidates) - (anchors * positives).sum(-1)).mean()


# Checkpointed: the backward pass computes the logits again, so that only one array of their size exists at a time.
@jax.checkpoint
def log_partition(anchors: Float[Array, "m d"], candidates: Float[Array, "n d"]) -> Float[Array, " m"]:
    """log sum over candidates of exp(anchor . candidate); the last m candidates are the anchors, themselves left out."""
    m, n = len(anchors), len(candidates)
    itself = jnp.arange(m)[:, None] + (n - m) == jnp.arange(n)
    return jax.nn.logsumexp(jnp.where(itself, -jnp.inf, anchors @ candidates.T), axis=-1)


def slotwise_info_nce(p: Float[Array, "b u k d"], s: Float[Array, "b t k d"], tau: float) -> Float[Array, ""]:
    """InfoNCE of every slot index by itself, among the slots with that index; mean over slots."""
    terms = [info_nce(p[:, :, k], s[:, :, k], tau) for k in range(s.shape[2])]
    return jnp.stack(terms).mean()
