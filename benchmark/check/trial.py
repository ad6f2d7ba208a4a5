"""A method on a tiny data set: its model, batches and compiled programs, which the checks of a method share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np
import optax
from flax import nnx

from benchmark import checked
from benchmark.contracts import Loss, Method, Splits
from benchmark.machine import jit_once
from benchmark.training import adam, optimizer_step, split
from benchmark.types import Array, Batch, DatasetSpec, Float, Key, Slots

BATCH = 4
STEPS = 10

State = tuple[Any, Any]
"""Parameters, and what else a model carries."""


@dataclass(frozen=True)
class Trial:
    """A configured method and splits like those of a data set that it supports."""

    method: Method
    splits: Splits

    @property
    def spec(self) -> DatasetSpec:
        """Of the data."""
        return self.splits.spec

    @property
    def num_slots(self) -> int:
        """What the method declares: its own field, else the data set's."""
        return getattr(self.method, "num_slots", None) or self.spec.num_slots

    @cached_property
    def batch(self) -> Batch:
        """BATCH training samples with their labels."""
        train, window = self.splits.train, self.method.window(self.spec)
        return jit_once(lambda data, key: train.sample(data, key, BATCH, window))(train.data, jax.random.key(1))

    @property
    def seen(self) -> Batch:
        """The same as the engine gives them to the loss: labels are for a ceiling only."""
        return self.batch if self.method.reads_labels else self.batch._replace(labels=None)

    @cached_property
    def clips(self) -> Batch:
        """Two whole clips, as NumPy arrays."""
        return self._read(0)

    @cached_property
    def others(self) -> Batch:
        """Two whole clips more, whose frames take the place of those of `clips`."""
        return self._read(2)

    def _read(self, first: int) -> Batch:
        test = self.splits.test
        return jax.tree.map(np.asarray, jit_once(test.read)(test.data, np.arange(first, first + 2)))

    def build(self, key: Key) -> nnx.Module:
        """The method's model, initialised."""
        return checked.build(self.method, self.spec, nnx.Rngs(key))

    @cached_property
    def models(self) -> tuple[Any, tuple[State, State]]:
        """The structure, and the initial states of two seeds."""
        model = nnx.eval_shape(lambda: self.build(jax.random.key(0)))
        initialise = jit_once(lambda key: split(self.build(key))[1:])
        return split(model)[0], (initialise(jax.random.key(0)), initialise(jax.random.key(1)))

    @property
    def state(self) -> State:
        """That of the first seed."""
        return self.models[1][0]

    def model(self, state: State) -> nnx.Module:
        """As it is probed."""
        model = nnx.merge(self.models[0], *state)
        model.eval()
        return model

    def loss(self, state: State, batch: Batch) -> Loss:
        """As training computes it, with one fixed key."""
        model = nnx.merge(self.models[0], *state, copy=True)
        return checked.loss(self.method, model, batch, jax.random.key(2))

    def gradients(self, state: State, batch: Batch) -> tuple[Any, Any]:
        """((loss, logs), gradients of all parameters)."""
        params, rest = state
        return jax.value_and_grad(lambda params: self.loss((params, rest), batch), has_aux=True)(params)

    @cached_property
    def first(self) -> tuple[Any, Any]:
        """`gradients` in the first step of the first seed."""
        return self.losses_and_gradients[0]

    @cached_property
    def losses_and_gradients(self) -> list[tuple[Any, Any]]:
        """`gradients` in STEPS steps of training the first seed on one fixed batch, from the compiled `step`."""
        params, averages, given = self.state[0], self.averages, []
        for _ in range(STEPS):
            gave, params, averages = self.step((params, self.state[1]), averages, self.seen)
            given.append(gave)
        return given

    @cached_property
    def averages(self) -> Any:
        """The optimiser's, before the first step."""
        return jit_once(self._optimizer.init)(self.state[0])

    @property
    def _optimizer(self) -> optax.GradientTransformation:
        return adam(self.method.learning_rate, self.method.weight_decay)

    @cached_property
    def step(self) -> Callable[[State, Any, Batch], tuple[Any, Any, Any]]:
        """(state, averages, batch) to what `gradients` gives, the parameters after it and the averages; compiled."""

        def step(state: State, averages: Any, batch: Batch) -> tuple[Any, Any, Any]:
            given = self.gradients(state, batch)
            return given, *optimizer_step(self._optimizer, state[0], given[1], averages)

        return jit_once(step)

    def encode_with(self, state: State, frames: Float[Array, "b t h w c"]) -> Slots:
        """The method's `encode` by the model in that state, as `checked.encode` has it."""
        return checked.encode(self.method, self.model(state), frames)

    @cached_property
    def encode(self) -> Callable[[State, Any], Slots]:
        """`encode_with`, compiled; gives NumPy arrays."""
        encode = jit_once(self.encode_with)
        return lambda state, frames: jax.tree.map(np.asarray, encode(state, frames))

    @cached_property
    def slots(self) -> Slots:
        """Those of `clips` by the first seed."""
        return self.encode(self.state, self.clips.frames)

    @cached_property
    def predict(self) -> Callable[[Any, Any], np.ndarray]:
        """Two steps ahead by the first seed, compiled."""

        def predict(slots: Array, actions: Array | None) -> Array:
            return checked.predict(self.method, self.model(self.state), slots, actions, 2)

        program = jit_once(predict)
        return lambda slots, actions: np.asarray(program(slots, actions))
