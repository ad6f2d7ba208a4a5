"""The transition model of Löwe et al. 2020: each slot goes on from two instants, without looking at the others."""

import jax.numpy as jnp
from flax import nnx

from benchmark.modules.rows import by_rows
from benchmark.types import Array, Float


class LinearTransition(nnx.Module):
    """p_{t+2} = s_{t+1} + Linear(LN(Linear_down([s_t, s_{t+1}, s_{t+1} - s_t]))) (section 3.2, Löwe et al. 2020).

    Shared by the slots; both linear maps give D values.
    """

    def __init__(self, slot_size: int, rngs: nnx.Rngs) -> None:
        self.down = nnx.Linear(3 * slot_size, slot_size, rngs=rngs)
        self.norm = nnx.LayerNorm(slot_size, rngs=rngs)
        self.linear = nnx.Linear(slot_size, slot_size, rngs=rngs)

    def __call__(self, previous: Float[Array, "*b d"], current: Float[Array, "*b d"]) -> Float[Array, "*b d"]:
        """The slots one frame after `current`, which is one frame after `previous`."""
        both = jnp.concatenate([previous, current, current - previous], axis=-1)
        return current + by_rows(lambda rows: self.linear(self.norm(self.down(rows))), both)

    def rollout(
        self, previous: Float[Array, "*b k d"], current: Float[Array, "*b k d"], steps: int
    ) -> Float[Array, "*b steps k d"]:
        """1 to `steps` frames after `current`, every prediction made from the two before it."""
        predictions = []
        for _ in range(steps):
            previous, current = current, self(previous, current)
            predictions.append(current)
        return jnp.stack(predictions, -3)
