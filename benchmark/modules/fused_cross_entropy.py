"""InfoNCE's sum over anchors and its gradients on a GPU, in two kernels whose logits never leave the chip.

For anchors a_i and candidates c_j, the first of which are the anchors themselves, with w_ij the softmax of a_i . c_j
over all j but i (Eq. 2, Löwe et al. 2020):

- each block of anchors passes over all candidates and keeps a running maximum, as FlashAttention does (Dao et al. 2022,
  arXiv 2205.14135): the log partition of row i, and by_anchors_i = sum_j w_ij c_j;
- each block of candidates passes over all anchors with those partitions: by_candidates_j = sum_i w_ij a_i.

Products are as precise as all others of the program: `jax_default_matmul_precision`.
"""

from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl

from benchmark.types import Array, Float

ROWS = 64
"""Vectors that a kernel keeps while it passes over the others."""

COLUMNS = 128
"""Vectors that it compares them with at a time."""

MASKED = -1e30
"""A logit that counts for nothing; an infinite one would give NaN where a whole block is masked."""

NARROWEST = 16
"""The least width of a product's inputs on the matrix units; widths are powers of two."""


@cache
def usable() -> bool:
    """Is there a GPU that these kernels can be compiled for?"""
    if jax.default_backend() != "gpu":
        return False
    vectors = jax.ShapeDtypeStruct((max(ROWS, COLUMNS), NARROWEST), jnp.float32)
    try:
        jax.jit(log_partitions).lower(vectors, vectors).compile()
    except Exception:  # whatever Triton says of a GPU that it does not know
        return False
    return True


def log_partitions(
    anchors: Float[Array, "n d"], candidates: Float[Array, "m d"], interpret: bool = False
) -> tuple[Float[Array, " n"], Float[Array, "n d"], Float[Array, "m d"]]:
    """For each anchor the log of the sum, over all candidates c but itself, of exp(anchor . c), and two gradients.

    These are of the sum of the logs, by anchors and by candidates. The first n candidates are the anchors' own, in
    their order. `interpret` runs the kernels step by step, anywhere.
    """
    (n, d), m = anchors.shape, len(candidates)
    a, c = _padded(anchors), _padded(candidates)
    rows = _per_block(partial(_rows, m=m), len(a), interpret)
    partitions, by_anchors = rows([a], [c], [a.shape[:1], a.shape])
    columns = _per_block(partial(_columns, n=n), len(c), interpret)
    (by_candidates,) = columns([c], [a, partitions], [c.shape])
    return partitions[:n], by_anchors[:n, :d], by_candidates[:m, :d]


def _rows(a_ref: Any, c_ref: Any, partitions_ref: Any, by_anchors_ref: Any, *, m: int) -> None:
    """A block of anchors against all candidates."""
    a, mine = a_ref[...], _places(pl.program_id(0), ROWS)

    def pass_over(j: Array, sums: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        peak, total, weighted = sums
        c, places = c_ref[pl.ds(j * COLUMNS, COLUMNS), :], _places(j, COLUMNS)
        logits = jnp.where((mine[:, None] == places) | (places >= m), MASKED, a @ c.T)
        higher = jnp.maximum(peak, logits.max(1))
        weights, kept = jnp.exp(logits - higher[:, None]), jnp.exp(peak - higher)
        return higher, kept * total + weights.sum(1), kept[:, None] * weighted + weights @ c

    nothing = jnp.full(ROWS, MASKED), jnp.zeros(ROWS), jnp.zeros(a.shape)
    peak, total, weighted = jax.lax.fori_loop(0, pl.cdiv(m, COLUMNS), pass_over, nothing)
    partitions_ref[...] = peak + jnp.log(total)
    by_anchors_ref[...] = weighted / total[:, None]


def _columns(c_ref: Any, a_ref: Any, partitions_ref: Any, by_candidates_ref: Any, *, n: int) -> None:
    """A block of candidates against all anchors."""
    c, mine = c_ref[...], _places(pl.program_id(0), ROWS)

    def pass_over(i: Array, total: Array) -> Array:
        block, places = pl.ds(i * COLUMNS, COLUMNS), _places(i, COLUMNS)
        a, partitions = a_ref[block, :], partitions_ref[block]
        counts = (mine[:, None] != places) & (places < n)
        return total + jnp.where(counts, jnp.exp(c @ a.T - partitions), 0.0) @ a

    by_candidates_ref[...] = jax.lax.fori_loop(0, pl.cdiv(n, COLUMNS), pass_over, jnp.zeros(c.shape))


def _places(block: Array, size: int) -> Array:
    return block * size + jnp.arange(size)


def _per_block(kernel: Any, length: int, interpret: bool) -> Any:
    """Runs `kernel` on every block of ROWS of its first inputs and of its outputs; it sees the others whole."""

    if not interpret:
        from jax.experimental.pallas import triton  # not on every machine without a GPU

    def blocks(shape: tuple[int, ...]) -> pl.BlockSpec:
        return pl.BlockSpec((ROWS, *shape[1:]), lambda i: (i, *(0 for _ in shape[1:])))

    def whole(shape: tuple[int, ...]) -> pl.BlockSpec:
        return pl.BlockSpec(shape, lambda i: tuple(0 for _ in shape))

    def run(own: list[Array], others: list[Array], outputs: list[tuple[int, ...]]) -> Any:
        return pl.pallas_call(
            kernel,
            grid=(length // ROWS,),
            in_specs=[*(blocks(x.shape) for x in own), *(whole(x.shape) for x in others)],
            out_specs=[blocks(shape) for shape in outputs],
            out_shape=[jax.ShapeDtypeStruct(shape, jnp.float32) for shape in outputs],
            compiler_params=None if interpret else triton.CompilerParams(num_warps=4, num_stages=2),
            interpret=interpret,
        )(*own, *others)

    return run


def _padded(x: Float[Array, "n d"]) -> Float[Array, "rows width"]:
    """Zeros added up to whole blocks, and to a width that the matrix units have."""
    n, d = x.shape
    width = max(NARROWEST, 1 << (d - 1).bit_length())
    return jnp.pad(x, ((0, -n % max(ROWS, COLUMNS)), (0, width - d)))
