"""Mixed precision: products of matrices and convolutions in bfloat16, their sums and everything else in float32.

That is what an accelerator's matrix units are made for. It is done to the finished step, forward and backward, so a
method needs to know nothing of it; parameters, normalisations, softmax and losses stay in float32. On a CPU the inputs
are rounded and multiplied in float32: the same numbers to rounding, and no quicker.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Literal

P = ParamSpec("P")
T = TypeVar("T")

PRODUCTS = ("dot_general", "conv_general_dilated")


def products_in_bfloat16(function: Callable[P, T]) -> Callable[P, T]:
    """The function, with the inputs of every product rounded to bfloat16 and its sums kept in float32.

    Those in a `scan` are rounded too, those in a `while`, a `cond` or a `checkpoint` are not. Rounding an input changes
    it by at most 2^-8 of itself.
    """

    def rounded(*args: P.args, **kwargs: P.kwargs) -> T:
        jaxpr, shape = jax.make_jaxpr(lambda a, k: function(*a, **k), return_shape=True)(args, kwargs)
        return jax.tree.unflatten(jax.tree.structure(shape), _evaluate(jaxpr, jax.tree.leaves((args, kwargs))))

    return rounded


def _evaluate(jaxpr: ClosedJaxpr, arguments: Sequence[Any]) -> list[Any]:
    """What the program gives, one operation after the other."""
    values = dict(zip(jaxpr.jaxpr.constvars, jaxpr.consts, strict=True))
    values |= dict(zip(jaxpr.jaxpr.invars, arguments, strict=True))

    def read(variable: Any) -> Any:
        return variable.val if isinstance(variable, Literal) else values[variable]

    for operation in jaxpr.jaxpr.eqns:
        results = _operate(operation, [read(variable) for variable in operation.invars])
        values |= dict(zip(operation.outvars, results, strict=True))
    return [read(variable) for variable in jaxpr.jaxpr.outvars]


def _operate(operation: Any, inputs: list[Any]) -> Sequence[Any]:
    name, parameters = operation.primitive.name, operation.params
    if name in PRODUCTS and all(x.dtype == jnp.float32 for x in inputs):
        if jax.default_backend() == "cpu":  # which has no such product for every shape
            return [operation.primitive.bind(*(jax.lax.reduce_precision(x, 8, 7) for x in inputs), **parameters)]
        lower, sums = [x.astype(jnp.bfloat16) for x in inputs], {"preferred_element_type": jnp.dtype("float32")}
        return [operation.primitive.bind(*lower, **parameters | sums)]
    if name in ("jit", "pjit"):
        return _evaluate(parameters["jaxpr"], inputs)
    if name == "scan":
        body = parameters["jaxpr"]
        parameters = parameters | {"jaxpr": jax.make_jaxpr(lambda *values: _evaluate(body, values))(*body.in_avals)}
    bound = operation.primitive.get_bind_params(parameters)
    functions, parameters = bound if isinstance(bound, tuple) else ((), bound)  # older and newer JAX
    results = operation.primitive.bind(*functions, *inputs, **parameters)
    return results if operation.primitive.multiple_results else [results]
