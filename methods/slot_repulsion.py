"""Slot repulsion: diversity alone, the slot contrastive term of Slot-BERT (Liao et al. 2025, arXiv 2501.12477).

The slots of a frame must be told from one another by their direction, and nothing else is asked: not that a slot should
follow an object, nor that it should differ between frames. A control with SetCon's encoder: what it reaches is what
diversity explains.

Departures: in Slot-BERT the term stands beside the reconstruction of pretrained features, here it stands alone. As a
mean over pairs of slots of -log softmax(-cos) the term would be least wherever all similarities are equal, for copies
of one slot too, and repel nothing; here a slot is among its own candidates, and has to be told from the others.

    python run_benchmark.py --methods slot-repulsion --suite synthetic

No paper has a score to expect: about that of an encoder that is not trained.
"""

from dataclasses import dataclass
from typing import Any

from flax import nnx

from benchmark.contracts import Loss
from benchmark.modules.contrastive import cosines, match_diagonal
from benchmark.registry import methods
from benchmark.types import Array, Batch, DatasetSpec, Float, Key, Slots
from methods.slot_prediction import SlotEncoding


@methods.register("slot-repulsion")
@dataclass(frozen=True, kw_only=True)
class SlotRepulsion(SlotEncoding):
    """`tau` is the temperature of the softmax."""

    tau: float = 0.1

    def window(self, spec: DatasetSpec) -> int:
        return 1

    def supports(self, spec: DatasetSpec) -> str | None:
        alone = (self.num_slots or spec.num_slots) == 1
        return "the slots of a frame repel one another, but there is one slot" if alone else None

    def build(self, spec: DatasetSpec, rngs: nnx.Rngs) -> nnx.Module:
        return self.build_encoder(spec, rngs)

    def loss(self, model: Any, batch: Batch, key: Key) -> Loss:
        return repulsion(model(batch.frames, key).slots, self.tau), {}

    def encode(self, model: Any, frames: Float[Array, "b t h w c"]) -> Slots:
        return model(frames)


def repulsion(slots: Float[Array, "*b k d"], tau: float) -> Float[Array, ""]:
    """-log [exp(cos(s_k, s_k) / tau) / sum over j of exp(cos(s_k, s_j) / tau)], mean over slots k and frames.

    ln K for copies of one slot; for K <= d + 1 slots least when all cosines are -1 / (K - 1). Gradients flow to both.
    """
    return match_diagonal(cosines(slots, slots) / tau)
