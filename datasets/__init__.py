"""One file a data set; a file dropped in here is found by itself.

A data set gives windows of frames, their actions and labels, split so that nothing seen in training is scored.
"""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
