"""f_mlp of Löwe et al. 2020: the two layers that most of its networks are made of."""

import jax
from flax import nnx

from benchmark.modules.rows import by_rows
from benchmark.types import Array, Float


class MLP(nnx.Module):
    """Linear, ReLU, linear, over the last dimension: on a grid of features that is a pair of 1x1 convolutions."""

    def __init__(self, inputs: int, hidden: int, outputs: int, rngs: nnx.Rngs) -> None:
        self.linear1 = nnx.Linear(inputs, hidden, rngs=rngs)
        self.linear2 = nnx.Linear(hidden, outputs, rngs=rngs)

    def __call__(self, x: Float[Array, "*b inputs"]) -> Float[Array, "*b outputs"]:
        return by_rows(lambda rows: self.linear2(jax.nn.relu(self.linear1(rows))), x)

    def sum(self, x: Float[Array, "*b k inputs"]) -> Float[Array, "*b outputs"]:
        """The sum of k outputs: the second layer is linear, so it follows the sum, on one row instead of k."""
        hidden = by_rows(lambda rows: jax.nn.relu(self.linear1(rows)), x).sum(-2)
        # Linear before the sum adds the bias k times.
        return by_rows(self.linear2, hidden) + (x.shape[-2] - 1) * self.linear2.bias  # type: ignore[operator]
