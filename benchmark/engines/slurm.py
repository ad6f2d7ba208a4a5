"""Runs done by jobs that outlive the command: submitted through submitit, each a worker process on the whole grid.

The jobs share the runs by their claims in the output folder, so it does not matter how many of them run at a time. A
job whose time ends saves a checkpoint and is put into the queue again by submitit.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.engines.process import Assignments, Duty, assignments
from benchmark.engines.workers import order
from benchmark.errors import UserError
from benchmark.machine import ROOT
from benchmark.plan import Item
from benchmark.progress import say

JOBS = 16
"""Jobs of an array where the options do not say `jobs`."""

TIMEOUTS = 100
"""How often a job whose time is over is put into the queue again, though it may never get further."""

CLUSTERS = ("slurm", "local", "debug")
AMOUNTS = ("timeout_min", "mem_gb", "nodes", "cpus_per_task", "tasks_per_node")
"""Options of submitit that must be above 0; a job with less is submitted and never heard of."""

LINES = "a list of texts, such as [module load cuda]"
KINDS = {
    "slurm_setup": (list, LINES),
    "slurm_teardown": (list, LINES),
    "slurm_srun_args": (list, LINES),
    "slurm_additional_parameters": (dict, "names and values, such as {reservation: mine}"),
}
"""Options of submitit that are no single value; of another kind they would fail without their name."""


@dataclass(frozen=True)
class Job:
    """What a job does; submitit calls it there, and asks it what is to be done when it is stopped."""

    duty: Duty
    runs: Assignments

    def __call__(self) -> None:
        """Have the runs done that nobody else does. Raises DiedError or UserError when that fails."""
        worker = self.duty.start()
        try:
            for event in worker.work(self.runs):
                if event["event"] != "step":
                    say(json.dumps(event))
        finally:
            worker.stop()

    def checkpoint(self) -> Any:
        """The same again: what is done by then is not done twice."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


@dataclass(frozen=True)
class Jobs:
    """Options of `--slurm`: `jobs` and `cluster` (slurm, or local for a try), all others submitit's own."""

    file: Path
    jobs: int
    cluster: str
    parameters: dict[str, Any]

    def submit(self, items: Sequence[Item], duty: Duty, out: Path) -> list[str]:
        """Submit an array of jobs that do the runs; returns the jobs' ids. Raises UserError for a bad option."""
        executor = self._executor(out / "jobs")
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        to_do = [item for item in items if item.to_do]
        count = self.count(items)
        with executor.batch():
            jobs = [executor.submit(Job(duty, assignments(order(to_do, index, count)))) for index in range(count)]
        return [job.job_id for job in jobs]

    def count(self, items: Sequence[Item]) -> int:
        """How many jobs the array has: no more than there are runs to do."""
        return min(self.jobs, sum(item.to_do for item in items))

    def _executor(self, folder: Path) -> Any:
        try:
            import submitit
        except ImportError:
            raise UserError("--slurm needs submitit, which is not installed: pip install -e '.[distributed]'") from None
        try:
            executor = submitit.AutoExecutor(folder=folder, cluster=self.cluster, slurm_max_num_timeout=TIMEOUTS)
            executor.update_parameters(**self.parameters)
        except (RuntimeError, ValueError, NameError, TypeError, AssertionError) as error:
            remedy = "other options are such as timeout_min, mem_gb, cpus_per_task, gpus_per_node, slurm_partition"
            if "srun" in str(error):
                remedy = "cluster: local in the options tries it on this machine"
            reason = str(error).strip().partition("\n")[0]
            raise UserError(f"--slurm {str(self.file)!r}: {reason}; {remedy}") from None
        return executor


def read_options(path: Path) -> Jobs:
    """The options in a YAML file. Raises UserError when it cannot be read or is no list of names and values."""
    import yaml

    try:
        found = yaml.safe_load(path.read_text())
    except OSError as error:
        raise UserError(f"--slurm {str(path)!r} cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = str(error).replace("\n", " ")
        raise UserError(f"--slurm {str(path)!r} is not plain YAML ({reason})") from None
    found = {} if found is None else found
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise UserError(f"--slurm {str(path)!r}: write one option a line, such as timeout_min: 720")
    jobs = found.pop("jobs", JOBS)
    if type(jobs) is not int or jobs < 1:
        raise UserError(f"--slurm {str(path)!r}: jobs is {jobs!r}; it must be a whole number of at least 1")
    cluster = found.pop("cluster", CLUSTERS[0])
    if cluster not in CLUSTERS:
        raise UserError(f"--slurm {str(path)!r}: cluster is {cluster!r}; it must be {' or '.join(CLUSTERS)}")
    for name in AMOUNTS:
        if name in found and not (isinstance(found[name], int | float) and found[name] > 0):
            raise UserError(f"--slurm {str(path)!r}: {name} is {found[name]!r}; it must be a number above 0")
    for name, (kind, told) in KINDS.items():
        if not isinstance(found.get(name, kind()), kind):
            raise UserError(f"--slurm {str(path)!r}: {name} is {found[name]!r}; it must be {told}")
    return Jobs(path, jobs, cluster, found)
