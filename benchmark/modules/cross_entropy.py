"""Cross entropy of many anchors among many candidates, in blocks, with gradients made at once: what InfoNCE costs."""

import jax
import jax.numpy as jnp

from benchmark.modules.fused_cross_entropy import log_partitions, usable
from benchmark.types import Array, Float

CACHED = 128
"""Anchors whose logits exist at a time on a CPU: those of more do not fit into its cache."""


def cross_entropy(
    anchors: Float[Array, "u b d"], positives: Float[Array, "u b d"], candidates: Float[Array, "m d"]
) -> Float[Array, ""]:
    """Mean over anchors of log(sum over candidates c but itself of exp(anchor . c)) - anchor . positive.

    The first u b candidates are what the anchors are made of, in their order. As one would write it down:

        logits = fill_diagonal(anchors @ candidates.T, -inf)
        (logsumexp(logits) - sum(anchors * positives, -1)).mean()
    """
    u, b, d = anchors.shape
    blocks = -1, anchors_at_a_time(b, u), d
    return _cross_entropy(anchors.reshape(blocks), positives.reshape(blocks), candidates) / (b * u)


def anchors_at_a_time(b: int, u: int) -> int:
    """A number that divides b u: the batch's b, or on a CPU as near to `CACHED` as may be."""
    few = [size for size in range(CACHED // 8, CACHED + 1) if b * u % size == 0]
    return few[-1] if few and jax.default_backend() == "cpu" else b


@jax.custom_vjp
def _cross_entropy(
    anchors: Float[Array, "n a d"], positives: Float[Array, "n a d"], candidates: Float[Array, "m d"]
) -> Float[Array, ""]:
    """The sum over n blocks of `a` anchors.

    Of all logits only those of one block exist at a time, and once: the gradients are made of them before the next
    are, so that nothing is kept or computed again for a backward pass. On a GPU none exists outside of the kernels of
    `log_partitions`.
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


_cross_entropy.defvjp(_with_gradients, _pull_back)
