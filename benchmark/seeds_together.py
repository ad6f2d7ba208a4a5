"""Runs that differ in their seed only, trained together in one program where that is asked (--seeds-together).

One vmapped program keeps an accelerator busy that a single small model leaves idle. Each run has its own claim, its own
checkpoints and its own record all the same: one that is killed goes on together or alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmark.checkpoints import Checkpoints
from benchmark.claims import Claim
from benchmark.errors import RAISED, LostError, reason
from benchmark.plan import Item, Run
from benchmark.program import Program, run_keys
from benchmark.training import Fitted, OnStep
from benchmark.types import Data


def alike(items: Sequence[Item], count: int) -> Iterator[list[Item]]:
    """The items in their order, cut into groups of at most `count` that differ in their seed only."""
    for _, group in groupby(items, key=lambda item: item.run.path.parent):
        same = list(group)
        yield from (same[start : start + count] for start in range(0, len(same), count))


@dataclass
class Siblings:
    """The runs that this process has claimed beside the present one, until each is the present one."""

    _claimed: dict[Path, tuple[Run, Claim]] = field(default_factory=dict)
    _trained: dict[Path, tuple[Fitted | None, dict[str, Any]]] = field(default_factory=dict)

    @property
    def lost(self) -> bool:
        """Has another process taken one of them over?"""
        return any(claim.lost for _, claim in self._claimed.values())

    def add(self, run: Run, claim: Claim) -> None:
        """Keep a claimed run that is to be trained with the present one."""
        self._claimed[run.path] = run, claim

    def claim_of(self, path: Path) -> Claim | None:
        """The claim of the run that is the present one from now on; None if it is not among them."""
        _, claim = self._claimed.pop(path, (None, None))
        return claim

    def give_back(self) -> None:
        """Release what has not become the present run, because something came between."""
        while self._claimed:
            _, (_, claim) = self._claimed.popitem()
            claim.release()
        self._trained.clear()

    def train(
        self,
        first: Run,
        program: Program,
        data: Data,
        steps: int,
        checkpoints: Callable[[Run], Checkpoints],
        on_step: OnStep,
        note: Callable[[str], None],
    ) -> None:
        """Train the present run and its siblings in one program, unless that was done or there are none.

        Those that have come further alone, to where the others could not go on, are left to do so alone. Whatever goes
        wrong in it, such as too little memory, is noted, and they are to be trained one by one. Raises LostError.
        """
        if first.path in self._trained or not self._claimed or not steps:
            return
        everyone = [first, *(run for run, _ in self._claimed.values())]
        runs = _level([run for run in everyone if run.path not in self._trained], checkpoints)
        if len(runs) < 2:
            return
        keys = [run_keys(run.seed) for run in runs]
        company: dict[str, Any] = {"seeds_together": [run.seed for run in runs]}
        fitted: Sequence[Fitted | None] = [None] * len(runs)
        note(f"{first.dataset_name}, {first.method_name}: {len(runs)} seeds are trained together")
        try:
            models = [program.initialise(key) for key, _, _ in keys]
            places = [checkpoints(run) for run in runs]
            fitted = program.kernel.fit_together(models, data, steps, [key for _, key, _ in keys], on_step, places)
        except LostError:
            raise
        except RAISED as error:
            company["together_failed"] = reason(error)
            note(f"{first.dataset_name}, {first.method_name}: seed by seed after all, as together: {reason(error)}")
        self._trained |= {run.path: (own, company) for run, own in zip(runs, fitted, strict=True)}

    def trained(self, run: Run) -> tuple[Fitted | None, dict[str, Any]]:
        """What `train` made of a run, None where that failed, and what the record is to say of it."""
        return self._trained.pop(run.path, (None, {}))


def _level(runs: Sequence[Run], checkpoints: Callable[[Run], Checkpoints]) -> Sequence[Run]:
    """All, if there is a step from which all can go on; else those that are to begin."""
    reached = {run.path: checkpoints(run).steps() for run in runs}
    if set.intersection(*reached.values()):
        return runs
    return [run for run in runs if not reached[run.path]]
