"""A process that does runs for a command: `python -m benchmark.worker [--cores 0,1] -- ARGUMENTS OF THE COMMAND`.

Each line of standard input names runs, by the places of their records; each line of standard output is an event. The
end of the input is the end of the command: the worker stops, at a checkpoint if it is in the middle of a run.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TextIO

from benchmark.machine import tune_allocator

if TYPE_CHECKING:
    from benchmark.engines.events import Teller
    from benchmark.plan import Item

IDLE = 120.0
"""Seconds without a task after which a worker of a cluster ends by itself."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what is asked until the input ends; 0 then, 2 for a user's mistake, 143 when stopped in the middle of it."""
    tune_allocator()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of a terminal; the command says what follows
    parser = argparse.ArgumentParser()
    parser.add_argument("--cores", type=lambda text: {int(part) for part in text.split(",")}, default=set())
    parser.add_argument("arguments", nargs="*")
    options = parser.parse_args(arguments)
    if options.cores:
        os.sched_setaffinity(0, options.cores)  # before NumPy and JAX count the cores and start their threads
    given, events = _private_input(), _private_output()

    from benchmark import stopping
    from benchmark.engines.events import Teller
    from benchmark.errors import UserError

    teller = Teller(events)
    try:
        with stopping.listening():
            _serve(options.arguments, given, teller)
    except UserError as error:
        teller.tell("mistake", text=str(error))
        return 2
    except stopping.Stopped:
        return stopping.CODE
    return 0


def _private_input() -> TextIO:
    """Standard input, which is for tasks alone; a plug-in that reads it, or closes it, finds an empty one."""
    given, nothing = os.fdopen(os.dup(0)), os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return given


def _private_output() -> TextIO:
    """Standard output, which is for events alone; what plug-ins and libraries print goes to standard error."""
    events = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return events


def _serve(arguments: Sequence[str], given: TextIO, teller: Teller) -> None:
    from benchmark.devices import check_devices
    from benchmark.loss_logs import with_log
    from benchmark.machine import cache_folder, provenance, set_up_jax
    from benchmark.options import parse
    from benchmark.plugins import load_plugins
    from benchmark.runner import Runner

    options = parse(arguments)
    load_plugins(options.plugin)
    cache = cache_folder()
    set_up_jax(cache)
    provenance()
    tasks, runner = _tasks(given), None
    with ExitStack() as logs:
        while task := tasks():
            out = options.out / task["folder"]
            if runner is None or runner.out != out:
                told = logs.enter_context(with_log(teller, out, options.log))
                runner = Runner(out, cache, told, options.keep_params, options.devices, options.seeds_together)
            items = _items(options, task, cache, teller)
            check_devices((item.run for item in items if item.to_do), options.devices)
            for _ in runner.execute(items):
                pass
            teller.tell("done")


def _items(options: argparse.Namespace, task: dict[str, Any], cache: Path, teller: Teller) -> list[Item]:
    """The plan of the runs of a task, in its order. Those that somebody has done since are told to be finished."""
    from benchmark import grid, plan, records
    from benchmark.errors import UserError

    out, items = options.out / task["folder"], []
    runs = {str(run.path): run for run in grid.runs_under(options, task["folder"])}
    for path, checksum in task["runs"]:
        run = runs.get(path)
        if run is None:
            why = "a plug-in has changed since then, or the rate that --tune has chosen; give the command again"
            raise UserError(f"{path}: the command has planned this run, its worker does not: {why}")
        (item,) = grid.planned([run], out, cache, options)
        if item.record and records.checksum(item.record) != checksum:
            item = plan.examine(run, out, cache)
        if item.record and not item.to_do:
            teller.run_finished(item.record)
        else:
            items.append(item)
    return items


def _tasks(given: TextIO) -> Callable[[], dict[str, Any] | None]:
    """A function that waits for the next line of the input; it gives None where there will be none."""
    lines: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
    idle = threading.Event()

    def listen() -> None:
        for line in given:
            lines.put(json.loads(line))
        busy = not idle.is_set()
        lines.put(None)
        if busy:
            os.kill(os.getpid(), signal.SIGTERM)

    def following() -> dict[str, Any] | None:
        idle.set()
        try:
            return lines.get(timeout=IDLE)
        except Empty:
            return None
        finally:
            idle.clear()

    threading.Thread(target=listen, daemon=True).start()
    return following


if __name__ == "__main__":
    sys.exit(main())
