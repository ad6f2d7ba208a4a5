"""SetCon's own probe protocol: a decoder trained beside the model, on slots that hand back no gradient.

Departure: a random few of a step's frames are decoded, `Joint.decoded_frames` and `decoded_pixels`, not each frame and
each prediction; the mean is the same. At the paper's batches that is 256 of 14,336 on GridWorld and 4 of 2,816 on
Bouncing Balls, where decoding all would cost more than everything else together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from benchmark import checked
from benchmark.contracts import Loss, Method
from benchmark.modules.decoder import SpatialBroadcastDecoder, decoder_filters, frames_decoded, sampled_error
from benchmark.types import Array, Batch, DatasetSpec, Decoded, Float, Int, Key, Slots


class ModelWithDecoder(nnx.Module):
    """A method's model, and a decoder that reads its slots."""

    def __init__(self, model: nnx.Module, decoder: nnx.Module) -> None:
        self.model, self.decoder = model, decoder


def joint(method: Method) -> Method:
    """The method with a decoder beside it, trained at the method's own rate; itself if it trains one anyway."""
    if method.decodes:
        return method
    return Joint(of=method, learning_rate=method.learning_rate, weight_decay=method.weight_decay)


@dataclass(frozen=True, kw_only=True)
class Joint(Method):
    """The method `of` with a decoder beside it (Löwe et al. 2020, section 5.1).

    `decoded_frames` of the batch's frames, with `decoded_pixels` at most, are decoded in a step, half from slots and
    half from predictions (see `benchmark.modules.decoder.frames_decoded`).
    """

    version = 2
    decodes = True

    of: Method
    decoded_frames: int = 256
    decoded_pixels: int = 16_384

    @property
    def reads_labels(self) -> bool:  # type: ignore[override]
        """As the method."""
        return self.of.reads_labels

    @property
    def context(self) -> int:  # type: ignore[override]
        """As the method."""
        return self.of.context

    def decoding(self) -> dict[str, int]:
        """What the decoder beside the method adds to a run's identity."""
        return {"version": self.version, "decoded_frames": self.decoded_frames, "decoded_pixels": self.decoded_pixels}

    def window(self, spec: DatasetSpec) -> int:
        return self.of.window(spec)

    def build(self, spec: DatasetSpec, rngs: nnx.Rngs) -> ModelWithDecoder:
        model = checked.build(self.of, spec, rngs)
        frame = jax.ShapeDtypeStruct((1, 1, *spec.frame_shape), jnp.float32)
        slot_size = jax.eval_shape(lambda x: checked.encode(self.of, nnx.clone(model), x).slots, frame).shape[-1]
        return ModelWithDecoder(model, SpatialBroadcastDecoder(spec, slot_size, decoder_filters(spec), rngs))

    def loss(self, model: Any, batch: Batch, key: Key) -> Loss:
        loss_key, s_key, p_key = jax.random.split(key, 3)
        loss, logs = checked.loss(self.of, model.model, batch, loss_key)
        aside = nnx.clone(model.model)  # so that averages of a batch norm are not updated twice
        s = jax.lax.stop_gradient(self.of.encode(aside, batch.frames).slots)
        half = frames_decoded(model.decoder, s.shape[-2], self.decoded_frames, self.decoded_pixels)
        parts = {"mse_s": sampled_error(model.decoder, s, batch.frames, half, s_key)}
        if self.context:
            p = jax.lax.stop_gradient(self.of.predict(aside, s, batch.actions, 1)[:, self.context - 1 : -1, 0])
            target = batch.frames[:, self.context :]
            parts["mse_p"] = sampled_error(model.decoder, p, target, half, p_key)
        return loss + sum(parts.values()), logs | parts

    def encode(self, model: Any, frames: Float[Array, "b t h w c"]) -> Slots:
        return checked.encode(self.of, model.model, frames)

    def predict(
        self, model: Any, slots: Float[Array, "b t k d"], actions: Int[Array, "b t"] | None, steps: int
    ) -> Float[Array, "b t j k d"]:
        return checked.predict(self.of, model.model, slots, actions, steps)

    def decode(self, model: Any, slots: Float[Array, "b k d"]) -> Decoded:
        return model.decoder(slots)
