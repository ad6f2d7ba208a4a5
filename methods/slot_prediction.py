"""What the methods of Löwe et al. 2020 (arXiv 2011.10287) share: the encoder, the transition model, and predicting.

They differ in the loss alone. Encoders are Slot Attention, and FM-MLP, which makes a slot of each feature map.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import jax.numpy as jnp
from flax import nnx

from benchmark.contracts import Method
from benchmark.modules.fm_mlp import FeatureMapEncoder
from benchmark.modules.slot_attention import GaussianSlots, LearnedSlots, SlotAttentionEncoder
from benchmark.modules.transition import LinearTransition
from benchmark.types import Array, DatasetSpec, Float, Int, Key, Slots


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


class SlotPredictor(nnx.Module):
    """An encoder and a transition model; what a loss needs beyond them is added to it as a further attribute."""

    def __init__(self, encoder: nnx.Module, slot_size: int, rngs: nnx.Rngs) -> None:
        self.encoder = encoder
        self.transition = LinearTransition(slot_size, rngs)


@dataclass(frozen=True, kw_only=True)
class SlotPrediction(SlotEncoding):
    """Slots of every frame and predictions of the slots to come.

    `clip` is the number of frames in a training sample, None the data set's.
    """

    context: ClassVar[int] = 2

    clip: int | None = None

    def window(self, spec: DatasetSpec) -> int:
        return self.clip or spec.training_window

    def supports(self, spec: DatasetSpec) -> str | None:
        if self.window(spec) > self.context:
            return None
        return f"predicts a frame from the two before it, but samples have {self.window(spec)} frames"

    def build(self, spec: DatasetSpec, rngs: nnx.Rngs) -> Any:
        return SlotPredictor(self.build_encoder(spec, rngs), self.slot_size, rngs)

    def encode(self, model: Any, frames: Float[Array, "b t h w c"]) -> Slots:
        return model.encoder(frames)

    def encode_and_predict(
        self, model: Any, frames: Float[Array, "b t h w c"], key: Key
    ) -> tuple[Float[Array, "b t k d"], Float[Array, "b t-2 k d"]]:
        """Slots s of all frames, and predictions p of the slots of frames 2 to t - 1."""
        s = model.encoder(frames, key).slots
        return s, model.transition(s[:, :-2], s[:, 1:-1])

    def predict(
        self, model: Any, slots: Float[Array, "b t k d"], actions: Int[Array, "b t"] | None, steps: int
    ) -> Float[Array, "b t j k d"]:
        """Entry [:, t, j] predicts the slots of frame t + 1 + j from those of frames t - 1 and t; actions are not used.

        Frame 0 has no frame before it: there the prediction assumes rest, and is not scored.
        """
        previous = jnp.concatenate([slots[:, :1], slots[:, :-1]], axis=1)
        return model.transition.rollout(previous, slots, steps)
