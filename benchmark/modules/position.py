"""Where a feature is, told to networks that cannot see it."""

import jax.numpy as jnp
from flax import nnx

from benchmark.modules.backbones import backbone_of, grid_of
from benchmark.modules.mlp import MLP
from benchmark.modules.rows import by_rows
from benchmark.types import Array, DatasetSpec, Float


def position_grid(height: int, width: int, low: float, high: float) -> Float[Array, "h w 2"]:
    """Row and column of every position, from `low` to `high`: constants, as weight decay would shrink parameters."""
    rows, columns = jnp.linspace(low, high, height), jnp.linspace(low, high, width)
    return jnp.stack(jnp.meshgrid(rows, columns, indexing="ij"), -1)


class PositionedFeatures(nnx.Module):
    """h = f_mlp(LN(h1)), h1 = backbone(x) + f_linear(pos), flattened over positions (Löwe et al. 2020, section 3.1).

    With the pixelwise backbone that is the paper's encoder; any other backbone of the data set takes its place.
    """

    def __init__(self, spec: DatasetSpec, rngs: nnx.Rngs) -> None:
        self.backbone = backbone_of(spec)(spec, rngs)
        height, width, features = grid_of(self.backbone, spec, least=1)
        self.grid, self.num_features = (height, width), features
        self.linear = nnx.Linear(2, features, rngs=rngs)
        self.norm = nnx.LayerNorm(features, rngs=rngs)
        self.mlp = MLP(features, features, features, rngs)

    def __call__(self, frames: Float[Array, "*b h w c"]) -> Float[Array, "*b n f"]:
        features = self.backbone(frames.reshape(-1, *frames.shape[-3:]))
        positioned = features + self.linear(position_grid(*self.grid, 0.0, 1.0))
        return self.mlp(by_rows(self.norm, positioned)).reshape(*frames.shape[:-3], -1, self.num_features)
