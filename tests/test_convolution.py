"""Convolutions of small frames as matrix products: the same numbers as the library's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from benchmark.modules.convolution import convolve, convolve_constant, convolve_in_cells


@pytest.mark.parametrize("size", [(5, 5), (3, 7), (1, 1), (9, 8)])
@pytest.mark.parametrize("kernel", [(5, 5), (3, 3), (4, 2)])
def test_a_small_frame_is_convolved_as_the_formula_says(size: tuple[int, int], kernel: tuple[int, int]) -> None:
    convolution = nnx.Conv(3, 4, kernel, padding="SAME", bias_init=nnx.initializers.normal(1.0), rngs=nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(1), (2, *size, 3))
    expected = by_loops(np.asarray(x), np.asarray(convolution.kernel[...]), np.asarray(convolution.bias[...]))
    np.testing.assert_allclose(convolve(convolution, x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("kernel", "stride"), [((4, 4), 2), ((3, 6), 3), ((5, 5), 5), ((2, 3), 1)])
@pytest.mark.parametrize("size", [(12, 15), (13, 17), (7, 6)])
def test_cells_are_convolved_like_pixels_in_strides(
    size: tuple[int, int], kernel: tuple[int, int], stride: int
) -> None:
    bias = nnx.initializers.normal(1.0)
    convolution = nnx.Conv(3, 4, kernel, stride, padding="VALID", bias_init=bias, rngs=nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(1), (2, *size, 3))
    np.testing.assert_allclose(convolve_in_cells(convolution, x), convolution(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(5, 5), (3, 7), (12, 9)])
def test_a_constant_frame_is_convolved_like_the_frame_that_is_written_out(size: tuple[int, int]) -> None:
    convolution = nnx.Conv(6, 4, (5, 5), padding="SAME", rngs=nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(1), (2, 6))
    frames = jnp.broadcast_to(x[:, None, None], (2, *size, 6))
    np.testing.assert_allclose(convolve_constant(convolution, x, size), convolution(frames), rtol=1e-4, atol=1e-5)


def by_loops(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """sum over taps (a, b) of x[y + a - (A - 1) // 2, x + b - (B - 1) // 2] kernel[a, b], beyond the frame 0."""
    (n, height, width, _), (taps_y, taps_x, _, outputs) = x.shape, kernel.shape
    result = np.zeros((n, height, width, outputs)) + bias
    for row, column, a, b in np.ndindex(height, width, taps_y, taps_x):
        y, z = row + a - (taps_y - 1) // 2, column + b - (taps_x - 1) // 2
        if 0 <= y < height and 0 <= z < width:
            result[:, row, column] += x[:, y, z] @ kernel[a, b]
    return result
