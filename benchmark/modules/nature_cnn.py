"""The backbone of Atari: the trunk of SCN's encoder."""

from math import sqrt

import jax
from flax import nnx

from benchmark.modules.convolution import convolve_in_cells
from benchmark.types import Array, DatasetSpec, Float


class NatureCNN(nnx.Module):
    """The trunk of SCN's encoder (Racah & Chandar 2020, section 4): 210x160 frames -> 11x8 features.

    Three convolutions without padding, 32@8x8/4, 64@4x4/2, 128@4x4/2, ReLU between them and none after the last;
    orthogonal kernels with gain sqrt 2. Input in [0, 1].
    """

    num_features = 128

    def __init__(self, spec: DatasetSpec, rngs: nnx.Rngs) -> None:
        self.conv1 = _conv(spec.frame_shape[-1], 32, 8, 4, rngs)
        self.conv2 = _conv(32, 64, 4, 2, rngs)
        self.conv3 = _conv(64, self.num_features, 4, 2, rngs)

    def __call__(self, frames: Float[Array, "b h w c"]) -> Float[Array, "b y x f"]:
        # Frames need no gradient: on a CPU their layer is quicker as it is, on a GPU it is not.
        first = self.conv1(frames) if jax.default_backend() == "cpu" else convolve_in_cells(self.conv1, frames)
        return convolve_in_cells(self.conv3, jax.nn.relu(convolve_in_cells(self.conv2, jax.nn.relu(first))))


def _conv(inputs: int, outputs: int, kernel: int, stride: int, rngs: nnx.Rngs) -> nnx.Conv:
    orthogonal = nnx.initializers.orthogonal(sqrt(2))
    return nnx.Conv(inputs, outputs, (kernel, kernel), stride, padding="VALID", kernel_init=orthogonal, rngs=rngs)
