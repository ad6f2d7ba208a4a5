"""What a run's seconds went to."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Clock:
    """Seconds that each stage of a run took, summed over every time that it was gone through."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        """Time what happens inside."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.add({stage: time.perf_counter() - began})

    def add(self, seconds: dict[str, float]) -> None:
        """Add what stages took before."""
        self.seconds |= {stage: spent + self.seconds.get(stage, 0.0) for stage, spent in seconds.items()}
