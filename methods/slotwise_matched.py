"""Slotwise contrasting with matched slots: what SetCon's appendix B.1 names and leaves untested.

Löwe et al. 2020 (arXiv 2011.10287). Slotwise demands that slot k be predicted in slot k. Here the slots that are found
in a frame may come in any order: they are put into the order of the predicted ones by the one to one matching with the
largest total similarity, and then contrasted slot by slot. With as many slots as Asteroids has, 18, the K! orders
cannot be tried one by one; the assignment problem is solved instead (Hungarian algorithm).

Readings: similarity is the scalar product, as in the loss. The matching hands back no gradient. Every frame that is
predicted is put into its own prediction's order, also where it serves as a negative; the first two frames, which
nothing predicts, stay as they are. So an anchor has the candidates of slotwise, one slot of every frame.

    python run_benchmark.py --methods slotwise-matched --suite synthetic

No score to expect; slotwise is the one to compare it with.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

from benchmark.registry import methods
from benchmark.types import Array, Float, Int, Key
from methods.slotwise import Slotwise


@methods.register("slotwise-matched")
@dataclass(frozen=True, kw_only=True)
class SlotwiseMatched(Slotwise):
    """Its fields are slotwise's."""

    def encode_and_predict(
        self, model: Any, frames: Float[Array, "b t h w c"], key: Key
    ) -> tuple[Float[Array, "b t k d"], Float[Array, "b t-2 k d"]]:
        """Slots s of all frames in the order of their predictions, and the predictions p."""
        s, p = super().encode_and_predict(model, frames, key)
        return in_predicted_order(s, p), p


def in_predicted_order(s: Float[Array, "b t k d"], p: Float[Array, "b u k d"]) -> Float[Array, "b t k d"]:
    """The slots s, those of the last u frames in the order that maximises sum over k of p_k . s_k in each frame.

    Gradients flow through s as through a fixed order.
    """
    first, predicted = s[:, : -p.shape[1]], s[:, -p.shape[1] :]
    similarity = jax.lax.stop_gradient(jnp.einsum("bukd,bujd->bukj", p, predicted))
    order = jax.vmap(jax.vmap(best_assignment))(similarity)
    return jnp.concatenate([first, jnp.take_along_axis(predicted, order[..., None], axis=2)], axis=1)


def best_assignment(similarity: Float[Array, "k k"]) -> Int[Array, " k"]:
    """The column of each row in the one to one assignment with the largest sum."""
    # On numbers that are not finite the search would never end; the loss is not finite then, which stops the run.
    rows, columns = optax.assignment.hungarian_algorithm(-jnp.nan_to_num(similarity))
    return jnp.zeros_like(columns).at[rows].set(columns)
