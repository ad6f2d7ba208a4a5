"""Losses, with their parts, sent to TensorBoard or Weights & Biases while runs train; absent without `--log`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from benchmark.errors import UserError, reason
from benchmark.plan import Run
from benchmark.progress import Progress
from benchmark.records import Record

Send = Callable[[dict[str, float], int], None]
"""Takes numbers by name, at a step."""

Open = Callable[[Path, Run], tuple[Send, Callable[[], None]]]
"""Begins to log a run below an output folder; returns what sends numbers and what ends it."""


def _tensorboard(out: Path, run: Run) -> tuple[Send, Callable[[], None]]:
    from tensorboardX import SummaryWriter

    writer = SummaryWriter(str(out / "tensorboard" / run.path.with_suffix("").relative_to("runs")))

    def send(numbers: dict[str, float], step: int) -> None:
        for name, value in numbers.items():
            writer.add_scalar(name, value, step)

    return send, writer.close


def _wandb(out: Path, run: Run) -> tuple[Send, Callable[[], None]]:
    import wandb

    config = {"suite": run.suite, "budget": run.budget, **run.configuration}
    session = wandb.init(project="slotbench", name=str(run), config=config, dir=str(out), reinit="finish_previous")
    return session.log, session.finish


LOGS: dict[str, tuple[str, Open]] = {"tensorboard": ("tensorboardX", _tensorboard), "wandb": ("wandb", _wandb)}
"""The package that each needs, and how a run begins."""


def opener(name: str) -> Open:
    """What opens the log of a run. Raises UserError where its package is not installed."""
    package, opened = LOGS[name]
    if find_spec(package) is None:
        raise UserError(f"--log {name}: the package {package} is not installed; pip install {package}, or leave it out")
    return opened


@contextmanager
def with_log(progress: Progress, out: Path, log: str | None) -> Iterator[Progress]:
    """What is to be told of runs: the progress, and a log too if one is named, which is closed however the runs end.

    Raises UserError as `opener` does.
    """
    if not log:
        yield progress
        return
    logged = Logged(progress, out, opener(log))
    try:
        yield logged
    finally:
        logged.close()


class Logged:
    """Tells a display what it is told, and a log the losses of every run, their parts too, and its metrics at the end.

    Whatever goes wrong with the log is said once, and the run goes on without it.
    """

    def __init__(self, display: Progress, out: Path, opened: Open) -> None:
        self.display, self.out, self._open = display, out, opened
        self._send: Send | None = None
        self._close: Callable[[], None] = lambda: None
        self._run: Path | None = None

    def note(self, text: str) -> None:
        self.display.note(text)

    def run_started(self, run: Run) -> None:
        self.display.run_started(run)
        self.close()  # of a run that was lost to another process
        self._run = run.path
        with self._forgiven():
            self._send, self._close = self._open(self.out, run)

    def step(self, done: int, loss: float, parts: Mapping[str, float]) -> None:
        self.display.step(done, loss, parts)
        with self._forgiven():
            if self._send:
                self._send({"loss": loss} | {f"loss/{name}": value for name, value in parts.items()}, done)

    def stage(self, name: str) -> None:
        self.display.stage(name)

    def run_finished(self, record: Record) -> None:
        self.display.run_finished(record)
        with self._forgiven():
            if self._send and record.path == self._run:  # not of one that another process has done meanwhile
                self._send(_metrics(record), record.training.get("steps", 0))
        self.close()

    def close(self) -> None:
        """Close the present run's log, if there is one."""
        with self._forgiven():
            self._close()
        self._send, self._close = None, lambda: None

    @contextmanager
    def _forgiven(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._send, self._close = None, lambda: None
            self.display.note(f"no log of this run from here on: {reason(error)}")


def _metrics(record: Record) -> dict[str, float]:
    """Those of the test split that are defined, by probe, metric and target."""
    return {
        f"{row['probe']}/{row['metric']}/{row['target']}": row["value"]
        for row in record.metrics
        if row["split"] == "test" and row["value"] is not None
    }
