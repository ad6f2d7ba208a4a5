"""Probes; a file dropped in here is found by itself.

A probe asks a frozen representation one question; it sees arrays, never a model. Files that hold a `Probe` register it
(`linear`, `linear_predicted`, `decoder`, `decoder_rollout`, `decoder_whitened`, `decoder_predicted`, `masks`,
`colour_kmeans`, `ranking`, `diagnostics`); the others are their parts.
"""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
