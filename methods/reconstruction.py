"""Reconstruction, the yardstick of SetCon (Löwe et al. 2020, arXiv 2011.10287, section 5): pixels train everything.

Encoder and transition model are SetCon's; the loss is the squared error of the frames decoded from the slots and from
the predicted slots. `reconstruction-fm` has the FM-MLP encoder.

Departures: a random `decoded_frames` of the batch's frames, half from slots and half from predictions, stand for all,
because the decoder costs more than everything else together; the mean is the same. Frames of more than `max_pixels`
(Atari's, the paper has none) are painted at half or a quarter of their height and width, and compared with the mean of
the pixels that each painted one covers: 53x40 instead of 210x160. The last step's parameters are used, the paper takes
the best.

    python run_benchmark.py --methods reconstruction,reconstruction-fm --suite synthetic --budget paper

Expected at the paper's budget, decoder's mean squared error times 100 of encoded and of one step predicted slots:
GridWorld 0.45 and 3.1 (FM-MLP 0.01 and 0.8), Bouncing Balls 0.14 and 4.1 (FM-MLP 0.8 and 2.7).
"""

from dataclasses import dataclass
from typing import Any

import jax
from flax import nnx

from benchmark.contracts import Loss
from benchmark.modules.decoder import (
    SpatialBroadcastDecoder,
    decoder_filters,
    frames_decoded,
    reduction,
    sampled_error,
)
from benchmark.registry import methods
from benchmark.types import Array, Batch, DatasetSpec, Decoded, Float, Key
from methods.slot_prediction import SlotPrediction


@methods.register("reconstruction")
@methods.register("reconstruction-fm", encoder="fm_mlp")
@dataclass(frozen=True, kw_only=True)
class Reconstruction(SlotPrediction):
    """`decoded_frames` a step, fewer where they have more than `decoded_pixels`; None: all, as in the paper.

    `filters` of the decoder, None: the paper's.

    The cost of a step grows with pixels times slots. So frames of more than `max_pixels` are painted smaller, and fewer
    are decoded where there are more slots than the paper's (see `benchmark.modules.decoder`).
    """

    decodes = True

    decoded_frames: int | None = 256
    decoded_pixels: int = 16_384
    filters: int | None = None
    max_pixels: int = 64 * 64

    def build(self, spec: DatasetSpec, rngs: nnx.Rngs) -> Any:
        model = super().build(spec, rngs)
        filters, reduce = self.filters or decoder_filters(spec), reduction(spec, self.max_pixels)
        model.decoder = SpatialBroadcastDecoder(spec, self.slot_size, filters, rngs, reduce=reduce)
        return model

    def loss(self, model: Any, batch: Batch, key: Key) -> Loss:
        encoder_key, s_key, p_key = jax.random.split(key, 3)
        s, p = self.encode_and_predict(model, batch.frames, encoder_key)
        half = frames_decoded(model.decoder, s.shape[-2], self.decoded_frames, self.decoded_pixels)
        mse_s = sampled_error(model.decoder, s, batch.frames, half, s_key)
        mse_p = sampled_error(model.decoder, p, batch.frames[:, 2:], half, p_key)
        return mse_s + mse_p, {"mse_s": mse_s, "mse_p": mse_p}

    def decode(self, model: Any, slots: Float[Array, "b k d"]) -> Decoded:
        """In the size of the data set's frames."""
        return model.decoder.in_full_size(slots)
