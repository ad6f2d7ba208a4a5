"""Several devices as one: each has an equal share of every batch and a copy of all else (data parallel).

The compiler sees one program on the whole batch (GSPMD) and inserts what the devices must tell one another, so a loss
over a batch has the same candidates on one device as on eight, and the same value to rounding.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from benchmark.errors import UserError

if TYPE_CHECKING:
    from benchmark.plan import Run

BATCH = "batch"


def mesh(count: int) -> Mesh | None:
    """The first `count` devices; None for one. Raises UserError when there are fewer."""
    devices = jax.devices()
    if count > len(devices):
        kind = devices[0].platform
        raise UserError(f"--devices {count}: JAX finds {len(devices)} here ({kind}); ask for {len(devices)} at most")
    return Mesh(np.array(devices[:count]), (BATCH,)) if count > 1 else None


def check_share(batch_size: int, count: int, run: str) -> None:
    """Raises UserError when a batch does not divide among the devices."""
    if batch_size % count:
        remedy = "choose a number of devices that divides it, or set training.frames_per_step"
        raise UserError(f"--devices {count} does not divide the batch of {batch_size} of {run}; {remedy}")


def check_devices(runs: Iterable[Run], count: int) -> None:
    """Raises UserError when there are fewer devices, or the batch of a run that trains does not divide among them."""
    mesh(count)
    for run in runs:
        if run.trained.trains:
            check_share(run.batch_size, count, f"{run.method_name} on {run.dataset_name}")


def everywhere(arrays: Any, among: Mesh | None) -> Any:
    """A copy of the arrays on every device."""
    return arrays if among is None else jax.device_put(arrays, NamedSharding(among, PartitionSpec()))


def replicated(arrays: Any, among: Mesh | None) -> Any:
    """Inside a compiled function: the same arrays on every device."""
    return _constrained(arrays, among, PartitionSpec())


def shared_out(batch: Any, among: Mesh | None) -> Any:
    """Inside a compiled function: arrays [b ...] cut along b, a share for each device."""
    return _constrained(batch, among, PartitionSpec(BATCH))


def on_first(arrays: Any, among: Mesh | None) -> Any:
    """What every device has, from the first of them."""
    return arrays if among is None else jax.device_put(arrays, among.devices.flat[0])


def _constrained(arrays: Any, among: Mesh | None, spec: PartitionSpec) -> Any:
    return arrays if among is None else jax.lax.with_sharding_constraint(arrays, NamedSharding(among, spec))
