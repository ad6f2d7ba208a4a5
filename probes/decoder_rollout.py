"""How far ahead a prediction still shows the right frame (Löwe et al. 2020, figures 2b and 5).

A decoder of its own, as the paper has it: trained on the encoded slots and on those predicted 1 to 5 steps before, all
with equal weight. So its error on `s` and `p1` is not that of the probe `decoder`.
"""

from dataclasses import dataclass
from typing import ClassVar

from benchmark.registry import probes
from probes.decoder import Decoder


@probes.register("decoder-rollout")
@dataclass(frozen=True, kw_only=True)
class DecoderRollout(Decoder):
    """As `decoder`, with the targets `s` and `p1` to `p5`; a method that does not predict has `s` only.

    A step has 252 frames on GridWorld and 6 of 32 x 32 or 64 x 64 pixels, one a target.
    """

    horizon: ClassVar[int] = 5
    figure_masks: ClassVar[bool] = False
