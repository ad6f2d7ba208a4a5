"""Slotwise contrasting, the baseline of SetCon (Löwe et al. 2020, arXiv 2011.10287, section 5).

Every predicted slot must be told from the slots with the same index in all frames of the batch, so that each slot has
to identify a scene by itself: a model may put everything into every slot. `slotwise-fm` has the FM-MLP encoder.

Readings: one softmax a slot index, their mean; the same temperature and candidates as SetCon. Departure: the last
step's parameters are used, the paper takes the best by the decoder's error.

    python run_benchmark.py --methods slotwise,slotwise-fm --suite synthetic --budget paper

Expected at the paper's budget, decoder's mean squared error times 100 of encoded and of one step predicted slots:
GridWorld 4.2 and 5.1 (FM-MLP 3.7 and 5.5), Bouncing Balls 2.9 and 7.4 (FM-MLP 4.5 and 8.2).
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax.numpy as jnp

from benchmark.contracts import Loss
from benchmark.modules.info_nce import in_shards, info_nce
from benchmark.registry import methods
from benchmark.types import Array, Batch, Float, Key
from methods.slot_prediction import SlotPrediction


@methods.register("slotwise")
@methods.register("slotwise-fm", encoder="fm_mlp")
@dataclass(frozen=True, kw_only=True)
class Slotwise(SlotPrediction):
    """`tau` is the temperature; `negatives_per_shard` sequences see one another's slots, None: all of the batch."""

    tau: float = 0.5
    negatives_per_shard: int | None = None

    def loss(self, model: Any, batch: Batch, key: Key) -> Loss:
        s, p = self.encode_and_predict(model, batch.frames, key)
        loss = in_shards(partial(slotwise_info_nce, tau=self.tau), p, s, self.negatives_per_shard)
        return loss, {"info_nce": loss}


def slotwise_info_nce(p: Float[Array, "b u k d"], s: Float[Array, "b t k d"], tau: float) -> Float[Array, ""]:
    """InfoNCE of every slot index by itself, among the slots with that index; mean over slots."""
    terms = [info_nce(p[:, :, k], s[:, :, k], tau) for k in range(s.shape[2])]
    return jnp.stack(terms).mean()
