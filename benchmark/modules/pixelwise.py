"""The backbone of the synthetic videos: every pixel by itself."""

from flax import nnx

from benchmark.modules.mlp import MLP
from benchmark.types import Array, DatasetSpec, Float


class Pixelwise(nnx.Module):
    """f_mlp(x) of Löwe et al. 2020, section 3.1: 1x1 convolutions, 32 filters, frames in [-1, 1].

    It mixes no positions, so that what a slot sees of an object is what the slot attends to.
    """

    num_features = 32

    def __init__(self, spec: DatasetSpec, rngs: nnx.Rngs) -> None:
        self.mlp = MLP(spec.frame_shape[-1], self.num_features, self.num_features, rngs)

    def __call__(self, frames: Float[Array, "b h w c"]) -> Float[Array, "b h w f"]:
        return self.mlp(frames)
