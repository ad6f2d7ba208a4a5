"""Hand-made records of the synthetic suites, with arrays like those that probes leave."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmark import records
from benchmark.parameters import save_named
from benchmark.records import Record

HORIZON = ("s", "p1", "p2", "p3", "p4", "p5")


def row(probe: str, metric: str, target: str, value: float | None) -> dict[str, object]:
    higher = not metric.startswith("mse")
    return {
        "probe": probe,
        "target": target,
        "metric": metric,
        "split": "test",
        "value": value,
        "higher_is_better": higher,
    }


def record(dataset: str, method: str, seed: int = 0, rows: list[dict[str, object]] | None = None, **fields) -> Record:
    whole = {
        "suite": "synthetic",
        "budget": "quick",
        "dataset": dataset,
        "method": method,
        "seed": seed,
        "digest": "d0",
        "status": "ok",
        "metrics": rows or [],
        "configuration": {"training": {"steps": 400, "frames_per_step": 1024}, "dataset": {}},
        "provenance": {"commit": "0123456789abcdef"},
    }
    return Record(**(whole | fields))


def decoded(
    mse_s: float, mse_p: float, ari_s: float | None = None, ari_p: float | None = None, form: str = ""
) -> list[dict[str, object]]:
    """Rows of the probe "decoder": MSE and FG-ARI of `s` and `p1`, of the probe's decoder or "_own"."""
    pairs = ((f"mse{form}", "s", mse_s), (f"mse{form}", "p1", mse_p), (f"fg_ari{form}", "s", ari_s))
    return [row("decoder", *pair) for pair in (*pairs, (f"fg_ari{form}", "p1", ari_p))]


def rollout(first: float, growth: float) -> list[dict[str, object]]:
    """Rows of the probe "decoder-rollout", whose error grows by that much a step."""
    return [row("decoder-rollout", "mse", target, first + growth * k) for k, target in enumerate(HORIZON)]


def failed(dataset: str, method: str, seed: int = 0) -> Record:
    return record(dataset, method, seed, status="failed", reason="loss is not finite")


def film(size: int, times: int, seed: int = 0, slots: int = 4) -> dict[str, np.ndarray]:
    """What the decoder probe leaves: bytes, [clips, times, ...]; three discs that move, one slot each."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    places = random.uniform(0.2, 0.8, (4, 1, 3, 2)) + np.arange(times)[:, None, None] * random.normal(
        0, 0.03, (4, 1, 3, 2)
    )
    inside = (x - places[..., :1, None]) ** 2 + (y - places[..., 1:, None]) ** 2 < 0.02
    masks = np.concatenate([~inside.any(2, keepdims=True), inside], 2)[:, :, :slots] * 1.0
    colours = np.array([[0, 0, 0], [1, 0.2, 0.1], [0.1, 0.9, 0.2], [0.2, 0.3, 1]])[:slots]
    frames = np.einsum("itkhw,kc->ithwc", masks, colours)
    soft = np.clip(masks * 0.8 + 0.05 + random.normal(0, 0.05, masks.shape), 0, 1)
    pale = {"s": frames * 0.9, "p1": frames * 0.6 + 0.1}
    attention = soft.reshape(*soft.shape[:3], -1)
    arrays = (
        {"frames": frames, "attention": attention} | {f"{t}.frames": f for t, f in pale.items()} | {"s.masks": soft}
    )
    kept = {f"decoder.{name}": np.rint(255 * values).astype(np.uint8) for name, values in arrays.items()}
    return kept | {"decoder.times": np.arange(2, 2 + times), "decoder.clips": np.arange(4)}


def written(out: Path, made: Record, arrays: dict[str, np.ndarray] | None = None) -> Record:
    """Write a record, and arrays beside it; returns the record as it then is."""
    if arrays:
        sha256 = save_named((out / made.path).with_suffix(".npz"), arrays)
        made = replace(made, notes={**made.notes, "arrays_sha256": sha256})
    records.write(out, made)
    return made
