"""The training kernel: one function that trains a method, or a probe that trains, on batches drawn inside the step.

Flax NNX modules are split into plain pytrees once and merged inside the compiled step; everything else is plain JAX.
Keys come from `fold_in(key, step)`, so step 500 draws the same batch however the run got there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh

from benchmark.checkpoints import Checkpoints, offer, resumed
from benchmark.contracts import Loss
from benchmark.devices import everywhere, on_first, replicated, shared_out
from benchmark.machine import FEW_STEPS, compile_, jit_once
from benchmark.precision import products_in_bfloat16
from benchmark.types import Array, Data, Key

LossFunction = Callable[[Any, Any, Key], Loss]
Sample = Callable[[Data, Key], Any]
OnStep = Callable[[int, float, Mapping[str, float]], None]
"""Hears of finished steps: how many, the last one's loss and the parts of it."""

CURVE_POINTS = 100


class DivergedError(ArithmeticError):
    """The loss is not finite: a failure of the run, not a low score."""


@dataclass(frozen=True)
class Fitted:
    """A trained model, the curve of (step, mean loss since the point before) and what the training cost.

    `parts` are the means of the loss's named parts at the curve's points, None where one is not finite. `seconds` and
    `steps` are of this process, which may have gone on from a checkpoint.
    """

    model: nnx.Module
    curve: list[list[float]]
    parts: dict[str, list[float | None]]
    seconds: float
    steps: int
    optimizer_state: Any = None


@dataclass
class Kernel:
    """A loss, a sampler and an optimiser; compiled at the first `fit` and used again by the next (another seed).

    `mesh` are the devices that share every batch, None: one device. On a CPU the program of at most `few` steps is
    compiled without optimisation, which would take longer than the steps. `bfloat16` rounds the inputs of all products.
    """

    loss: LossFunction
    sample: Sample
    optimizer: optax.GradientTransformation
    mesh: Mesh | None = None
    few: int = FEW_STEPS
    bfloat16: bool = False
    compile_seconds: float = 0.0
    flops: float | None = None
    temporary_bytes: int = 0
    _compiled: dict[Any, Any] = field(default_factory=dict)

    def fit(
        self,
        model: nnx.Module,
        data: Data,
        steps: int,
        key: Key,
        on_step: OnStep = lambda step, loss, parts: None,
        checkpoints: Checkpoints | None = None,
        optimizer_state: Any = None,
    ) -> Fitted:
        """Train for `steps` steps, from the newest of the checkpoints if there are any.

        The `optimizer_state` of an earlier fit, which it uses up, lets the optimiser's averages go on; the key must be
        another one. Raises DivergedError at the first step whose loss is not finite.
        """
        places = [checkpoints] if checkpoints else []
        return self.fit_together([model], data, steps, [key], on_step, places, optimizer_state)[0]

    def fit_together(
        self,
        models: Sequence[nnx.Module],
        data: Data,
        steps: int,
        keys: Sequence[Key],
        on_step: OnStep = lambda step, loss, parts: None,
        checkpoints: Sequence[Checkpoints] = (),
        optimizer_state: Any = None,
    ) -> list[Fitted]:
        """Train models that differ in their values only, one a key, in one vmapped program: each as alone, to rounding.

        A parameter that the loss does not depend on, as a bias that a softmax cancels, may end elsewhere: Adam makes
        whole steps of what rounding leaves of its gradient. They go on from the newest step of which all have a
        checkpoint. `on_step` gets the means over them. The seconds of each are its share. Raises DivergedError where
        any loss is not finite.
        """
        count, (graph, _, _) = len(models), split(models[0])
        states: Sequence[Any] = [self._start(model, optimizer_state) for model in models]
        state, data, key = everywhere((_stacked(states), data, _stacked(keys)), self.mesh)
        chunk, seconds = steps_per_call(steps), 0.0
        names = self._parts(graph, min(chunk, steps), state, data, key, steps <= self.few) if steps else []
        losses = np.full((count, steps, 1 + len(names)), np.nan, np.float32)
        done, states, losses = resumed(checkpoints, states, losses)
        state = everywhere(_stacked(states), self.mesh) if done else state
        del states  # what a step uses up is not held here
        for start in range(done, steps, chunk):
            end = min(start + chunk, steps)
            program = self._program(graph, end - start, state, data, key, steps <= self.few)
            began = time.perf_counter()
            state, (loss, parts) = program(state, data, key, np.int32(start))
            losses[:, start:end] = np.stack(jax.device_get([loss, *parts.values()]), axis=-1)
            seconds += time.perf_counter() - began
            _check_finite(losses[..., 0], start, end)
            mean, *means = losses[:, end - 1].mean(0).tolist()
            on_step(end, mean, dict(zip(names, means, strict=True)))
            offer(checkpoints, end, lambda: _apart(state, count), losses)  # noqa: B023  called at once
        return [
            Fitted(
                nnx.merge(graph, params, rest),
                _curve(own[:, 0]),
                {name: _finite(_curve(part)) for name, part in zip(names, own.T[1:], strict=True)},
                seconds / count,
                steps - done,
                optimizer_state,
            )
            for (params, rest, optimizer_state), own in zip(
                _apart(on_first(state, self.mesh), count), losses, strict=True
            )
        ]

    def _start(self, model: nnx.Module, optimizer_state: Any) -> Any:
        _, params, rest = split(model)
        return params, rest, jit_once(self.optimizer.init)(params) if optimizer_state is None else optimizer_state

    def _parts(self, *what: Any) -> list[str]:
        """The names of the loss's parts, in the order in which the program of `_program` gives them."""
        _, (_, parts) = self._program(*what).out_info
        return list(parts)

    def _program(self, graph: Any, count: int, state: Any, data: Data, key: Key, seldom: bool) -> Any:
        """The compiled program that makes `count` steps, of as many models as there are keys."""
        what = graph, count, key.shape, seldom
        if what not in self._compiled:
            began = time.perf_counter()
            steps = self._steps(graph, count)
            if key.shape:
                steps = jax.vmap(steps, in_axes=(0, None, 0, None))
            program = compile_(steps, state, data, key, np.int32(0), donate=(0,), seldom=seldom)
            self._compiled[what] = program
            self.compile_seconds += time.perf_counter() - began
            # XLA counts a loop's body once, however often it runs: these are the operations of one step, and of one
            # turn of any loop inside the loss, such as that of InfoNCE over blocks of logits.
            flops = (program.cost_analysis() or {}).get("flops")
            self.flops = flops and flops / prod(key.shape)
            self.temporary_bytes = program.memory_analysis().temp_size_in_bytes
        return self._compiled[what]

    def _steps(self, graph: Any, count: int) -> Callable[..., Any]:
        def one(state: Any, data: Data, key: Key) -> tuple[Any, Loss]:
            params, rest, optimizer_state = state
            batch_key, loss_key = jax.random.split(key)
            batch = shared_out(self.sample(data, batch_key), self.mesh)

            def objective(params: Any) -> tuple[Array, Any]:
                model = nnx.merge(graph, params, rest, copy=True)
                loss, parts = self.loss(model, batch, loss_key)
                named = {str(name): jnp.asarray(value, jnp.float32) for name, value in parts.items()}
                return loss, (named, split(model)[2])

            descent = jax.value_and_grad(objective, has_aux=True)
            (loss, (parts, rest)), gradients = (products_in_bfloat16(descent) if self.bfloat16 else descent)(params)
            params, optimizer_state = optimizer_step(self.optimizer, params, gradients, optimizer_state)
            return replicated(((params, rest, optimizer_state), (loss, parts)), self.mesh)

        def many(state: Any, data: Data, key: Key, start: Array) -> tuple[Any, Any]:
            def body(state: Any, step: Array) -> tuple[Any, Loss]:
                return one(state, data, jax.random.fold_in(key, step))

            if count == 1:  # a loop body is compiled to slower code on a CPU
                state, loss = body(state, start)
                return state, jax.tree.map(lambda value: value[None], loss)
            return jax.lax.scan(body, state, start + jnp.arange(count))

        return many


