"""What every registered method must keep: the checks that `python -m benchmark.check` asks of one's own."""

from functools import cache

import pytest
import tiny

from benchmark.check.ground import ground
from benchmark.check.method_checks import checks, seeds_side_by_side_equal_seeds_one_by_one
from benchmark.check.outcome import title
from benchmark.check.trial import Trial
from benchmark.program import on_device
from benchmark.registry import datasets, methods

PLACES = ("gridworld", "tiny")
"""Data to resemble; a method is checked on the first that it supports, whose frames are the smallest."""


def create(name):
    """The method; one that paints frames does so with few filters, as the cost is no part of the contract."""
    cheap = {"filters": 4} if hasattr(methods.entry(name)[0], "filters") else {}
    return methods.create(name, **cheap)


@cache
def data_like(place):
    return on_device(ground(datasets.create(place).spec()))


def place_of(name):
    supported = [p for p in PLACES if methods.create(name).supports(datasets.create(p).spec()) is None]
    return supported[0] if supported else None


@cache
def trial(name):
    return Trial(create(name), data_like(place_of(name)))


def asked_of(name):
    """All checks, but the dearest for one name of each class only."""
    cls = methods.entry(name)[0]
    first = next(other for other in methods if methods.entry(other)[0] is cls) == name
    return [c for c in checks(cls) if first or c is not seeds_side_by_side_equal_seeds_one_by_one]


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


def test_the_small_data_set_is_the_ground_of_checks():
    assert data_like("tiny").spec.frame_shape == (tiny.SIZE, tiny.SIZE, 3)
