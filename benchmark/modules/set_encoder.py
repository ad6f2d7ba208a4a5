"""The set encoder of Löwe et al. 2020: one vector for a set of slots, whatever their order."""

from flax import nnx

from benchmark.modules.mlp import MLP
from benchmark.modules.rows import by_rows
from benchmark.types import Array, Float


class SetEncoder(nnx.Module):
    """z = f_mlp(LN(sum_k f_mlp(s_k))), z in R^D, all inner widths 128 (DeepSets; section 3.3, Löwe et al. 2020)."""

    def __init__(self, slot_size: int, rngs: nnx.Rngs) -> None:
        self.each = MLP(slot_size, 128, 128, rngs)
        self.norm = nnx.LayerNorm(128, rngs=rngs)
        self.together = MLP(128, 128, slot_size, rngs)

    def __call__(self, slots: Float[Array, "*b k d"]) -> Float[Array, "*b d"]:
        return self.together(by_rows(self.norm, self.each.sum(slots)))
