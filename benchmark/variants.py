"""What tells a record's settings from the present defaults, as the rows and notes of tables name it."""

from collections.abc import Callable
from typing import Any

from benchmark import records
from benchmark.configure import Configuration
from benchmark.errors import UserError
from benchmark.plan import runs
from benchmark.records import Record
from benchmark.registry import configuration, datasets, methods


def variant(record: Record, versions: bool = True) -> str:
    """What tells a record's configuration from the present defaults of its suite and budget: "diversity_weight=0.5".

    Empty for the defaults themselves, and for a method or data set that is not registered now. A learning rate that
    `--tune` chose is no other setting; nor, without `versions`, is another version of the code.
    """
    try:
        wanted = Configuration(record.suite, record.budget)
        default = records.as_read(runs(wanted, [record.method], [record.dataset], seeds=1)[0].configuration)
    except UserError:
        return ""
    ignored = {"learning_rate"} if record.tuned else set()
    ignored |= set() if versions else {"version", "engine"}
    parts = (_told(record.configuration[part], default[part], ignored) for part in ("method", "dataset", "training"))
    return ", ".join(filter(None, parts))


def probe_settings(record: Record, default: Callable[[str, str, str, str], dict[str, Any] | None]) -> dict[str, str]:
    """What tells its probes' settings, and versions, from the present defaults: {"decoder": "max_steps=20000"}.

    Those with the defaults are left out, and those that are not registered now. `default` is `probe_default`, or that
    with its answers kept.
    """
    known = {name: default(record.suite, record.budget, record.dataset, name) for name in record.probes}
    asked = {name: probe.get("configuration", {}) for name, probe in record.probes.items()}
    told = {name: _told(asked[name], fields, set()) for name, fields in known.items() if fields is not None}
    return {name: text for name, text in told.items() if text}


def probe_default(suite: str, budget: str, dataset: str, probe: str) -> dict[str, Any] | None:
    """The present default configuration of a probe on a data set, as a record has it; None if it is not known."""
    try:
        return records.as_read(configuration(Configuration(suite, budget).probe(probe, dataset)))
    except UserError:
        return None


def _told(fields: dict[str, Any], default: dict[str, Any], ignored: set[str]) -> str:
    """The fields that are not as in the default: "diversity_weight=0.5, steps=800"."""
    return ", ".join(
        f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in fields.items()
        if name not in ignored and (name not in default or default[name] != value)
    )


def settings(record: Record, versions: bool = True) -> str:
    """The `variant`, and "tuned" where `--tune` chose the learning rate.

    Of a method or data set that is not registered now, whose defaults are not known, a part of the digest instead, but
    without `versions`.
    """
    if versions and not (record.method in methods and record.dataset in datasets):
        return f"configuration {record.digest[:6]}"
    return ", ".join(filter(None, (variant(record, versions), "tuned" * record.tuned)))
