"""What a decoder makes of predicted slots that it learns from alone.

The probe `decoder` learns the encoded slots and the predicted ones together, as Löwe et al. 2020 (arXiv 2011.10287) do.
It is good at the encoded ones first, and can then stay where it paints the predicted ones worse than they allow. A
decoder that sees no encoded slot tells how much of an error of prediction is that of the slots.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

from benchmark.registry import probes
from benchmark.types import Frozen, Key, ProbeResult
from probes.decoder import Decoder, undefined
from probes.decoding import Aligned


@probes.register("decoder-predicted")
@dataclass(frozen=True, kw_only=True)
class DecoderPredicted(Decoder):
    """As `decoder`, with the target `p1` only, which is undefined for a method that does not predict.

    Asked only by its name; not of a method's own decoder, which learned encoded slots too.
    """

    optional: ClassVar[bool] = True
    reads_decoder: ClassVar[bool] = False
    figure_masks: ClassVar[bool] = False

    def targets(self, frozen: Frozen) -> dict[str, Aligned]:
        """The slots predicted one step before."""
        return {name: aligned for name, aligned in super().targets(frozen).items() if name != "s"}

    def __call__(self, train: Frozen, val: Frozen, test: Frozen, key: Key) -> ProbeResult:
        """As `Decoder`'s."""
        if test.predicted is None:
            return undefined("p1")
        train, val, test = (replace(split, decode=None) for split in (train, val, test))
        return super().__call__(train, val, test, key)
