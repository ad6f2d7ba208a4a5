"""What a frozen representation knows of the pixels: a decoder trained on it by squared error.

Löwe et al. 2020, "Learning Object-Centric Video Models by Contrasting Sets" (arXiv 2011.10287), section 5: IODINE's
spatial broadcast decoder paints the frame that slots stand for, from the encoded slots (`s`) and from those predicted
one step before (`p1`), one decoder with equal weight on both. Its masks say which slot paints which pixel.

Departure: the decoder is trained after the method and not beside it, so every method gets a fresh one, the same budget
and the same rule for when to stop.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from benchmark.contracts import Probe
from benchmark.errors import UserError
from benchmark.registry import probes
from benchmark.types import Bool, DatasetSpec, Float, Frozen, Metric, ProbeResult
from probes.decoding import Aligned, Decode, Rule, align, fit_decoder, painted, score
from probes.segmentation import fg_ari

__all__ = ["Decoder"]

LARGEST = 64 * 64
"""Pixels of the largest frame that is decoded."""

FIGURE_BYTES = 1_300_000
"""Bytes of arrays for figures that a decoder probe leaves."""

PIXELS_PER_CALL = 2**20
"""Pixels of the videos that are read at once for the baselines."""


@probes.register("decoder")
@dataclass(frozen=True, kw_only=True)
class Decoder(Probe):
    """Mean squared error of decoded test frames, on the frames' own scale, and FG-ARI of the decoder's masks.

    Targets: `s`, and `p1` where the method predicts. `mse_own` and `fg_ari_own` are those of the decoder that a method
    trained for itself. FG-ARI is a mean over the frames where it is defined, which the notes count.

    A step has `frames_per_step` frames, fewer where these would exceed `pixels_per_step`: 256 on GridWorld, 8 of 32 x
    32 pixels, 2 of 64 x 64, as a step costs by the pixel and few frames teach about as much in it as many. Each target
    has an equal share of them, one frame at least; the notes say how many frames a step had. After every
    `round_steps` the decoder is measured on `val_frames` frames a target. Training stops when that error has not fallen
    by the fraction `tolerance` for `patience` rounds, and after `max_steps`; the decoder that was best on val is kept.
    """

    horizon: ClassVar[int] = 1
    reads_decoder: ClassVar[bool] = True
    figure_masks: ClassVar[bool] = True
    """Are masks left for figures, beside frames?"""

    learning_rate: float = 1e-3
    frames_per_step: int = 256
    pixels_per_step: int = 8_192
    max_steps: int = 1_000
    round_steps: int = 100
    patience: int = 5
    tolerance: float = 0.01
    val_frames: int = 256

    def __post_init__(self) -> None:
        """Raises UserError for a value out of its range."""
        super().__post_init__()
        if not (self.learning_rate > 0 and 0 <= self.tolerance < 1):
            found = f"learning_rate={self.learning_rate}, tolerance={self.tolerance}"
            raise UserError(f"a decoder probe's {found}; the first must be above 0, the second from 0 up to 1")

    def supports(self, spec: DatasetSpec) -> str | None:
        h, w, _ = spec.frame_shape
        return None if h * w <= LARGEST else f"its frames of {h}x{w} are too large to paint each pixel for each slot"

    def rule(self, spec: DatasetSpec) -> Rule:
        """How a decoder learns on that data set."""
        h, w, _ = spec.frame_shape
        batch_size = max(1, min(self.frames_per_step, self.pixels_per_step // (h * w)))
        rounds = self.max_steps, self.round_steps, self.patience, self.tolerance
        return Rule(self.learning_rate, batch_size, *rounds, self.val_frames)

    def pixels_learned(self, spec: DatasetSpec) -> int:
        h, w, _ = spec.frame_shape
        return self.max_steps * self.rule(spec).batch_size * h * w * spec.num_slots

    def __call__(self, train: Frozen, val: Frozen, test: Frozen, key: jax.Array) -> ProbeResult:
        """Labels are read for FG-ARI on test only. Everything is undefined where a split has no entry that counts.

        Raises DivergedError when the decoder's loss is not finite.
        """
        if not all(split.valid.any() for split in (train, val, test)):
            return ProbeResult((Metric("mse", "s", None, higher_is_better=False), Metric("fg_ari", "s", None)))
        rule, entries = self.rule(test.spec), align(test, self.horizon)
        fitted = fit_decoder(train, val, self.horizon, rule, key)
        decoders = {"": fitted.decode} | ({"_own": test.decode} if test.decode else {})
        metrics, counts = [], {}
        metrics += _own_on_val(val, self.horizon, rule.batch_size)
        for suffix, decode in decoders.items():
            for target, aligned in entries.items():
                error, ari, counts[f"{target}{suffix}"] = _measure(decode, test, aligned, rule.batch_size)
                metrics.append(Metric(f"mse{suffix}", target, error, higher_is_better=False))
                metrics.append(Metric(f"fg_ari{suffix}", target, ari))
        notes = {"steps": int(fitted.curve[-1][0]), "best_step": fitted.best_step, "stopped": fitted.stopped}
        notes |= {"curve": fitted.curve, "frames_per_step": fitted.frames_per_step, "frames": counts}
        arrays = _figures(fitted.decode, test, entries, self.figure_masks, rule.batch_size)
        return ProbeResult(tuple(metrics), arrays, notes | _baselines(train, test))


def _own_on_val(val: Frozen, horizon: int, batch_size: int) -> list[Metric]:
    """MSE on val of the decoder that the method trained for itself: learning rates are chosen by it."""
    if val.decode is None:
        return []
    errors = {target: _measure(val.decode, val, a, batch_size)[0] for target, a in align(val, horizon).items()}
    return [Metric("mse_own", target, error, higher_is_better=False, split="val") for target, error in errors.items()]


def _measure(
    decode: Decode, test: Frozen, aligned: Aligned, batch_size: int
) -> tuple[float | None, float | None, dict[str, int]]:
    """MSE, FG-ARI, and over how many frames each is a mean."""
    count = len(aligned.clips)
    if not count:
        return None, None, {"mse": 0, "fg_ari": 0}
    errors, segments = score(decode, test, aligned, batch_size)
    error = float(errors.mean(dtype=np.float64))
    if test.labels.masks is None:
        return error, None, {"mse": count, "fg_ari": 0}
    truth = np.asarray(test.labels.masks)[np.asarray(aligned.clips), np.asarray(aligned.times)]
    ari = fg_ari(truth.reshape(count, -1), segments.reshape(count, -1))
    return error, ari.mean, {"mse": count, "fg_ari": int(ari.defined.sum())}


def _figures(
    decode: Decode, test: Frozen, entries: dict[str, Aligned], with_masks: bool, batch_size: int
) -> dict[str, np.ndarray]:
    """The last frames of the first whole clip as bytes: `frames`, and `s.frames`, `p1.frames`, ... as decoded.

    `clips` and `times` say which; all others are [1, times, ...]. Colours run over the frames' range, beyond which they
    are clipped; of frames stacked in channels the last is kept. `with_masks` adds those of the decoder, `s.masks`, and
    of the encoder, `attention`, from 0 to 1.
    """
    entries = {target: aligned for target, aligned in entries.items() if len(aligned.clips)}
    first = max(int(aligned.times.min()) for aligned in entries.values())
    length = figure_frames(test.spec, test.slots.shape[2], len(entries), with_masks)
    times = np.arange(first, test.valid.shape[1])[-length:]
    clips = np.flatnonzero(test.valid[:, times].all(1))[:1]
    if not (clips.size and times.size):
        return {}
    where = [jnp.asarray(index.ravel()) for index in np.meshgrid(clips, times, indexing="ij")]

    def stored(values: np.ndarray, low: float = 0.0, high: float = 1.0) -> np.ndarray:
        scaled = np.rint(255 * np.clip((values - low) / (high - low), 0, 1)).astype(np.uint8)
        return scaled.reshape(len(clips), len(times), *values.shape[1:])

    arrays = {"clips": clips, "times": times}
    for target, aligned in entries.items():
        decoded, frames = painted(decode, test, Aligned(aligned.slots, *where), batch_size)
        arrays["frames"] = stored(frames[..., -3:], *test.spec.frame_range)
        arrays[f"{target}.frames"] = stored(np.asarray(decoded.frames)[..., -3:], *test.spec.frame_range)
        if with_masks and target == "s":
            arrays["s.masks"] = stored(np.asarray(decoded.masks))
    if with_masks and test.masks is not None:
        arrays["attention"] = stored(test.masks[clips][:, times].reshape(-1, *test.masks.shape[2:]))
    return arrays


def figure_frames(spec: DatasetSpec, num_slots: int, num_targets: int, with_masks: bool) -> int:
    """Frames of the figures' clip that fit into FIGURE_BYTES, one at least."""
    h, w, c = spec.frame_shape
    masks = 2 * num_slots if with_masks else 0
    return max(1, FIGURE_BYTES // (h * w * (c + num_targets * c + masks)))


def _baselines(train: Frozen, test: Frozen) -> dict[str, float | None]:
    """Test MSE of two painters that see no slot: the mean of the training frames, and the frame before."""
    total = sum(frames[valid].sum(0, dtype=np.float64) for frames, valid in _videos(train))
    mean = total / train.valid.sum()
    from_mean, from_previous = [], []
    for frames, valid in _videos(test):
        from_mean.append(np.square(frames[valid] - mean).mean((1, 2, 3)))
        both = valid[:, 1:] & valid[:, :-1]
        from_previous.append(np.square(frames[:, 1:][both] - frames[:, :-1][both]).mean((1, 2, 3)))
    return {"mean_image_mse": _mean(from_mean), "previous_frame_mse": _mean(from_previous)}


def _videos(frozen: Frozen) -> Iterator[tuple[Float[np.ndarray, "b t h w c"], Bool[np.ndarray, "b t"]]]:
    """The clips with what counts of them, some at a time."""
    assert frozen.read is not None
    size = max(1, PIXELS_PER_CALL // (frozen.valid.shape[1] * prod(frozen.spec.frame_shape[:2])))
    for start in range(0, len(frozen.valid), size):
        clips = np.arange(start, min(start + size, len(frozen.valid)))
        yield np.asarray(frozen.read(frozen.data, jnp.asarray(clips)).frames), frozen.valid[clips]


def _mean(parts: list[np.ndarray]) -> float | None:
    values = np.concatenate(parts)
    return float(values.mean(dtype=np.float64)) if len(values) else None