def _stacked(trees: Sequence[Any]) -> Any:
    """Trees of arrays as one, of arrays with a leading dimension; a single tree as it is."""
    return trees[0] if len(trees) == 1 else jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def _apart(tree: Any, count: int) -> list[Any]:
    """The trees that `_stacked` has put together."""
    return [tree] if count == 1 else [jax.tree.map(lambda leaf: leaf[i], tree) for i in range(count)]  # noqa: B023


def _check_finite(losses: np.ndarray, start: int, end: int) -> None:
    """Raises DivergedError for the first step from `start` to `end` with a loss [run, step] that is not finite."""
    for step in range(start, end):
        if not np.isfinite(losses[:, step]).all():
            worst = losses[~np.isfinite(losses[:, step]), step][0]
            raise DivergedError(f"the loss is {worst} at step {step + 1}")


def optimizer_step(optimizer: optax.GradientTransformation, params: Any, gradients: Any, state: Any) -> tuple[Any, Any]:
    """The parameters and the optimiser's state after one step."""
    updates, state = optimizer.update(gradients, state, params)
    return optax.apply_updates(params, updates), state


def split(model: nnx.Module) -> tuple[Any, Any, Any]:
    """The model's structure, its parameters, and what else it carries (such as running averages)."""
    graph, params, rest = nnx.split(model, nnx.Param, ...)  # type: ignore[misc]
    return graph, params, rest


def initialiser(build: Callable[[nnx.Rngs], nnx.Module]) -> Callable[[Key], nnx.Module]:
    """Makes fresh models from keys, in one compiled program: operation by operation it takes seconds."""

    @cache
    def structure() -> Any:
        return nnx.split(nnx.eval_shape(lambda: build(nnx.Rngs(0))))[0]

    values = jit_once(lambda key: nnx.state(build(nnx.Rngs(key))))
    return lambda key: nnx.merge(structure(), values(key))


def steps_per_call(steps: int) -> int:
    """Steps in one compiled program: one on a CPU, where a loop's body runs slower; up to 100 on an accelerator."""
    return 1 if jax.default_backend() == "cpu" else max(1, min(100, steps // 10))


def adam(learning_rate: float, weight_decay: float = 0.0) -> optax.GradientTransformation:
    """Adam with b1 .9, b2 .999, eps 1e-8 and decoupled weight decay, times the learning rate."""
    return optax.adamw(learning_rate, weight_decay=weight_decay)


def _curve(losses: np.ndarray) -> list[list[float]]:
    """At most CURVE_POINTS points of (step, mean loss over the steps since the point before)."""
    parts = np.array_split(losses.astype(float), min(CURVE_POINTS, len(losses)) or 1)
    ends = np.cumsum([len(part) for part in parts])
    return [[float(end), float(part.mean())] for end, part in zip(ends, parts, strict=True) if len(part)]


def _finite(curve: list[list[float]]) -> list[float | None]:
    """The values of a curve, None for those that are not finite."""
    return [value if np.isfinite(value) else None for _, value in curve]
