"""What the command says before it starts: the lists of names, and the plan."""

from __future__ import annotations

import sys
import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from benchmark import plan
from benchmark.errors import answering
from benchmark.estimate import Estimate
from benchmark.plan import Item, Run
from benchmark.progress import duration
from benchmark.registry import Registry, configuration, datasets, methods, probes
from benchmark.suites import SUITES, paper_share, percent

MEANING: dict[plan.State, str] = {
    "new": "to run",
    "retry": "to run again, failed before",
    "reprobe": "to probe again on kept parameters",
    "damaged": "to run again, its record is damaged",
    "done": "done",
    "failed": "failed before; --retry-failed runs them again",
    "skipped": "skipped",
}

WIDTH = 100
"""Characters in a line of names."""
PROCESS_BYTES = 2_000_000_000
"""What a process takes besides the frames: libraries, a training step, frozen slots, regressions; 0.7 to 2.4 GB."""
MUCH = 1_000_000_000
"""Bytes of frames that are worth a line."""


def listing() -> str:
    """All suites with their budgets, and all registered methods, data sets and probes with a line about each."""
    lines = ["suites"]
    for name, suite in SUITES.items():
        lines.append(f"  {name:<18} {suite.about}; budgets: {', '.join(suite.budgets)}")
    registries: tuple[tuple[str, Registry], ...] = (("methods", methods), ("data sets", datasets), ("probes", probes))
    for title, registry in registries:
        lines += [title, *_entries(registry)]
    return "\n".join(lines)


def _entries(registry: Registry) -> list[str]:
    """For each name the first line of the file that it comes from, and the fields that it presets.

    Names that say themselves what they preset, as those of games do, share the line of their file.
    """
    alike: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for name in sorted(registry):
        cls, presets = registry.entry(name)
        preset = ", ".join(f"{key}={value}" for key, value in presets.items() if str(value) not in name)
        alike[cls.__module__, preset, name if preset or not presets else ""].append(name)
    lines = []
    for (module, preset, _), names in alike.items():
        about = (sys.modules[module].__doc__ or "").strip().partition("\n")[0]
        told = f"{about} ({preset})" if preset else about
        named = textwrap.wrap(", ".join(names), WIDTH, break_on_hyphens=False)
        last = named.pop() if len(named) == 1 else ""
        lines += [f"  {line}" for line in named] + [f"  {last:<18} {told}"]
    return lines


def describe(items: Sequence[Item], expected: Estimate, verbose: bool = False) -> str:
    """The plan: how many runs of each kind and why, the share of the paper's training, the time on this machine."""
    lines = []
    for suite in dict.fromkeys(item.run.suite for item in items):
        part = [item for item in items if item.run.suite == suite]
        lines += [
            f"suite {suite}, budget {part[0].run.budget}, {len(part)} run{'s' if len(part) > 1 else ''}",
            *_trainings(part),
        ]
    counts = Counter(item.state for item in items)
    lines += [f"  {counts[state]:>5} {MEANING[state]}" for state in MEANING if counts[state]]
    lines += _reasons(items)
    if verbose:
        lines += [f"  {item.state:<8} {item.run.path}" for item in items]
    if expected.runs:
        collect = duration(expected.collecting)
        frames_are = f"{collect} of it to collect frames" if expected.collecting else "frames are there"
        known = f"{expected.measured} of {len(expected.runs)} runs estimated from runs measured on this machine"
        lines.append(f"  about {duration(expected.total)} {_on(expected)} ({frames_are}; {known})")
    if verbose:
        lines += ["settings", *_settings(item.run for item in items)]
    return "\n".join(lines)


def memory_needed(items: Iterable[Item], lanes: int, here: int) -> str:
    """A line about the memory that `lanes` runs at once take, `here` bytes being there; empty where it is not much."""
    with answering("a data set that was asked how much memory it takes"):
        frames = max((int(item.run.dataset.held()) for item in items if item.to_do), default=0)
    if frames < MUCH:
        return ""
    needed = lanes * (frames + PROCESS_BYTES)
    told = f"  about {needed / 1e9:.1f} GB of memory, {frames / 1e9:.1f} GB of frames in each process; "
    if needed <= here:
        return f"{told}{here / 1e9:.1f} GB are here"
    fewer = "give fewer --workers, or " if lanes > 1 else ""
    return f"{told}only {here / 1e9:.1f} GB are here: {fewer}take fewer frames (--set 'datasets.*.train_frames=20000')"


def _on(expected: Estimate) -> str:
    cores = "1 core" if expected.threads == 1 else f"{expected.threads} cores"
    return f"on {cores}" if expected.lanes == 1 else f"with {expected.lanes} workers of {cores}"


def _trainings(items: Iterable[Item]) -> list[str]:
    """What runs train, and the share of the paper's training that it is; a line for each amount."""
    sources: dict[str, list[str]] = defaultdict(list)
    for run in (item.run for item in items):
        share = paper_share(run.suite, run.dataset_name, run.training)
        amount = f"{run.training.steps} steps of {run.training.frames_per_step} frames a run"
        names = sources[amount if share is None else f"{amount}, {percent(share)} of the paper's training"]
        if run.dataset_name not in names:
            names.append(run.dataset_name)
    if len(sources) == 1:
        return [f"  {amount}" for amount in sources]
    return [f"  {', '.join(names)}: {amount}" for amount, names in sources.items()]


def _settings(runs: Iterable[Run]) -> list[str]:
    """The fields of each method, data set and probe as configured, and of what is trained; each once."""
    lines = []
    for run in runs:
        parts = (("method", run.method_name, run.method), ("data set", run.dataset_name, run.dataset))
        probes_ = (("probe", name, run.probes[name]) for name in run.probe_digests)
        lines += [f"  {kind} {name}: {_fields(configuration(part))}" for kind, name, part in (*parts, *probes_)]
        lines.append(f"  training: {_fields(asdict(run.training))}")
    return sorted(dict.fromkeys(lines))


def _fields(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())


def _reasons(items: Iterable[Item]) -> list[str]:
    """A line for each reason why runs are not simply new or done, with the methods that it concerns."""
    concerned: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for item in items:
        if item.reason:
            concerned[item.state, item.reason][item.run.method_name] += 1
    return [
        f"  {state}: {', '.join(names)} ({sum(names.values())}): {reason}"
        for (state, reason), names in concerned.items()
    ]
