"""C-SWM: Contrastively trained Structured World Models (Kipf et al. 2020, arXiv 1911.12247).

A graph network predicts every slot's change from all slots and the action; a hinge keeps the states of other samples
at a distance. On Atari with SCN's encoder, slot size and optimiser, as in the comparison of Racah & Chandar 2020; on
its own ground, the suite `worlds`, with its paper's.

An action upon one object goes to the slot with that object's number and nothing to the others, where there are as many
slots as objects; any other action is copied to every slot.

Departures: every slot sees an action on all (in SCN's code slot 0 alone); games with a single slot are run too; the
last step's parameters are used.
The negative is the paper's (another sample's z_t against z_t+1); `negative="current"` is the one of its code (against
z_t).

    python run_benchmark.py --methods cswm --suite atari --budget paper
    python run_benchmark.py --methods cswm --suite worlds --budget paper

Expected at the paper's budget: on Atari mean R2 of .45 over 20 games, compactness .304; Hits@1 of 100 % after 1 step on
shapes and three_body, 99.9 % on cubes.
"""

from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from benchmark.contracts import Loss, Method, check_positive
from benchmark.modules.contrastive import check_negatives
from benchmark.modules.gnn import GNNTransition
from benchmark.modules.slot_encoder import slot_encoder, too_many_slots
from benchmark.registry import methods
from benchmark.types import Array, Batch, DatasetSpec, Float, Int, Key, Slots


class CSWMModel(nnx.Module):
    """An encoder and a transition model."""

    def __init__(self, spec: DatasetSpec, num_slots: int, slot_size: int, hidden: int, rngs: nnx.Rngs) -> None:
        # One hot vector of all actions is either cut into one part a slot, or copied to every slot.
        factored = spec.actions_per_object > 0 and num_slots * spec.actions_per_object == spec.num_actions
        self.parts = num_slots if factored else 1
        self.num_actions = spec.num_actions
        self.encoder = slot_encoder(spec, num_slots, slot_size, rngs)
        self.gnn = GNNTransition(slot_size, spec.num_actions // self.parts, hidden, rngs)

    def transition(self, slots: Float[Array, "b k d"], actions: Int[Array, " b"] | None) -> Float[Array, "b k d"]:
        """The predicted change of every slot, T(z, a) in the paper; `actions` None: nobody acts."""
        shape = (*slots.shape[:-1], self.num_actions // self.parts)
        if actions is None:
            return self.gnn(slots, jnp.zeros(shape))
        parts = jax.nn.one_hot(actions, self.num_actions).reshape(-1, self.parts, shape[-1])
        return self.gnn(slots, jnp.broadcast_to(parts, shape))


@methods.register("cswm")
@dataclass(frozen=True, kw_only=True)
class CSWM(Method):
    """`sigma` scales the energy, `margin` is the hinge's; `hidden` is the width of the graph network.

    `slot_size` and `num_slots` None take the data set's.
    """

    context = 1

    slot_size: int | None = 32
    num_slots: int | None = None
    hidden: int = 512
    sigma: float = 0.5
    margin: float = 1.0
    negative: Literal["next", "current"] = "next"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "sigma", "margin")

    def window(self, spec: DatasetSpec) -> int:
        return 2

    def build(self, spec: DatasetSpec, rngs: nnx.Rngs) -> CSWMModel:
        slot_size = self.slot_size or spec.slot_size
        assert slot_size is not None
        return CSWMModel(spec, self.num_slots or spec.num_slots, slot_size, self.hidden, rngs)

    def loss(self, model: Any, batch: Batch, key: Key) -> Loss:
        check_negatives(len(batch.frames))
        slots = model.encoder(batch.frames)
        now, later = slots[:, 0], slots[:, 1]
        change = model.transition(now, None if batch.actions is None else batch.actions[:, 0])
        # Samples are drawn independently, so the next one in the batch is as random a negative as any.
        other = jnp.roll(now, 1, axis=0)
        against = {"next": later, "current": now}[self.negative]
        return self.contrast(now + change, later, other, against)

    def contrast(
        self,
        predicted: Float[Array, "b k d"],
        later: Float[Array, "b k d"],
        negative: Float[Array, "b k d"],
        against: Float[Array, "b k d"],
    ) -> Loss:
        """H + max(0, margin - H~), means over samples (Kipf et al. 2020, section 2.3), and both parts.

        H is the energy of the prediction and the state that came, H~ that of a negative and the state it stands for.
        """
        positive = energy(predicted, later, self.sigma).mean()
        hinge = jnp.maximum(0.0, self.margin - energy(negative, against, self.sigma)).mean()
        return positive + hinge, {"positive": positive, "hinge": hinge}

    def supports(self, spec: DatasetSpec) -> str | None:
        if self.slot_size is None and spec.slot_size is None:
            return "slot_size=none takes the data set's, but it has none"
        return too_many_slots(spec, self.num_slots)

    def encode(self, model: Any, frames: Float[Array, "b t h w c"]) -> Slots:
        return Slots(model.encoder(frames))

    def predict(
        self, model: Any, slots: Float[Array, "b t k d"], actions: Int[Array, "b t"] | None, steps: int
    ) -> Float[Array, "b t j k d"]:
        """Adds the predicted change `steps` times, with the actions taken; beyond the clip with its last action."""
        b, t = slots.shape[:2]
        state, predicted = slots.reshape(b * t, *slots.shape[2:]), []
        for step in range(steps):
            taken = None if actions is None else actions[:, np.minimum(np.arange(t) + step, t - 1)].reshape(-1)
            state = state + model.transition(state, taken)
            predicted.append(state.reshape(slots.shape))
        return jnp.stack(predicted, axis=2)


def energy(a: Float[Array, "b k d"], b: Float[Array, "b k d"], sigma: float) -> Float[Array, " b"]:
    """Eq. 5, Kipf et al. 2020: squared distance of two states over 2 sigma^2, mean over slots."""
    return jnp.square(a - b).sum(-1).mean(-1) / (2 * sigma**2)
