"""The contrastive term that SCN's two losses share."""

import jax
import jax.numpy as jnp

from benchmark.types import Array, Float


def match_diagonal(logits: Float[Array, "*b n n"]) -> Float[Array, ""]:
    """Mean over rows of -log softmax(row)[its diagonal entry]: row i should choose candidate i among n.

    At chance, with equal logits, it is ln n.
    """
    return -jnp.diagonal(jax.nn.log_softmax(logits, axis=-1), axis1=-2, axis2=-1).mean()
