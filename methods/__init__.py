"""One file a method; a file dropped in here is found by itself.

A method learns slots from windows of frames and encodes frames as slots; its module's docstring names the paper.
`slot_prediction` registers none: it is what the methods of Löwe et al. 2020 share.
"""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
