"""f_mlp of Löwe et al. 2020: the two layers that most of its networks are made of."""

import jax
from flax import nnx

from benchmark.types import Array, Float


class MLP(nnx.Module):
    """Linear, ReLU, linear, over the last dimension: on a grid of features that is a pair of 1x1 convolutions."""

    def __init__(self, inputs: int, hidden: int, outputs: int, rngs: nnx.Rngs) -> None:
        self.linear1 = nnx.Linear(inputs, hidden, rngs=rngs)
        self.linear2 = nnx.Linear(hidden, outputs, rngs=rngs)

    def __call__(self, x: Float[Array, "*b inputs"]) -> Float[Array, "*b outputs"]:
        return self.linear2(jax.nn.relu(self.linear1(x)))
