"""The contrastive term that several methods share: each row of a square of similarities should choose its diagonal."""

import jax
import jax.numpy as jnp

from benchmark.errors import UserError
from benchmark.types import Array, Float


def check_negatives(batch_size: int) -> None:
    """Raises UserError for a batch of one sample, which leaves no other to tell it from."""
    if batch_size < 2:
        raise UserError("a batch of one sample has no negatives; set training.frames_per_step to two windows or more")


def match_diagonal(logits: Float[Array, "*b n n"]) -> Float[Array, ""]:
    """Mean over rows of -log softmax(row)[its diagonal entry]: row i should choose candidate i among n.

    At chance, with equal logits, it is ln n.
    """
    return -jnp.diagonal(jax.nn.log_softmax(logits, axis=-1), axis1=-2, axis2=-1).mean()


def cosines(a: Float[Array, "*b n d"], b: Float[Array, "*b m d"]) -> Float[Array, "*b n m"]:
    """The cosine of every vector of `a` with every vector of `b`; 0 for a vector that is 0, with finite gradients."""
    return jnp.einsum("...nd,...md->...nm", _normalised(a), _normalised(b))


def _normalised(x: Float[Array, "*b n d"]) -> Float[Array, "*b n d"]:
    return x * jax.lax.rsqrt(jnp.square(x).sum(-1, keepdims=True) + 1e-12)
