"""Where a long training stands, saved now and then, so that a killed run goes on with the numbers it would have had."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np

from benchmark.parameters import like, plain

EVERY = 60.0
"""Seconds between two checkpoints of a run."""


@dataclass
class Checkpoints:
    """Saves (training state, losses so far) of one run into a folder, at most once in `every` seconds.

    A run that ends before the first `every` seconds leaves no trace and pays nothing.
    """

    folder: Path
    every: float = field(default_factory=lambda: EVERY)
    _saved: float = field(default_factory=time.monotonic)

    def offer(self, step: int, state: Any, losses: np.ndarray) -> None:
        """Save the state after `step` steps if it is time; `losses` has a place for every step of the run."""
        if time.monotonic() - self._saved >= self.every:
            import orbax.checkpoint as ocp

            with self._manager() as manager:
                manager.save(step, args=ocp.args.StandardSave(_pack(state, losses)))
                manager.wait_until_finished()
            self._saved = time.monotonic()

    def latest(self, state: Any, losses: np.ndarray) -> tuple[int, Any, np.ndarray]:
        """(steps done, state, losses) of the newest checkpoint that can be read; (0, what was given) without one.

        A damaged checkpoint is passed over.
        """
        if not self.folder.exists():
            return 0, state, losses
        import orbax.checkpoint as ocp

        with self._manager() as manager:
            for step in sorted(manager.all_steps(), reverse=True):
                try:
                    saved = manager.restore(step, args=ocp.args.StandardRestore(_pack(state, losses)))
                    leaves = [like(old, new) for old, new in zip(jax.tree.leaves(state), saved["state"], strict=True)]
                except Exception:  # whatever a damaged or foreign file makes of Orbax
                    continue
                return step, jax.tree.unflatten(jax.tree.structure(state), leaves), np.array(saved["losses"])
        return 0, state, losses

    def clear(self) -> None:
        """Remove them all: the run is recorded."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _manager(self) -> Any:
        import orbax.checkpoint as ocp

        return ocp.CheckpointManager(self.folder.absolute(), options=ocp.CheckpointManagerOptions(max_to_keep=2))


def _pack(state: Any, losses: np.ndarray) -> dict[str, Any]:
    """Plain arrays, which know no device: they can be read on another number of them."""
    return {"state": [np.asarray(plain(leaf)) for leaf in jax.tree.leaves(state)], "losses": losses}
