"""InfoNCE between predicted and encoded states of videos (Eq. 2, Löwe et al. 2020)."""

import jax
import jax.numpy as jnp

from benchmark.errors import UserError
from benchmark.modules.fused_info_nce import log_partitions, usable
from benchmark.types import Array, Float

CACHED = 128
"""Anchors whose logits exist at a time on a CPU: those of more do not fit into its cache."""


def info_nce(z_p: Float[Array, "b u d"], z_s: Float[Array, "b t d"], tau: float) -> Float[Array, ""]:
    """Mean over predictions of -log g(z_p, z_s) / sum of g(z_p, z) over all candidates z, g(x, y) = exp(x . y / tau).

    z_p: predicted vectors of the last u of t steps; z_s: encoded vectors of all t; tau: temperature. The positive is
    z_s at the same step of the same sequence; candidates are all z_s and all z_p of the batch but the anchor itself.
    Equal vectors give ln(b t + b u - 1). Gradients flow through both arguments.
    """
    b, u, d = z_p.shape
    blocks = -1, anchors_at_a_time(b, u), d
    anchors = jnp.swapaxes(z_p, 0, 1).reshape(blocks)
    positives = jnp.swapaxes(z_s[:, -u:], 0, 1).reshape(blocks)
    candidates = jnp.concatenate([anchors.reshape(-1, d), z_s.reshape(-1, d)])
    return cross_entropy(anchors / tau, positives, candidates) / (b * u)


def anchors_at_a_time(b: int, u: int) -> int:
    """A number that divides b u: the batch's b, or on a CPU as near to `CACHED` as may be."""
    few = [size for size in range(CACHED // 8, CACHED + 1) if b * u % size == 0]
    return few[-1] if few and jax.default_backend() == "cpu" else b


@jax.custom_vjp
def cross_entropy(
    anchors: Float[Array, "n a d"], positives: Float[Array, "n a d"], candidates: Float[Array, "m d"]
) -> Float[Array, ""]:
    """Sum over anchors of log(sum over candidates c but itself of exp(anchor . c)) - anchor . positive.

    The first n a candidates are what the anchors are made of, in their order. Of all logits only those of one of the
    n blocks exist at a time, and once: the gradients are made of them before the next are, so that nothing is kept or
    computed again for a backward pass. On a GPU none exists outside of the kernels of `log_partitions`.
    """
    return _with_gradients(anchors, positives, candidates)[0]


def _with_gradients(
    anchors: Float[Array, "n a d"], positives: Float[Array, "n a d"], candidates: Float[Array, "m d"]
) -> tuple[Float[Array, ""], tuple[Float[Array, "n a d"], Float[Array, "n a d"], Float[Array, "m d"]]]:
    """The sum, and its gradients by each argument."""
    return (_on_a_gpu if usable() else _block_by_block)(anchors, positives, candidates)


def _on_a_gpu(
    anchors: Float[Array, "n a d"], positives: Float[Array, "n a d"], candidates: Float[Array, "m d"]
) -> tuple[Float[Array, ""], tuple[Float[Array, "n a d"], Float[Array, "n a d"], Float[Array, "m d"]]]:
    partitions, by_anchors, by_candidates = log_partitions(anchors.reshape(-1, anchors.shape[-1]), candidates)
    total = partitions.sum() - (anchors * positives).sum()
    return total, (by_anchors.reshape(anchors.shape) - positives, -anchors, by_candidates)


def _block_by_block(
    anchors: Float[Array, "n a d"], positives: Float[Array, "n a d"], candidates: Float[Array, "m d"]
) -> tuple[Float[Array, ""], tuple[Float[Array, "n a d"], Float[Array, "n a d"], Float[Array, "m d"]]]:
    places = jnp.arange(len(candidates))

    def one_block(sums: tuple[Array, Array], block: tuple[Array, Array, Array]) -> tuple[tuple[Array, Array], Array]:
        (total, by_candidates), (anchor, positive, itself) = sums, block
        logits = jnp.where(itself[:, None] == places, -jnp.inf, anchor @ candidates.T)
        peak = logits.max(-1, keepdims=True)
        weights = jnp.exp(logits - peak)
        partition = weights.sum(-1, keepdims=True)
        total += (jnp.log(partition) + peak - (anchor * positive).sum(-1, keepdims=True)).sum()
        # Transposed, and kept so by the barrier: the other way round the product takes a CPU four times as long.
        by_candidates += jax.lax.optimization_barrier((anchor / partition).T @ weights)
        return (total, by_candidates), (weights @ candidates) / partition - positive

    themselves = places[: anchors.shape[0] * anchors.shape[1]].reshape(anchors.shape[:2])
    nothing = jnp.zeros(()), jnp.zeros(candidates.T.shape)
    (total, by_candidates), by_anchors = jax.lax.scan(one_block, nothing, (anchors, positives, themselves))
    return total, (by_anchors, -anchors, by_candidates.T)


def _pull_back(gradients: tuple[Array, Array, Array], factor: Float[Array, ""]) -> tuple[Array, Array, Array]:
    by_anchors, by_positives, by_candidates = gradients
    return factor * by_anchors, factor * by_positives, factor * by_candidates


cross_entropy.defvjp(_with_gradients, _pull_back)


def sharded(z: Float[Array, "b *rest"], size: int | None) -> Float[Array, "shards size *rest"]:
    """The batch in groups of `size` sequences that see no candidates but their own; None: one group.

    Raises UserError when the batch does not divide.
    """
    size = size or len(z)
    if len(z) % size:
        raise UserError(f"negatives_per_shard={size} does not divide the batch of {len(z)} sequences")
    return z.reshape(-1, size, *z.shape[1:])


def slotwise_info_nce(p: Float[Array, "b u k d"], s: Float[Array, "b t k d"], tau: float) -> Float[Array, ""]:
    """InfoNCE of every slot index by itself, among the slots with that index; mean over slots."""
    terms = [info_nce(p[:, :, k], s[:, :, k], tau) for k in range(s.shape[2])]
    return jnp.stack(terms).mean()
