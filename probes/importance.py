"""Which slot tells where which object is: importance, compactness and modularity.

Racah & Chandar 2020 ("Slot Contrastive Networks", arXiv 2007.09294), after the disentanglement measures of Eastwood &
Williams 2018. All three are undefined (NaN) where a share would be 0 / 0 or an entropy has one outcome only.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float


def importance(
    coefficients: Float[np.ndarray, "*b p f"], objects: Sequence[int], num_slots: int
) -> Float[np.ndarray, "*b o k"]:
    """R: the share of each slot in the weights that predict each object; rows sum to 1.

    `coefficients` are linear, one row a coordinate, over num_slots equally long slots side by side; `objects[p]` tells
    whose coordinate p is. Absolute weights are summed over a slot's elements, divided by the row's sum, and averaged
    over the coordinates of one object. Objects come in ascending order.
    """
    grouped = np.abs(coefficients).reshape(*coefficients.shape[:-1], num_slots, -1).sum(axis=-1)
    shares = _shares(grouped)
    owner = np.asarray(objects)
    rows = [shares[..., owner == o, :].mean(axis=-2) for o in sorted(set(objects))]
    return np.stack(rows, axis=-2)


def compactness(R: Float[np.ndarray, "*b o k"]) -> Float[np.ndarray, "*b"]:
    """mean_o [1 - H(R_o) / ln K] in [0, 1]: 1 when each object is in one slot. NaN when K = 1."""
    return np.asarray(_concentration(R).mean(axis=-1))


def modularity(R: Float[np.ndarray, "*b o k"]) -> Float[np.ndarray, "*b"]:
    """mean_k [1 - H(R_:k / sum_o R_ok) / ln P] in [0, 1]: 1 when each slot is about one object. NaN when P = 1.

    A slot that no object uses is about nothing and is left out of the mean.
    """
    used = R.sum(axis=-2) > 0
    concentration = _concentration(_shares(np.swapaxes(R, -1, -2)))
    with np.errstate(invalid="ignore"):
        return np.asarray(concentration.sum(axis=-1, where=used) / used.sum(axis=-1))


def random_floor(
    objects: Sequence[int], num_slots: int, slot_size: int, *, draws: int, seed: int
) -> tuple[float, float]:
    """Compactness and modularity of normal random coefficients, averaged over `draws`: what no structure gives.

    NaN without objects.
    """
    if not objects:
        return np.nan, np.nan
    shape = (draws, len(objects), num_slots * slot_size)
    R = importance(np.random.default_rng(seed).standard_normal(shape), objects, num_slots)
    return float(compactness(R).mean()), float(modularity(R).mean())


def _concentration(shares: Float[np.ndarray, "*b n"]) -> Float[np.ndarray, "*b"]:
    """1 minus the entropy over its maximum ln n: 0 for uniform shares, 1 for a single non-zero one."""
    if shares.shape[-1] < 2:
        return np.full(shares.shape[:-1], np.nan)
    from scipy.special import entr

    return np.asarray(1 - entr(shares).sum(axis=-1) / np.log(shares.shape[-1]))


def _shares(weights: Float[np.ndarray, "*b n"]) -> Float[np.ndarray, "*b n"]:
    """Divided by their sum; NaN where that is 0."""
    with np.errstate(invalid="ignore"):
        return weights / weights.sum(axis=-1, keepdims=True)
