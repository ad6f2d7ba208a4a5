"""Runs done on a Dask cluster that the user has started: one run a slot of a Dask worker, or as its resources allow.

A task is plain: what the worker process of the slot was started with, and the run. That process stays for the next run,
as frames and programs do in it. It ends with its Dask worker, and with the command; the run is then tried elsewhere.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any
from uuid import uuid4

from benchmark.claims import ATTEMPTS
from benchmark.engines.events import finished, show
from benchmark.engines.process import Assignments, Duty, Worker, assignments, share_of_cores
from benchmark.errors import UserError
from benchmark.machine import ROOT
from benchmark.plan import Item
from benchmark.progress import Display, Progress
from benchmark.records import Record

CONNECT = 15.0
"""Seconds to wait for the scheduler's answer."""


@dataclass
class Cluster:
    """The cluster whose scheduler has that address or wrote that file; a run takes `resources` of a Dask worker."""

    address: str
    resources: Mapping[str, float]
    duty: Duty
    out: Path
    topic: str = field(default_factory=lambda: f"slotbench-{uuid4().hex}")
    """Under which Dask passes on what the workers of this command tell: others may use the cluster too."""
    _client: Any = None
    _futures: dict[str, Any] = field(default_factory=dict)
    _heard: SimpleQueue[Any] = field(default_factory=SimpleQueue)

    def __post_init__(self) -> None:
        """Connects. Raises UserError when Dask is not installed or no scheduler answers."""
        try:
            from distributed import Client
            from distributed.comm.addressing import get_address_host_port
        except ImportError:
            raise UserError("--scheduler needs Dask, which is not installed: pip install -e '.[distributed]'") from None
        try:
            address = _told_by(Path(self.address)) if Path(self.address).is_file() else self.address
            get_address_host_port(address)  # a client that fails on the address stays around and complains
            self._client = Client(address, timeout=CONNECT, set_as_default=False)
        except (OSError, ValueError) as error:  # a timeout is an OSError
            reason = str(error).partition("\n")[0]
            if not ("://" in self.address or Path(self.address).exists()):
                reason += ", and there is no file of that name"
            remedy = "name its address, such as tcp://host:8786, or the file that it writes"
            raise UserError(
                f"--scheduler {self.address!r}: no Dask scheduler answers there ({reason}); {remedy}"
            ) from None

    @property
    def lanes(self) -> int:
        """Runs that the Dask workers which are there now do at once; at least 1."""
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        return max(1, sum(self._slots(worker) for worker in workers))

    def _slots(self, worker: Mapping[str, Any]) -> int:
        shares = [int(worker["resources"].get(name, 0) // amount) for name, amount in self.resources.items()]
        return min([worker["nthreads"], *shares])

    def execute(self, items: Sequence[Item], display: Display) -> Iterator[Record]:
        """Do what is to be done and yield each record. Raises UserError when Dask workers cannot do it."""
        pending = {str(item.run.path): item for item in items if item.to_do}
        runs, tries = {item.run.path: item.run for item in pending.values()}, Counter(dict.fromkeys(pending, 0))
        lanes: dict[str, Progress] = {}
        self._client.subscribe_topic(self.topic, lambda event: self._heard.put(event[1]))
        try:
            for path, item in pending.items():
                self._submit(path, item)
            while pending:
                event = self._heard.get()
                if event["event"] == "lost":
                    tries[event["run"]] += 1
                    self._try_again(event["run"], pending[event["run"]], tries[event["run"]], event["error"])
                    continue
                if event["slot"] not in lanes:
                    lanes[event["slot"]] = display.lane()
                lane = lanes[event["slot"]]
                if event["event"] == "over":
                    del pending[event["run"]]
                    record = finished(self.out, event["run"])
                    lane.run_finished(record)
                    yield record
                else:
                    show(event, lane, runs)
        finally:
            self._leave()

    def _submit(self, path: str, item: Item) -> None:
        task, asked = _by_value("do"), (self.topic, assignments([item]))
        resources = dict(self.resources) or None
        future = self._client.submit(task, *astuple(self.duty), *asked, resources=resources, pure=False)
        self._futures[path] = future  # Dask forgets a task that nobody holds
        future.add_done_callback(lambda done: self._heard.put(self._outcome(done, path)))

    def _outcome(self, future: Any, path: str) -> dict[str, Any]:
        if future.cancelled():
            return {"event": "lost", "run": path, "error": RuntimeError("the scheduler cancelled it")}
        if error := future.exception():
            return {"event": "lost", "run": path, "error": error}
        return {"event": "over", "run": path, "slot": future.result()}

    def _try_again(self, path: str, item: Item, tries: int, error: Exception) -> None:
        if self._gone:
            remedy = "once it is back the same command goes on"
            raise UserError(f"--scheduler {self.address!r}: the Dask scheduler does not answer any more; {remedy}")
        if isinstance(error, ImportError):
            raise UserError(f"a Dask worker cannot import slotbench ({error}): it needs what is here in {ROOT}")
        if isinstance(error, UserError) or tries > 2 * ATTEMPTS:
            raise UserError(f"{path}: {error}")
        self._submit(path, item)

    def _leave(self) -> None:
        """Cancel what waits, end the worker processes of this command, and go; a scheduler that is gone has done so."""
        if not self._gone:
            self._client.cancel(list(self._futures.values()))
            self._client.run(_by_value("dismiss"), *astuple(self.duty), on_error="ignore")
        self._client.close()

    @property
    def _gone(self) -> bool:
        """Has the client given up its scheduler?"""
        return self._client.status in ("closing", "closed")


def _by_value(name: str) -> Callable[..., Any]:
    """One of the two functions below, for a Dask worker, as code that takes plain values only.

    Dask sends the code of a function that is made inside another. So the scheduler needs nothing of ours, and a Dask
    worker only the repository, in the same folder.
    """
    root = str(ROOT)

    def call(arguments: tuple[str, ...], folder: str, working_folder: str, *rest: Any) -> Any:
        import importlib
        import sys

        if root not in sys.path:
            sys.path.append(root)
        duty = importlib.import_module("benchmark.engines.process").Duty(tuple(arguments), folder, working_folder)
        return getattr(importlib.import_module("benchmark.engines.cluster"), name)(duty, *rest)

    return call


def do(duty: Duty, topic: str, runs: Assignments) -> str:
    """On a Dask worker: do the runs in the process of a free slot, telling of them; returns the slot's name.

    Raises DiedError when that process dies.
    """
    from distributed import get_worker

    dask_worker = get_worker()
    with _seats.taken(dask_worker.state.nthreads) as number:
        slot = f"{dask_worker.address} {number}"
        process = _seats.process(number, dask_worker.state.nthreads, duty)
        for event in process.work(runs):
            if event["event"] != "finished":
                dask_worker.log_event(topic, {"slot": slot, **event})
        return slot


def dismiss(duty: Duty) -> None:
    """On a Dask worker: end the processes of a command."""
    _seats.dismiss(duty)


@dataclass
class Seats:
    """The worker processes of one Dask worker, one for each run that it does at once."""

    _processes: dict[int, tuple[Duty, Worker]] = field(default_factory=dict)
    _busy: set[int] = field(default_factory=set)
    _lock: Any = field(default_factory=Lock)

    @contextmanager
    def taken(self, count: int) -> Iterator[int]:
        """The number of a seat of `count` that nobody else has meanwhile."""
        with self._lock:
            number = min(set(range(count + len(self._busy))) - self._busy)
            self._busy.add(number)
        try:
            yield number
        finally:
            self._busy.discard(number)

    def process(self, number: int, count: int, duty: Duty) -> Worker:
        """The process of that seat, started anew if it is gone or was another command's."""
        known, process = self._processes.get(number, (None, None))
        if process and (known != duty or process.process.poll() is not None):
            process.stop()
            process = None
        if process is None:
            process = duty.start(share_of_cores(number, count))
            self._processes[number] = duty, process
        return process

    def dismiss(self, duty: Duty) -> None:
        """End the processes that were started with that duty."""
        mine = [number for number, (known, _) in self._processes.items() if known == duty]
        processes = [self._processes.pop(number)[1] for number in mine]
        for process in processes:
            process.ask_to_stop()
        for process in processes:
            process.stop()


_seats = Seats()


def resources(text: str | None) -> dict[str, float]:
    """What `--scheduler-resources GPU=1,MEMORY=2` says. Raises UserError when it says nothing clear."""
    found = {}
    for part in text.split(",") if text else []:
        name, equals, amount = part.strip().partition("=")
        try:
            found[name] = float(amount)
        except ValueError:
            found[name] = 0.0
        if not (name and equals and 0 < found[name] < float("inf")):
            raise UserError(f"--scheduler-resources {text!r}: write it as GPU=1")
    return found


def _told_by(file: Path) -> str:
    """The address in a scheduler file. Raises ValueError for a file of another kind."""
    content = json.loads(file.read_bytes())
    if not isinstance(content, dict) or not isinstance(content.get("address"), str):
        raise ValueError("the file is not one that a Dask scheduler wrote: it names no address")
    return str(content["address"])
