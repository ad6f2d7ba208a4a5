"""What every registered method must keep: the checks that `python -m benchmark.check` asks of one's own."""

from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from benchmark.check.look_alike import look_alike
from benchmark.check.method_checks import checks, seeds_side_by_side_equal_seeds_one_by_one
from benchmark.check.outcome import title
from benchmark.check.trial import Trial
from benchmark.errors import UserError
from benchmark.machine import jit_once
from benchmark.program import on_device
from benchmark.registry import datasets, methods

PLACES = ("gridworld", "tiny")
"""Data to resemble; a method is checked on the first that it supports, whose frames are the smallest."""


SETTINGS = {"filters": 4, "margin": 100.0}
"""Few filters, where frames are painted, as the cost is no part of the contract; a margin that untrained slots miss."""


def create(name):
    cls = methods.entry(name)[0]
    return methods.create(name, **{field: value for field, value in SETTINGS.items() if hasattr(cls, field)})


@cache
def data_like(place):
    return on_device(look_alike(datasets.create(place).spec()))


def place_of(name):
    supported = [p for p in PLACES if methods.create(name).supports(datasets.create(p).spec()) is None]
    return supported[0] if supported else None


@cache
def trial(name):
    return Trial(create(name), data_like(place_of(name)))


def is_the_first_of_its_class(name):
    cls = methods.entry(name)[0]
    return next(other for other in methods if methods.entry(other)[0] is cls) == name


def asked_of(name):
    """All checks, but the dearest for one name of each class only."""
    first = is_the_first_of_its_class(name)
    return [c for c in checks(methods.entry(name)[0]) if first or c is not seeds_side_by_side_equal_seeds_one_by_one]


ASKED = [
    pytest.param(name, check, id=f"{name}: {title(check)}")
    for name in methods
    if place_of(name)
    for check in asked_of(name)
]


@pytest.mark.parametrize(("name", "check"), ASKED)
def test_a_method_keeps_what_it_must(name, check):
    wrong = check(trial(name))
    assert wrong is None, wrong


def test_every_method_is_checked_somewhere():
    assert {name for name in methods if place_of(name) is None} == set()


def test_the_small_data_set_is_that_of_checks():
    assert data_like("tiny").spec.frame_shape == (tiny.SIZE, tiny.SIZE, 3)


LEARNT = [name for name in methods if methods.entry(name)[0].trains and not methods.entry(name)[1]]
"""Those that train, as they are without presets."""


def in_double(arrays):
    return jax.tree.map(lambda x: jnp.float64(x) if np.issubdtype(x.dtype, np.floating) else x, arrays)


@pytest.mark.parametrize("name", LEARNT)
def test_the_gradient_of_a_loss_is_its_slope(name):
    """Along it, by central differences in double precision: none of the papers' losses stops a gradient anywhere."""
    of, step = trial(name), 1e-6
    params, rest = of.state
    with jax.enable_x64(True):
        batch = in_double(of.seen)

        @jit_once
        def loss_and_gradient(params):
            return jax.value_and_grad(lambda params: of.loss((params, rest), batch)[0])(params)

        def moved(by):
            return jax.tree.map(lambda leaf, slope: leaf + by * slope / length, start, gradient)

        start = in_double(params)
        loss, gradient = loss_and_gradient(start)
        length = jnp.sqrt(sum((leaf**2).sum() for leaf in jax.tree.leaves(gradient)))
        slope = (loss_and_gradient(moved(step))[0] - loss_and_gradient(moved(-step))[0]) / (2 * step)
        assert loss.dtype == np.float64
        assert float(slope) == pytest.approx(float(length), rel=1e-3)


def test_a_whole_number_may_stand_for_a_weight_of_zero_but_counts_and_rates_may_not_be():
    assert methods.create("scn", diversity_weight=0, weight_decay=0).diversity_weight == 0
    for field, value, message in (
        ("slot_size", 0, "slot_size is 0; it must be at least 1"),
        ("num_slots", 0, "num_slots is 0; it must be at least 1"),
        ("learning_rate", -1e-3, r"learning_rate is -0.001; it must be a finite number above 0"),
        ("learning_rate", float("nan"), "learning_rate is nan; it must be a finite number above 0"),
    ):
        with pytest.raises(UserError, match=message):
            methods.create("scn", **{field: value})


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("setcon", "tau", 1.0),
        ("slotwise", "tau", 1.0),
        ("slotcontrast", "tau", 1.0),
        ("slot-repulsion", "tau", 1.0),
        ("scn", "diversity_weight", 3.0),
        ("cswm", "sigma", 1.0),
        ("cswm", "margin", 50.0),
    ],
)
def test_what_a_field_says_reaches_the_loss(name, field, value):
    of = trial(name)

    @jit_once
    def losses(state, batch):
        both = of.method, replace(of.method, **{field: value})
        return [method.loss(of.model(state), batch, jax.random.key(0))[0] for method in both]

    plain, changed = losses(of.state, of.seen)
    assert abs(plain - changed) > 1e-3 * abs(plain)


@pytest.mark.parametrize("name", ["scn", "cswm", "cswm-episode"])
def test_a_batch_without_negatives_is_refused(name):
    trial = Trial(create(name), data_like("tiny"))
    alone = jax.tree.map(lambda array: array[:1], trial.batch)
    with pytest.raises(UserError, match="has no negatives; set training"):
        trial.method.loss(trial.model(trial.state), alone, jax.random.key(0))
