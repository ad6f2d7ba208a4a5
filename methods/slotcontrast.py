"""SlotContrast (Manasyan et al. 2025, CVPR, arXiv 2412.14295): every slot must be found again in the next frame.

Slots are carried through a clip: those of a frame, passed through a predictor, are where Slot Attention starts in the
next. The loss asks that slot k of sequence n be nearest to itself one frame later, among all slots of all sequences.
Slots that ignore the frames would be alike in all sequences, and score no better than ln B.

Departures: frames are seen through the data set's backbone and SetCon's positioned features instead of a pretrained
vision transformer; the paper's second loss, which reconstructs that transformer's features, is left out, as features
that are trained along are no target. Slots have SetCon's size. No warm-up and decay of the learning rate, and no
clipping of gradients. The predictor is not trained to forecast, so the method counts as one without a transition model.

    python run_benchmark.py --methods slotcontrast --suite synthetic

No score to expect: the paper has other data and measures.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from benchmark.contracts import Loss, Method
from benchmark.modules.contrastive import cosines, match_diagonal
from benchmark.modules.mlp import MLP
from benchmark.modules.position import PositionedFeatures
from benchmark.modules.slot_attention import LearnedSlots, SlotAttention
from benchmark.registry import methods
from benchmark.types import Array, Batch, DatasetSpec, Float, Key, Slots


class Predictor(nnx.Module):
    """One block of a transformer over the slots of a frame: attention with 4 heads, then an MLP, both residual."""

    def __init__(self, slot_size: int, rngs: nnx.Rngs) -> None:
        self.norm_attention = nnx.LayerNorm(slot_size, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(4, slot_size, qkv_features=64, decode=False, rngs=rngs)
        self.norm_mlp = nnx.LayerNorm(slot_size, rngs=rngs)
        self.mlp = MLP(slot_size, 4 * slot_size, slot_size, rngs)

    def __call__(self, slots: Float[Array, "b k d"]) -> Float[Array, "b k d"]:
        slots = slots + self.attention(self.norm_attention(slots))
        return slots + self.mlp(self.norm_mlp(slots))


class RecurrentEncoder(nnx.Module):
    """Slot Attention from frame to frame; slots of the first frame start where they were learned to."""

    def __init__(
        self, spec: DatasetSpec, num_slots: int, slot_size: int, iterations: tuple[int, int], rngs: nnx.Rngs
    ) -> None:
        self.first, self.later = iterations
        self.features = PositionedFeatures(spec, rngs)
        self.initializer = LearnedSlots(num_slots, slot_size, rngs)
        self.attention = SlotAttention(self.features.num_features, slot_size, self.later, rngs)
        self.predictor = Predictor(slot_size, rngs)

    def __call__(self, frames: Float[Array, "b t h w c"]) -> Slots:
        features = jnp.swapaxes(self.features(frames), 0, 1)
        first = self.attention(features[0], self.initializer(len(frames), None), self.first)

        def later(slots: Array, features: Array) -> tuple[Array, tuple[Array, Array]]:
            found = self.attention(features, self.predictor(slots))
            return found[0], found

        _, others = jax.lax.scan(later, first[0], features[1:])  # compiles in half the time of a loop over frames
        both = (jnp.concatenate([one[None], more]) for one, more in zip(first, others, strict=True))
        return Slots(*(jnp.swapaxes(found, 0, 1) for found in both))


@methods.register("slotcontrast")
@dataclass(frozen=True, kw_only=True)
class SlotContrast(Method):
    """`tau` is the temperature; Slot Attention has `first_iterations` in a clip's first frame, then `iterations`.

    `clip` is the number of frames in a training sample, None the data set's; `num_slots` None takes the data set's.
    """

    learning_rate: float = 4e-4
    tau: float = 0.1
    first_iterations: int = 3
    iterations: int = 2
    slot_size: int = 16
    num_slots: int | None = None
    clip: int | None = None

    def window(self, spec: DatasetSpec) -> int:
        return self.clip or spec.training_window

    def supports(self, spec: DatasetSpec) -> str | None:
        return None if self.window(spec) > 1 else "slots are found again a frame later, but samples have one frame"

    def build(self, spec: DatasetSpec, rngs: nnx.Rngs) -> RecurrentEncoder:
        iterations = self.first_iterations, self.iterations
        return RecurrentEncoder(spec, self.num_slots or spec.num_slots, self.slot_size, iterations, rngs)

    def loss(self, model: Any, batch: Batch, key: Key) -> Loss:
        loss = slot_contrast(model(batch.frames).slots, self.tau)
        return loss, {"info_nce": loss}

    def encode(self, model: Any, frames: Float[Array, "b t h w c"]) -> Slots:
        return model(frames)


def slot_contrast(slots: Float[Array, "b t k d"], tau: float) -> Float[Array, ""]:
    """-log [exp(cos(s_t, s_t+1) / tau) / sum over s' of exp(cos(s_t, s') / tau)], mean over slots, sequences and t < T.

    s_t and s_t+1 are the same slot of the same sequence; s' are all b k slots of frame t + 1 in the batch, it among
    them. Equal slots give ln(b k). Gradients flow through both.
    """
    b, t, k, d = slots.shape
    together = jnp.swapaxes(slots, 0, 1).reshape(t, b * k, d)

    # One frame after the other, and again in the backward pass: of all (t - 1) (b k)^2 cosines one frame's exist.
    @jax.checkpoint
    def at(frames: tuple[Array, Array]) -> Array:
        return match_diagonal(cosines(*frames) / tau)

    return jax.lax.map(at, (together[:-1], together[1:])).mean()
