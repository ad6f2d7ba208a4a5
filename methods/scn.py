"""SCN: Slot Contrastive Networks (Racah & Chandar 2020, arXiv 2007.09294).

Two slot-wise contrastive losses on pairs of consecutive frames: the same slot a step later must be told from that slot
in other samples (Eq. 1), and from the other slots of the same sample (Eq. 2, slot diversity). `scn-saliency` is the
paper's ablation "loss 1 only".

One bilinear map W, with a bias, serves both losses; published versions of the authors' code have one for each, and
one version of it takes the other slots of all samples as negatives of Eq. 2.

Departures: the last step's parameters are used, the paper takes the best on validation. Where the paper's equations sum
over samples and slots, its code and ours take means.

    python run_benchmark.py --methods scn,scn-saliency --suite atari --budget paper

Expected at the paper's budget: mean R2 of .45 over 20 games, .40 without diversity.
"""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from flax import nnx

from benchmark.contracts import Loss, Method
from benchmark.modules.contrastive import check_negatives, match_diagonal
from benchmark.modules.slot_encoder import slot_encoder, too_many_slots
from benchmark.registry import methods
from benchmark.types import Array, Batch, DatasetSpec, Float, Key, Slots


class SCNModel(nnx.Module):
    """The encoder phi and the bilinear map W that compares slots of two instants."""

    def __init__(self, spec: DatasetSpec, num_slots: int, slot_size: int, rngs: nnx.Rngs) -> None:
        self.encoder = slot_encoder(spec, num_slots, slot_size, rngs)
        self.bilinear = nnx.Linear(slot_size, slot_size, rngs=rngs)


@methods.register("scn")
@methods.register("scn-saliency", diversity_weight=0.0)
@dataclass(frozen=True, kw_only=True)
class SCN(Method):
    """`num_slots` None takes the data set's; `diversity_weight` is the weight of Eq. 2."""

    slot_size: int = 32
    num_slots: int | None = None
    diversity_weight: float = 1.0

    def window(self, spec: DatasetSpec) -> int:
        return 2

    def build(self, spec: DatasetSpec, rngs: nnx.Rngs) -> SCNModel:
        return SCNModel(spec, self.num_slots or spec.num_slots, self.slot_size, rngs)

    def loss(self, model: Any, batch: Batch, key: Key) -> Loss:
        check_negatives(len(batch.frames))
        slots = model.encoder(batch.frames)
        now, later = model.bilinear(slots[:, 0]), slots[:, 1]
        saliency, diversity = saliency_loss(now, later), diversity_loss(now, later)
        return saliency + self.diversity_weight * diversity, {"saliency": saliency, "diversity": diversity}

    def supports(self, spec: DatasetSpec) -> str | None:
        return too_many_slots(spec, self.num_slots)

    def encode(self, model: Any, frames: Float[Array, "b t h w c"]) -> Slots:
        return Slots(model.encoder(frames))


def saliency_loss(now: Float[Array, "b k d"], later: Float[Array, "b k d"]) -> Float[Array, ""]:
    """Eq. 1, Racah & Chandar 2020: slot j of sample n at t + 1 among that of all samples; `now`: phi(x_t) W + bias."""
    return match_diagonal(jnp.einsum("nkd,mkd->knm", now, later))


def diversity_loss(now: Float[Array, "b k d"], later: Float[Array, "b k d"]) -> Float[Array, ""]:
    """Eq. 2, Racah & Chandar 2020: slot j at t + 1 among all slots of the same sample; 0 with one slot."""
    return match_diagonal(jnp.einsum("nkd,njd->nkj", now, later))
