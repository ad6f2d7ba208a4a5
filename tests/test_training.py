"""The training kernel: seeds, keys, divergence, and that data and labels go where they should."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from benchmark import machine, training
from benchmark.training import DivergedError, Kernel, adam


class Line(nnx.Module):
    def __init__(self):
        self.slope = nnx.Param(jnp.zeros(()))
        self.calls = nnx.BatchStat(jnp.zeros(()))


def squared_error(model, batch, key):
    model.calls[...] += 1
    x, y = batch
    return jnp.mean((model.slope[...] * x - y) ** 2), {}


def draw(data, key):
    x = jax.random.normal(key, (8,))
    return x, data["slope"] * x


DATA = {"slope": jnp.asarray(3.0)}


def kernel(**parts):
    return Kernel(**{"loss": squared_error, "sample": draw, "optimizer": optax.sgd(0.1), **parts})


def test_a_line_is_fitted_to_its_slope():
    fitted = kernel().fit(Line(), DATA, 100, jax.random.key(0))
    assert float(fitted.model.slope[...]) == pytest.approx(3.0, abs=1e-3)
    assert fitted.curve[0][1] > 1 and fitted.curve[-1][1] < 1e-4


def test_one_step_is_the_optimisers_step():
    key = jax.random.key(5)
    x, y = map(np.asarray, draw(DATA, jax.random.split(jax.random.fold_in(key, 0))[0]))
    gradient = np.mean(2 * (0 * x - y) * x)
    assert float(kernel().fit(Line(), DATA, 1, key).model.slope[...]) == pytest.approx(-0.1 * gradient, rel=1e-5)


def test_adam_follows_its_definition_with_decoupled_weight_decay():
    rule, weight = adam(0.01, weight_decay=0.1), jnp.asarray(2.0)
    state, m, v, slow = rule.init(weight), 0.0, 0.0, 2.0
    for t, gradient in enumerate([0.5, -1.0, 0.25], start=1):
        update, state = rule.update(jnp.asarray(gradient), state, weight)
        weight = weight + update
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        slow -= 0.01 * ((m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8) + 0.1 * slow)
    assert float(weight) == pytest.approx(slow, rel=1e-5)


def test_same_key_gives_the_same_numbers_and_another_key_others():
    first, again, other = (kernel().fit(Line(), DATA, 7, jax.random.key(seed)) for seed in (0, 0, 1))
    assert first.curve == again.curve
    assert first.curve != other.curve


def test_a_longer_run_begins_with_the_steps_of_a_shorter_one():
    short, long = (kernel().fit(Line(), DATA, steps, jax.random.key(0)) for steps in (5, 9))
    assert long.curve[:5] == short.curve


def test_steps_in_one_scanned_program_equal_single_steps(monkeypatch):
    single = kernel().fit(Line(), DATA, 20, jax.random.key(0))
    monkeypatch.setattr(training, "steps_per_call", lambda steps: 8)
    scanned = kernel().fit(Line(), DATA, 20, jax.random.key(0))
    np.testing.assert_allclose(single.curve, scanned.curve, rtol=1e-5)
    assert float(scanned.model.slope[...]) == pytest.approx(float(single.model.slope[...]), rel=1e-6)


def test_state_that_is_not_a_parameter_is_carried_from_step_to_step():
    assert kernel().fit(Line(), DATA, 6, jax.random.key(0)).model.calls[...] == 6


def test_a_second_seed_uses_the_compiled_program():
    shared = kernel()
    shared.fit(Line(), DATA, 2, jax.random.key(0))
    compiled = shared.compile_seconds
    shared.fit(Line(), DATA, 2, jax.random.key(1))
    assert shared.compile_seconds == compiled


def test_no_steps_leave_the_model_as_it_was():
    fitted = kernel().fit(Line(), DATA, 0, jax.random.key(0))
    assert fitted.curve == [] and fitted.model.slope[...] == 0


def test_a_loss_that_is_not_finite_ends_the_run_and_names_the_step():
    explode = kernel(optimizer=optax.sgd(1e30))
    with pytest.raises(DivergedError, match=r"the loss is (nan|inf) at step \d"):
        explode.fit(Line(), DATA, 10, jax.random.key(0))


def test_progress_hears_every_step():
    heard = []
    kernel().fit(Line(), DATA, 3, jax.random.key(0), lambda step, loss, parts: heard.append(step))
    assert heard == [1, 2, 3]


def test_the_curve_has_at_most_a_hundred_points_and_ends_at_the_last_step():
    curve = kernel().fit(Line(), DATA, 250, jax.random.key(0)).curve
    assert len(curve) == 100 and curve[-1][0] == 250


def test_models_made_in_one_program_equal_those_made_step_by_step():
    def build(rngs):
        return nnx.Sequential(nnx.Linear(3, 4, rngs=rngs), nnx.BatchNorm(4, rngs=rngs), nnx.Linear(4, 2, rngs=rngs))

    make, key = training.initialiser(build), jax.random.key(7)
    jax.tree.map(np.testing.assert_array_equal, nnx.state(make(key)), nnx.state(build(nnx.Rngs(key))))
    first, other = make(key), make(jax.random.key(8))
    assert not np.array_equal(first.layers[0].kernel[...], other.layers[0].kernel[...])


@pytest.mark.parametrize("steps_a_call", [1, 5])
def test_models_trained_together_end_where_each_ends_alone(monkeypatch, steps_a_call):
    monkeypatch.setattr(training, "steps_per_call", lambda steps: steps_a_call)
    keys, means = [jax.random.key(seed) for seed in range(3)], []

    def models():
        for start in range(3):
            model = Line()
            model.slope[...] = jnp.asarray(float(start))
            yield model

    alone = [kernel().fit(model, DATA, 10, key) for model, key in zip(models(), keys, strict=True)]
    together = kernel().fit_together(list(models()), DATA, 10, keys, lambda step, loss, parts: means.append(loss))
    for one, same in zip(alone, together, strict=True):
        np.testing.assert_allclose(one.model.slope[...], same.model.slope[...], rtol=1e-5)
        np.testing.assert_allclose(one.curve, same.curve, rtol=1e-4)
        assert same.model.calls[...] == 10
    assert len({float(one.model.slope[...]) for one in together}) == 3
    assert means[-1] == pytest.approx(np.mean([one.curve[-1][1] for one in together]), rel=1e-5)


def test_operations_and_seconds_of_models_trained_together_are_those_of_one():
    one, several = kernel(), kernel()
    one.fit(Line(), DATA, 2, jax.random.key(0))
    several.fit_together([Line(), Line()], DATA, 2, [jax.random.key(0), jax.random.key(1)])
    assert one.flops and several.flops == pytest.approx(one.flops, rel=0.3)


def test_a_loss_that_explodes_in_one_of_several_ends_them_all():
    explode = kernel(loss=lambda model, batch, key: (model.slope[...] * jnp.inf, {}))
    with pytest.raises(DivergedError, match="step 1"):
        explode.fit_together([Line(), Line()], DATA, 10, [jax.random.key(0), jax.random.key(1)])


def test_compiler_options_that_this_jaxlib_does_not_know_are_left_out():
    known = {"xla_backend_optimization_level": 0}
    assert machine._usable({"xla_there_is_no_such_option": 1} | known) == known
    assert machine._usable(machine.CPU_OPTIONS) == machine.CPU_OPTIONS  # else steps are slow: see docs/performance.md
    assert known.items() <= machine._usable(machine.RUN_ONCE).items()
    if jax.__version_info__ < (0, 11):  # with these all are known
        assert machine._usable(machine.RUN_ONCE) == machine.RUN_ONCE


def test_few_steps_are_those_of_a_program_that_was_compiled_for_many():
    few, many = kernel(), kernel(few=0)
    curves = [one.fit(Line(), DATA, 5, jax.random.key(0)).curve for one in (few, many)]
    np.testing.assert_allclose(*curves, rtol=1e-5)


def test_a_point_of_the_curve_is_the_mean_loss_since_the_point_before():
    losses, curve = np.arange(250.0), training._curve(np.arange(250.0))
    ends = [0, *(int(end) for end, _ in curve)]
    expected = [losses[a:b].mean() for a, b in pairwise(ends)]
    assert [value for _, value in curve] == pytest.approx(expected)


def test_the_loss_draws_with_another_key_than_the_batch():
    def same(model, batch, key):
        return 0 * model.slope[...] + (jax.random.key_data(key) == batch).all(), {}

    both = kernel(loss=same, sample=lambda data, key: jax.random.key_data(key))
    assert [loss for _, loss in both.fit(Line(), (), 3, jax.random.key(0)).curve] == [0, 0, 0]


def in_parts(model, batch, key):
    """A loss of two parts, one that has no logarithm below 0, and a flag."""
    x, y = batch
    error, far = jnp.mean((model.slope[...] * x - y) ** 2), model.slope[...] - 1
    return error + 0.5 * jnp.abs(far), {"far": jnp.abs(far), "error": error, "log": jnp.log(far), "below": far < 0}


@pytest.mark.parametrize("steps_a_call", [1, 8])
def test_the_parts_of_the_loss_have_its_curve(monkeypatch, steps_a_call):
    monkeypatch.setattr(training, "steps_per_call", lambda steps: steps_a_call)
    told = []
    fitted = kernel(loss=in_parts).fit(Line(), DATA, 250, jax.random.key(0), lambda *told_of: told.append(told_of))
    error, far, below, log = (np.array(fitted.parts[name], float) for name in ("error", "far", "below", "log"))
    np.testing.assert_allclose(error + 0.5 * far, [loss for _, loss in fitted.curve], rtol=1e-5)
    assert below[0] > 0 and below[-1] == 0  # the slope goes from 0 to almost 3
    assert fitted.parts["log"][0] is None and np.isfinite(log[-1])
    step, loss, parts = told[-1]
    assert step == 250 and loss == pytest.approx(parts["error"] + 0.5 * parts["far"], rel=1e-5)
    assert sorted(parts) == ["below", "error", "far", "log"]


def test_models_trained_together_have_parts_of_their_own():
    starts, models = (0.0, 5.0), [Line(), Line()]
    for model, start in zip(models, starts, strict=True):
        model.slope[...] = jnp.asarray(start)
    keys, told = [jax.random.key(0), jax.random.key(1)], []
    both = kernel(loss=in_parts).fit_together(models, DATA, 2, keys, lambda *told_of: told.append(told_of))
    assert [one.parts["far"][0] for one in both] == [1.0, 4.0] and told[0][2]["far"] == 2.5
