"""C-SWM's transition model: a graph network over all ordered pairs of slots (Kipf et al. 2020, section 2.3)."""

import jax
import jax.numpy as jnp
from flax import nnx

from benchmark.modules.rows import by_rows
from benchmark.types import Array, Float


class GNNTransition(nnx.Module):
    """Predicts every slot's change from all slots and the actions (Eq. 3 and 4 of Kipf et al. 2020).

    e_ij = f_edge([z_i, z_j]); change of z_i = f_node([z_i, a_i, sum over j != i of e_ij]). Both are MLPs of two hidden
    layers, ReLU after the first, LayerNorm and ReLU after the second. With one slot the sum is 0.

    The last edge layer is linear, so it is applied once to the sum over j instead of K - 1 times: the same function.
    """

    def __init__(self, slot_size: int, num_actions: int, hidden: int, rngs: nnx.Rngs) -> None:
        self.edge_from = nnx.Linear(slot_size, hidden, rngs=rngs)
        self.edge_to = nnx.Linear(slot_size, hidden, use_bias=False, rngs=rngs)
        self.edge_hidden = nnx.Linear(hidden, hidden, rngs=rngs)
        self.edge_norm = nnx.LayerNorm(hidden, rngs=rngs)
        self.edge_out = nnx.Linear(hidden, hidden, rngs=rngs)
        self.node_in = nnx.Linear(slot_size + num_actions + hidden, hidden, rngs=rngs)
        self.node_hidden = nnx.Linear(hidden, hidden, rngs=rngs)
        self.node_norm = nnx.LayerNorm(hidden, rngs=rngs)
        self.node_out = nnx.Linear(hidden, slot_size, rngs=rngs)

    def __call__(self, slots: Float[Array, "b k d"], actions: Float[Array, "b k a"]) -> Float[Array, "b k d"]:
        nodes = jnp.concatenate([slots, actions, self._messages(slots)], axis=-1)
        return by_rows(self._node, nodes)

    def _messages(self, slots: Float[Array, "b k d"]) -> Float[Array, "b k m"]:
        """sum over j != i of e_ij, for every slot i."""
        here, there = by_rows(self.edge_from, slots), by_rows(self.edge_to, slots)
        # All j != i are 1 to K - 1 places further on: moved as a whole, as gathering them has a slow gradient.
        pairs = [here + jnp.roll(there, -distance, axis=1) for distance in range(1, slots.shape[1])]
        edges = jax.nn.relu(jnp.stack(pairs, axis=2) if pairs else jnp.zeros((*here.shape[:2], 0, here.shape[2])))
        edges = by_rows(lambda rows: jax.nn.relu(self.edge_norm(self.edge_hidden(rows))), edges)
        # Linear before the sum adds the bias once an edge.
        messages = by_rows(self.edge_out, edges.sum(-2))
        return messages + (edges.shape[-2] - 1) * self.edge_out.bias  # type: ignore[operator]

    def _node(self, rows: Float[Array, "n inputs"]) -> Float[Array, "n d"]:
        """f_node."""
        hidden = self.node_hidden(jax.nn.relu(self.node_in(rows)))
        return self.node_out(jax.nn.relu(self.node_norm(hidden)))
