"""What a frozen representation knows of the pixels: a decoder trained on it by squared error.

Löwe et al. 2020, "Learning Object-Centric Video Models by Contrasting Sets" (arXiv 2011.10287), section 5: IODINE's
spatial broadcast decoder paints the frame that slots stand for, from the encoded slots (`s`) and from those predicted
one step before (`p1`), one decoder with equal weight on both. Its masks say which slot paints which pixel.

Departure: the decoder is trained after the method and not beside it, so every method gets a fresh one, the same budget
and the same rule for when to stop.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from benchmark.contracts import Probe, check_positive
from benchmark.errors import UserError
from benchmark.registry import probes
from benchmark.types import DatasetSpec, Frozen, Key, Metric, ProbeResult
from probes.decoder_figures import figures
from probes.decoding import Aligned, Decode, Rule, align, fit_decoder, score
from probes.pixel_baselines import pixel_baselines
from probes.segmentation import fg_ari

LARGEST = 64 * 64
"""Pixels of the largest frame that is decoded."""


@probes.register("decoder")
@dataclass(frozen=True, kw_only=True)
class Decoder(Rule, Probe):
    """Mean squared error of decoded test frames, on the frames' own scale, and FG-ARI of the decoder's masks.

    Targets: `s`, and `p1` where the method predicts. `mse_own` and `fg_ari_own` are those of the decoder that a method
    trained for itself. FG-ARI is a mean over the frames where it is defined, which the notes count, as they do the
    frames that a step had. Its fields are those of the `Rule` by which the decoder learns.
    """

    horizon: ClassVar[int] = 1
    reads_decoder: ClassVar[bool] = True
    figure_masks: ClassVar[bool] = True
    """Are masks left for figures, beside frames?"""

    def __post_init__(self) -> None:
        """Raises UserError for a value out of its range."""
        super().__post_init__()
        check_positive(self, "learning_rate")
        if not 0 <= self.tolerance < 1:
            raise UserError(f"a decoder probe's tolerance={self.tolerance}; it must be from 0 up to 1")

    def supports(self, spec: DatasetSpec) -> str | None:
        h, w, _ = spec.frame_shape
        return None if h * w <= LARGEST else f"its frames of {h}x{w} are too large to paint each pixel for each slot"

    def targets(self, frozen: Frozen) -> dict[str, Aligned]:
        """What is decoded: the slots of a frame itself, and those predicted for it up to `horizon` steps before."""
        return align(frozen, self.horizon)

    def pixels_learned(self, spec: DatasetSpec) -> int:
        h, w, _ = spec.frame_shape
        return self.max_steps * self.batch_size(spec) * h * w * spec.num_slots

    def __call__(self, train: Frozen, val: Frozen, test: Frozen, key: Key) -> ProbeResult:
        """Labels are read for FG-ARI on test only. Everything is undefined where a split has no entry that counts.

        Raises DivergedError when the decoder's loss is not finite.
        """
        batch_size, entries = self.batch_size(test.spec), self.targets(test)
        if not all(any(len(a.clips) for a in self.targets(split).values()) for split in (train, val, test)):
            return undefined(next(iter(entries)))
        fitted = fit_decoder(train, val, self.targets, self, key)
        decoders = {"": fitted.decode} | ({"_own": test.decode} if test.decode else {})
        metrics, counts = _own_on_val(val, self.targets(val), batch_size), {}
        for suffix, decode in decoders.items():
            for target, aligned in entries.items():
                error, ari, counts[f"{target}{suffix}"] = _measure(decode, test, aligned, batch_size)
                metrics.append(Metric(f"mse{suffix}", target, error, higher_is_better=False))
                metrics.append(Metric(f"fg_ari{suffix}", target, ari))
        notes = {"steps": int(fitted.curve[-1][0]), "best_step": fitted.best_step, "stopped": fitted.stopped}
        notes |= {"curve": fitted.curve, "frames_per_step": fitted.frames_per_step, "frames": counts}
        arrays = figures(fitted.decode, test, entries, self.figure_masks, batch_size)
        return ProbeResult(tuple(metrics), arrays, notes | pixel_baselines(train, test))


def undefined(target: str) -> ProbeResult:
    """What is said of a target that has no entry to learn from or to measure."""
    return ProbeResult((Metric("mse", target, None, higher_is_better=False), Metric("fg_ari", target, None)))


def _own_on_val(val: Frozen, entries: dict[str, Aligned], batch_size: int) -> list[Metric]:
    """MSE on val of the decoder that the method trained for itself: learning rates are chosen by it."""
    if val.decode is None:
        return []
    errors = {target: _measure(val.decode, val, a, batch_size)[0] for target, a in entries.items()}
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
