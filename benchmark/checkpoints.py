"""Where a long training stands, saved now and then, so that a killed run goes on with the numbers it would have had."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np

from benchmark import stopping
from benchmark.parameters import like, plain

EVERY = 60.0
"""Seconds between two checkpoints of a run."""


@dataclass
class Checkpoints:
    """Saves (training state, losses so far) of one run into a folder, at most once in `every` seconds.

    A run that ends before the first `every` seconds leaves no trace and pays nothing. Each checkpoint carries the
    SHA-256 of all its values and of `code`, which names what is trained: other code does not go on from it. One that
    the disk does not take is named by `note`, and training goes on; so is the one from which a run goes on.
    """

    folder: Path
    code: str = ""
    every: float = field(default_factory=lambda: EVERY)
    note: Callable[[str], None] = lambda text: None
    _saved: float = field(default_factory=time.monotonic)

    @property
    def due(self) -> bool:
        """Is it time to save? Also where the process was asked to stop."""
        return stopping.asked() or time.monotonic() - self._saved >= self.every

    def save(self, step: int, state: Any, losses: np.ndarray) -> None:
        """Save the state after `step` steps; `losses` has a place for every step of the run."""
        self._save(step, state, losses)
        self._saved = time.monotonic()

    def _save(self, step: int, state: Any, losses: np.ndarray) -> None:
        import orbax.checkpoint as ocp

        try:
            for later in {known for known in self.steps() if known >= step}:  # from which training could not go on
                shutil.rmtree(self.folder / str(later))
            with self._manager() as manager:
                manager.save(step, args=ocp.args.StandardSave(self._pack(step, state, losses)))
                manager.wait_until_finished()
        except Exception as error:  # a full disk has many names in there
            reason = str(error).strip().partition("\n")[0]
            self.note(f"no checkpoint of step {step} in {self.folder}: {type(error).__name__}: {reason}")

    def steps(self) -> set[int]:
        """Of which steps there are checkpoints, damaged or not."""
        names = [path.name for path in self.folder.iterdir()] if self.folder.exists() else []
        return {int(name) for name in names if name.isdecimal()}

    def step(self) -> int:
        """The step of the newest checkpoint, damaged or not; 0 without one."""
        return max(self.steps(), default=0)

    def latest(self, state: Any, losses: np.ndarray, among: set[int] | None = None) -> tuple[int, Any, np.ndarray]:
        """(steps done, state, losses) of the newest checkpoint that can be read; (0, what was given) without one.

        A damaged checkpoint is passed over, one of other code, and any but those of the steps `among`.
        """
        if not self.folder.exists():
            return 0, state, losses
        import orbax.checkpoint as ocp

        with self._manager() as manager:
            steps = set(manager.all_steps())
            for step in sorted(steps if among is None else steps & among, reverse=True):
                try:
                    saved = manager.restore(step, args=ocp.args.StandardRestore(self._pack(step, state, losses)))
                    if not np.array_equal(saved["sha256"], self._seal(step, saved["state"], saved["losses"])):
                        continue
                    leaves = [like(old, new) for old, new in zip(jax.tree.leaves(state), saved["state"], strict=True)]
                    shapes = [leaf.shape for leaf in (losses, *jax.tree.leaves(state))]
                    if [leaf.shape for leaf in (saved["losses"], *leaves)] != shapes:
                        continue
                except Exception:  # whatever a damaged or foreign file makes of Orbax
                    continue
                return step, jax.tree.unflatten(jax.tree.structure(state), leaves), np.array(saved["losses"])
        return 0, state, losses

    def clear(self) -> None:
        """Remove them all: the run is recorded."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _pack(self, step: int, state: Any, losses: np.ndarray) -> dict[str, Any]:
        """Plain arrays, which know no device: they can be read on another number of them."""
        leaves = [np.asarray(plain(leaf)) for leaf in jax.tree.leaves(state)]
        return {"state": leaves, "losses": losses, "sha256": self._seal(step, leaves, losses)}

    def _seal(self, step: int, leaves: list[Any], losses: np.ndarray) -> np.ndarray:
        return _sha256(step, [*leaves, np.frombuffer(self.code.encode(), np.uint8)], losses)

    def _manager(self) -> Any:
        import orbax.checkpoint as ocp

        return ocp.CheckpointManager(self.folder.absolute(), options=ocp.CheckpointManagerOptions(max_to_keep=2))


def offer(
    checkpoints: Sequence[Checkpoints], step: int, states: Callable[[], Sequence[Any]], losses: np.ndarray
) -> None:
    """Save where runs that are trained together stand, each in its place, if it is time; `losses` [run, step].

    Where the process was asked to stop it is time, and Stopped is raised afterwards.
    """
    if any(own.due for own in checkpoints):
        for own, state, curve in zip(checkpoints, states(), losses, strict=True):
            own.save(step, state, curve)
    if stopping.asked() and checkpoints:
        raise stopping.Stopped


def resumed(
    checkpoints: Sequence[Checkpoints], states: Sequence[Any], losses: np.ndarray
) -> tuple[int, Sequence[Any], np.ndarray]:
    """(steps done, states, losses [run, step]) of the newest step of which each of the runs has a checkpoint.

    (0, what was given) if there is none, or if one of them turns out to be damaged and they are several.
    """
    if not checkpoints:
        return 0, states, losses
    common = set.intersection(*(own.steps() for own in checkpoints))
    among = common if len(checkpoints) == 1 else {max(common, default=0)}
    found = [own.latest(state, curve, among) for own, state, curve in zip(checkpoints, states, losses, strict=True)]
    done = {step for step, _, _ in found}
    if len(done) > 1:
        return 0, states, losses
    for own in checkpoints:
        if done != {0}:
            own.note(f"goes on from a checkpoint, step {max(done)}")
        elif len(checkpoints) == 1 and own.steps():
            own.note("begins anew: its checkpoints are damaged, or from before its method or data set was edited")
    return done.pop(), [state for _, state, _ in found], np.stack([curve for _, _, curve in found])


def _sha256(step: int, leaves: list[Any], losses: np.ndarray) -> np.ndarray:
    """Of the step and of every value with its type and shape, 32 bytes."""
    whole = hashlib.sha256(str(step).encode())
    for array in map(np.asarray, [*leaves, losses]):
        whole.update(f"{array.dtype}{array.shape}".encode())
        whole.update(array.tobytes())
    return np.frombuffer(whole.digest(), np.uint8)
