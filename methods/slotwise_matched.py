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
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from benchmark.modules.info_nce import sharded, slotwise_info_nce
from benchmark.registry import methods
from benchmark.types import Array, Batch, Float, Int, Key
from methods.slot_prediction import SlotPrediction


@methods.register("slotwise-matched")
@dataclass(frozen=True, kw_only=True)
class SlotwiseMatched(SlotPrediction):
    """`tau` is the temperature; `negatives_per_shard` sequences see one another's slots, None: all of the batch."""

    tau: float = 0.5
    negatives_per_shard: int | None = None

    def loss(self, model: Any, batch: Batch, key: Key) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
        s, p = self.encode_and_predict(model, batch.frames, key)
        s = in_predicted_order(s, p)
        s, p = sharded(s, self.negatives_per_shard), sharded(p, self.negatives_per_shard)
        loss = jax.vmap(partial(slotwise_info_nce, tau=self.tau))(p, s).mean()
        return loss, {"info_nce": loss}


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
