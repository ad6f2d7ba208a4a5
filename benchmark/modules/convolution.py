"""Convolutions in the forms that are quickest: the library's numbers to rounding, from its parameters."""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from benchmark.types import Array, Float

LARGEST = 8 * 8
"""Pixels of the largest frame whose convolution is a matrix product: it multiplies every pixel by every other."""


def convolve(convolution: nnx.Conv, x: Float[Array, "n h w i"]) -> Float[Array, "n h w o"]:
    """`convolution` of x, which has a bias, stride 1 and padding to the same size.

    Frames of at most `LARGEST` pixels are multiplied with a matrix from all inputs to all outputs of a frame, which
    holds the kernel wherever one pixel is a tap of another. On a frame of the kernel's own size that is no more
    arithmetic than the convolution, and in a form that any machine is fast at.
    """
    assert convolution.bias is not None
    n, height, width, inputs = x.shape
    if height * width > LARGEST:
        return convolution(x)
    kernel = convolution.kernel[...]
    rows, columns = (_taps(side, size) for side, size in zip((height, width), kernel.shape[:2], strict=True))
    matrix = jnp.einsum("yra,xcb,abio->yxirco", rows, columns, kernel)
    product = x.reshape(n, -1) @ matrix.reshape(height * width * inputs, -1)
    return product.reshape(n, height, width, -1) + convolution.bias[...]


def convolve_in_cells(convolution: nnx.Conv, x: Float[Array, "n h w i"]) -> Float[Array, "n y x o"]:
    """`convolution` of x, which has a bias, no padding, and a kernel whose side is a multiple of the stride.

    Squares of a stride's side become one pixel with all their channels, over which the kernel moves in steps of 1. The
    gradient for x is then such a convolution too; that of a strided one took XLA four times as long on a CPU.
    """
    stride, (n, height, width, inputs) = convolution.strides, x.shape
    assert isinstance(stride, int) and convolution.bias is not None
    kernel = convolution.kernel[...]
    rows, columns = height // stride, width // stride
    cells = x[:, : rows * stride, : columns * stride].reshape(n, rows, stride, columns, stride, inputs)
    cells = cells.swapaxes(2, 3).reshape(n, rows, columns, -1)
    taps = [side // stride for side in kernel.shape[:2]]
    kernel = (
        kernel.reshape(taps[0], stride, taps[1], stride, inputs, -1).swapaxes(1, 2).reshape(*taps, cells.shape[-1], -1)
    )
    product = jax.lax.conv_general_dilated(cells, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return product + convolution.bias[...]


def convolve_constant(convolution: nnx.Conv, x: Float[Array, "n i"], size: tuple[int, int]) -> Float[Array, "n h w o"]:
    """`convolution`'s product, without its bias, with frames of that size which hold x at every pixel.

    It is linear in x, so the taps within the frame are summed once for all of the batch.
    """
    kernel = convolution.kernel[:, :, : x.shape[-1]]
    rows, columns = (_taps(side, length).sum(0) for side, length in zip(size, kernel.shape[:2], strict=True))
    matrix = jnp.einsum("ra,cb,abio->irco", rows, columns, kernel)
    return (x @ matrix.reshape(len(matrix), -1)).reshape(-1, *matrix.shape[1:])


@lru_cache(maxsize=32)
def _taps(side: int, size: int) -> Float[np.ndarray, "inputs outputs taps"]:
    """1 where an input is that tap of an output, along one side of a frame; taps beyond the frame meet nothing."""
    inputs, outputs, taps = np.ogrid[:side, :side, :size]
    return (inputs == outputs + taps - (size - 1) // 2).astype(np.float32)
