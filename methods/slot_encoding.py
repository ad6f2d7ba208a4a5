"""The encoders of Löwe et al. 2020 (arXiv 2011.10287), for their methods and for those that are compared with them.

Slot Attention, and FM-MLP, which makes a slot of each feature map.
"""

from dataclasses import dataclass
from typing import Literal

from flax import nnx

from benchmark.contracts import Method
from benchmark.modules.fm_mlp import FeatureMapEncoder
from benchmark.modules.slot_attention import GaussianSlots, LearnedSlots, SlotAttentionEncoder
from benchmark.types import DatasetSpec


@dataclass(frozen=True, kw_only=True)
class SlotEncoding(Method):
    """A method with one of these encoders.

    `num_slots` None takes the data set's. `initializer` and `iterations` are Slot Attention's. Weight decay is
    decoupled.

    The learning rate is 2.5e-4 for each 256 sequences of the paper's batch on GridWorld, 1024; the paper chose among
    1e-4 to 5e-4. Departure: it is the same for other batches. By the paper's rule Bouncing Balls, whose batch is 128,
    would have 0.5e-4 to 2.5e-4.
    """

    learning_rate: float = 1e-3
    weight_decay: float = 1e-6
    encoder: Literal["slot_attention", "fm_mlp"] = "slot_attention"
    initializer: Literal["learned", "gaussian"] = "learned"
    iterations: int = 1
    slot_size: int = 16
    num_slots: int | None = None

    def build_encoder(self, spec: DatasetSpec, rngs: nnx.Rngs) -> nnx.Module:
        """The encoder: called with frames [b t h w c], and a key for what it draws, it gives their Slots."""
        num_slots = self.num_slots or spec.num_slots
        if self.encoder == "fm_mlp":
            return FeatureMapEncoder(spec, num_slots, self.slot_size, rngs)
        initial = {"learned": LearnedSlots, "gaussian": GaussianSlots}[self.initializer]
        return SlotAttentionEncoder(
            spec, initial(num_slots, self.slot_size, rngs), self.slot_size, self.iterations, rngs
        )
