"""SetCon: contrasting sets of slots (Löwe et al. 2020, arXiv 2011.10287).

A whole set of slots is encoded as one vector, and the predicted set must be told from all other sets: nothing says
which slot holds which object. `setcon-fm` has the FM-MLP encoder; `setcon-random-init` draws the initial slots and
refines them three times (appendix B.4).

Readings: z is not normalised; the positive is among the candidates, the anchor is not; candidates come from the whole
batch, or from `negatives_per_shard` sequences as each of the authors' 8 cores may have done. Departure: the last step's
parameters are used, the paper takes the best by the decoder's error.

    python run_benchmark.py --methods setcon,setcon-fm --suite synthetic --budget paper

Expected at the paper's budget, decoder's mean squared error times 100 of encoded and of one step predicted slots:
GridWorld 0.07 and 1.2 (FM-MLP 0.5 and 3.1), Bouncing Balls 0.8 and 5.5 (FM-MLP 5.3 and 9.3).
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

from flax import nnx

from benchmark.contracts import Loss
from benchmark.modules.info_nce import in_shards, info_nce
from benchmark.modules.set_encoder import SetEncoder
from benchmark.registry import methods
from benchmark.types import Batch, DatasetSpec, Key
from methods.slot_prediction import SlotPrediction


@methods.register("setcon")
@methods.register("setcon-fm", encoder="fm_mlp")
@methods.register("setcon-random-init", initializer="gaussian", iterations=3)
@dataclass(frozen=True, kw_only=True)
class SetCon(SlotPrediction):
    """`tau` is the temperature; `negatives_per_shard` sequences see one another's sets, None: all of the batch."""

    tau: float = 0.5
    negatives_per_shard: int | None = None

    def build(self, spec: DatasetSpec, rngs: nnx.Rngs) -> Any:
        model = super().build(spec, rngs)
        model.set_encoder = SetEncoder(self.slot_size, rngs)
        return model

    def loss(self, model: Any, batch: Batch, key: Key) -> Loss:
        s, p = self.encode_and_predict(model, batch.frames, key)
        z_s, z_p = model.set_encoder(s), model.set_encoder(p)
        loss = in_shards(partial(info_nce, tau=self.tau), z_p, z_s, self.negatives_per_shard)
        return loss, {"info_nce": loss}
