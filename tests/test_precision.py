"""Products in bfloat16: they, nothing else, wherever they stand in a program, and what a run of them is called."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from flax import nnx

from benchmark import plan, variants
from benchmark.check.look_alike import look_alike
from benchmark.check.trial import Trial
from benchmark.configure import parse_overrides
from benchmark.plan import Configuration, Item
from benchmark.precision import products_in_bfloat16
from benchmark.program import on_device
from benchmark.progress import PlainProgress
from benchmark.registry import datasets, methods
from benchmark.runner import Runner
from benchmark.training import Kernel, adam

NUMBERS = np.random.default_rng(0)
A, B = (NUMBERS.standard_normal(shape).astype(np.float32) for shape in ((5, 7), (7, 3)))


def rounded(x):
    return np.asarray(x).astype(ml_dtypes.bfloat16).astype(np.float64)


def test_the_inputs_of_a_product_are_rounded_and_its_sum_is_not():
    found = products_in_bfloat16(jnp.matmul)(A, B)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, rounded(A) @ rounded(B), rtol=1e-5)
    assert np.abs(found - A.astype(float) @ B).max() > 1e-3


def test_a_convolution_is_rounded_too():
    x, kernel = (NUMBERS.standard_normal(shape).astype(np.float32) for shape in ((1, 5, 5, 2), (3, 3, 2, 4)))
    how = {"window_strides": (1, 1), "padding": "VALID", "dimension_numbers": ("NHWC", "HWIO", "NHWC")}
    found = products_in_bfloat16(lambda x, k: jax.lax.conv_general_dilated(x, k, **how))(x, kernel)
    slow = np.zeros((1, 3, 3, 4))
    for i, j in np.ndindex(3, 3):
        slow += np.einsum("nhwc,co->nhwo", rounded(x)[:, i : i + 3, j : j + 3], rounded(kernel)[i, j])
    np.testing.assert_allclose(found, slow, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("within", [jax.jit, lambda f: f])
def test_products_of_the_backward_pass_and_within_other_functions_are_rounded(within):
    """d/dA of sum(tanh(A B)) = (1 - tanh^2) B', with A, B and the first factor rounded."""
    inner = within(lambda a, b: jnp.tanh(a @ b))
    found = products_in_bfloat16(jax.grad(lambda a, b: inner(a, b).sum()))(A, B)
    slope = 1 - np.tanh(rounded(A) @ rounded(B)) ** 2
    np.testing.assert_allclose(found, rounded(slope) @ rounded(B).T, rtol=1e-2, atol=1e-2)
    assert np.abs(found - jax.grad(lambda a, b: inner(a, b).sum())(A, B)).max() > 1e-4


@pytest.mark.parametrize("reverse", [False, True])
def test_a_loop_keeps_its_order_its_constants_and_what_it_gathers(reverse):
    square = NUMBERS.standard_normal((3, 3)).astype(np.float32)

    def loop(square, start, rows):
        return jax.lax.scan(lambda c, row: (c @ square + row, c.sum()), start, rows, reverse=reverse)

    (end, sums), exact = products_in_bfloat16(loop)(square, A[0, :3], A[:, :3]), loop(square, A[0, :3], A[:, :3])
    carry, gathered = A[0, :3].astype(np.float64), []
    for row in A[::-1, :3] if reverse else A[:, :3]:
        gathered.append(carry.sum())
        carry = rounded(carry.astype(np.float32)) @ rounded(square) + row
    np.testing.assert_allclose(end, carry, rtol=2e-2, atol=2e-2)
    np.testing.assert_allclose(sums, gathered[::-1] if reverse else gathered, rtol=2e-2, atol=2e-2)
    assert np.abs(end - exact[0]).max() > 1e-5


def test_what_is_no_product_is_the_same_to_the_bit():
    def function(x, flag):
        x = jax.nn.relu(x) / jnp.exp(x).sum(-1, keepdims=True)
        x = jax.lax.cond(flag, lambda: jnp.sort(x), lambda: x)
        return {"a": x.astype(jnp.int32), "b": (x, jnp.cumsum(x, 0))}

    found, exact = products_in_bfloat16(jax.jit(function))(A, True), jax.jit(function)(A, True)
    jax.tree.map(np.testing.assert_array_equal, found, exact)


@pytest.mark.parametrize("name", ["cswm", "setcon"])
def test_a_methods_gradient_points_the_same_way(name):
    of = Trial(methods.create(name), on_device(look_alike(datasets.create("gridworld").spec())))
    params, rest = of.state
    batch = of.seen

    def loss(params):
        return of.loss((params, rest), batch)[0]

    exact_loss, exact = jax.jit(jax.value_and_grad(loss))(params)
    low_loss, low = jax.jit(products_in_bfloat16(jax.value_and_grad(loss)))(params)
    one, other = (jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(tree)]) for tree in (exact, low))
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(low))
    assert float(low_loss) == pytest.approx(float(exact_loss), rel=0.02) and low_loss != exact_loss
    assert one @ other / jnp.sqrt((one @ one) * (other @ other)) > 0.99


def test_the_kernel_trains_so_when_asked_and_not_otherwise():
    model = lambda: nnx.Linear(7, 3, rngs=nnx.Rngs(0))  # noqa: E731
    loss = lambda model, batch, key: (jnp.square(model(batch)).mean(), {})  # noqa: E731

    def last(**how):
        kernel = Kernel(loss, lambda data, key: data, adam(0.01), **how)
        return kernel.fit(model(), jnp.asarray(A), 12, jax.random.key(0)).curve[-1][1]

    assert last(bfloat16=True) == pytest.approx(last(), rel=0.02)
    assert last(bfloat16=True) != last() == last(bfloat16=False)


def run(*overrides):
    wanted = Configuration("atari", "smoke", tuple(parse_overrides(overrides)))
    return plan.runs(wanted, ["scn"], ["tiny"], seeds=1)[0]


def test_a_run_of_another_precision_is_another_run_and_its_record_says_so(tmp_path):
    low, high, plain = run("training.precision=bfloat16"), run("training.precision=float32"), run()
    assert low.digest != plain.digest == high.digest
    (record,) = Runner(tmp_path, tmp_path, PlainProgress({}).lane()).execute([Item(low, "new")])
    assert record.status == "ok" and variants.variant(record) == "precision=bfloat16"
