"""Data sets; a file dropped in here is found by itself.

A data set gives windows of frames, their actions and labels, split so that nothing seen in training is scored. Files
that hold a `Dataset` register it (`gridworld`, `bouncing_balls`, `three_body`, `block_pushing` shapes and cubes,
`atari` all games and `atari_centred` the same games less their mean frame, in units of the standard deviation that
remains); the others are their parts.
"""

import importlib
import pkgutil

NOT_DATA_SETS = ("atari_gym",)
"""Files that are imported by those who want them only: a wrapper for Gymnasium, which takes long to import."""

for _module in pkgutil.iter_modules(__path__):
    if _module.name not in NOT_DATA_SETS:
        importlib.import_module(f"{__name__}.{_module.name}")
