"""C-SWM's three convolutional trunks for 50x50 frames in [0, 1] (Kipf et al. 2020, appendix D.1).

Each is the paper's object extractor but its last convolution, which makes one map a slot of these features. Batch
normalisation keeps running averages, weighted .9 to .1 at each step as in the framework that the paper used.
"""

import jax
from flax import nnx

from benchmark.types import Array, DatasetSpec, Float


class CSWMSmall(nnx.Module):
    """Convolution 10x10 in steps of 10, batch norm, ReLU: one feature vector a cell of the 5x5 grid."""

    num_features = 32

    def __init__(self, spec: DatasetSpec, rngs: nnx.Rngs) -> None:
        self.conv1 = nnx.Conv(spec.frame_shape[-1], self.num_features, (10, 10), 10, padding="VALID", rngs=rngs)
        self.norm1 = _norm(rngs)

    def __call__(self, frames: Float[Array, "b h w c"]) -> Float[Array, "b y x f"]:
        return jax.nn.relu(self.norm1(self.conv1(frames)))


class CSWMMedium(nnx.Module):
    """Convolution 9x9, batch norm, leaky ReLU, at the frame's own resolution."""

    num_features = 32

    def __init__(self, spec: DatasetSpec, rngs: nnx.Rngs) -> None:
        self.conv1 = nnx.Conv(spec.frame_shape[-1], self.num_features, (9, 9), padding="SAME", rngs=rngs)
        self.norm1 = _norm(rngs)

    def __call__(self, frames: Float[Array, "b h w c"]) -> Float[Array, "b h w f"]:
        return jax.nn.leaky_relu(self.norm1(self.conv1(frames)))


class CSWMLarge(nnx.Module):
    """Three times convolution 3x3, batch norm, ReLU, at the frame's own resolution."""

    num_features = 32

    def __init__(self, spec: DatasetSpec, rngs: nnx.Rngs) -> None:
        self.conv1 = nnx.Conv(spec.frame_shape[-1], self.num_features, (3, 3), padding="SAME", rngs=rngs)
        self.conv2 = nnx.Conv(self.num_features, self.num_features, (3, 3), padding="SAME", rngs=rngs)
        self.conv3 = nnx.Conv(self.num_features, self.num_features, (3, 3), padding="SAME", rngs=rngs)
        self.norm1, self.norm2, self.norm3 = _norm(rngs), _norm(rngs), _norm(rngs)

    def __call__(self, frames: Float[Array, "b h w c"]) -> Float[Array, "b h w f"]:
        x = jax.nn.relu(self.norm1(self.conv1(frames)))
        x = jax.nn.relu(self.norm2(self.conv2(x)))
        return jax.nn.relu(self.norm3(self.conv3(x)))


def _norm(rngs: nnx.Rngs) -> nnx.BatchNorm:
    return nnx.BatchNorm(32, momentum=0.9, rngs=rngs)
