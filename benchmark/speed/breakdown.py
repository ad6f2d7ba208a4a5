"""Where the time of a step goes: its parts, compiled and timed one by one."""

from __future__ import annotations

from statistics import median
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from benchmark.contracts import Splits
from benchmark.modules.decoder import frames_decoded
from benchmark.plan import Run
from benchmark.program import Program, make_program, run_keys
from benchmark.speed.step import timed
from benchmark.training import optimizer_step, split


def breakdown(run: Run, splits: Splits, repeats: int) -> dict[str, float]:
    """Milliseconds of each part: sample, encode, decoder (where the method trains one), loss, update.

    `encode` is the slots of all frames of a batch, forward and backward. `decoder` is the decoder on as many frames as
    a step decodes, from slots and from predictions, forward and backward. `loss` is what the whole gradient takes
    beyond those: the transition model, the comparison of states. Parts are programs of their own, so they need not add
    up to the step, in which XLA fuses across them; a difference below 0 is noise and given as it is.
    """
    program, data = make_program(run, splits), splits.train.data
    init_key, key, _ = run_keys(run.seed)
    graph, params, rest = split(program.initialise(init_key))
    batch = jax.jit(program.kernel.sample)(data, key)

    def whole(params: Any, batch: Any) -> Any:
        return run.trained.loss(nnx.merge(graph, params, rest, copy=True), batch, key)[0]

    def encode(params: Any, batch: Any) -> Any:
        return jnp.square(run.trained.encode(nnx.merge(graph, params, rest, copy=True), batch.frames).slots).sum()

    def milliseconds(function: Any, *arguments: Any) -> float:
        return 1e3 * median(timed(function, *arguments, repeats=repeats))

    parts = {"sample": milliseconds(program.kernel.sample, data, key)}
    parts["encode"] = milliseconds(jax.grad(encode), params, batch)
    if hasattr(run.trained, "decoded_frames"):  # one of the project's own, which trains its decoder on so many
        parts["decoder"] = milliseconds(*_decoder(run.trained, graph, params, rest, batch))
    gradients = milliseconds(jax.grad(whole), params, batch)
    parts["loss"] = gradients - parts["encode"] - parts.get("decoder", 0.0)
    parts["update"] = milliseconds(_update(program), params, params, program.kernel.optimizer.init(params))
    return parts


def _update(program: Program) -> Any:
    def update(params: Any, gradients: Any, state: Any) -> Any:
        return optimizer_step(program.kernel.optimizer, params, gradients, state)

    return update


def _decoder(method: Any, graph: Any, params: Any, rest: Any, batch: Any) -> tuple[Any, Any, Any]:
    """The gradient of the method's own decoder on the frames of a step, and its arguments."""
    b, t = batch.frames.shape[:2]
    model = nnx.merge(graph, params, rest, copy=True)
    slots = method.encode(model, batch.frames).slots
    half = frames_decoded(model.decoder, slots.shape[2], method.decoded_frames, method.decoded_pixels) or b * t
    predicted = min(half, b * (t - method.context)) if method.context else 0
    slots = jnp.resize(slots, (min(half, b * t) + predicted, *slots.shape[2:]))

    def decode(params: Any, slots: Any) -> Any:
        return jnp.square(nnx.merge(graph, params, rest, copy=True).decoder(slots).frames).mean()

    return jax.grad(decode), params, slots
