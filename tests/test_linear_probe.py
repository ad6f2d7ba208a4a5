"""The linear probe against known answers, slow formulas and scikit-learn."""

import math
from dataclasses import replace

import jax
import numpy as np
import pytest
from sklearn.metrics import r2_score

from benchmark.errors import UserError
from benchmark.types import Batch, Coordinate, DatasetSpec, Frozen, Labels, ProbeResult
from probes.importance import compactness, importance, modularity, random_floor
from probes.linear import Linear
from probes.regression import LinearModel, Reduction, Samples, constant_columns, fit

CLIP = 5


def spec_of(objects: list[str], num_slots: int) -> DatasetSpec:
    coordinates = tuple(Coordinate(f"{name}_{axis}", i, axis) for i, name in enumerate(objects) for axis in "xy")
    return DatasetSpec(
        "toy", (8, 8, 3), (0.0, 1.0), num_slots, tuple(objects), "pixelwise", CLIP, CLIP, coordinates=coordinates
    )


def frozen(slots: np.ndarray, coordinates: np.ndarray, objects: list[str], valid: np.ndarray | None = None) -> Frozen:
    """Slots [n k d] and coordinates [n p] cut into clips of five."""
    clips = len(slots) // CLIP
    return Frozen(
        slots.reshape(clips, CLIP, *slots.shape[1:]).astype(np.float32),
        Labels(coordinates.reshape(clips, CLIP, -1).astype(np.float32)),
        np.ones((clips, CLIP), bool) if valid is None else valid,
        spec_of(objects, slots.shape[1]),
    )


def one_slot_an_object(n: int, seed: int, noise: float = 0.0, num_slots: int = 2) -> Frozen:
    """Object j stands where the two elements of slot j say; further slots are noise."""
    random = np.random.default_rng(seed)
    slots = random.normal(size=(n, num_slots, 2))
    coordinates = 30 * slots[:, :2].reshape(n, 4) + 1000 + noise * random.normal(size=(n, 4))
    return frozen(slots, coordinates, ["ball", "player"])


def measure(train: Frozen, val: Frozen, test: Frozen, **fields: object) -> ProbeResult:
    return Linear(**fields)(train, val, test, jax.random.key(0))


def values(result: ProbeResult) -> dict[tuple[str, str], float | None]:
    return {(metric.metric, metric.target): metric.value for metric in result.metrics}


def toy(noise: float = 0.0, num_slots: int = 2) -> tuple[Frozen, Frozen, Frozen]:
    return tuple(one_slot_an_object(n, seed, noise, num_slots) for seed, n in enumerate((200, 50, 60)))


def with_slots(split: Frozen, change) -> Frozen:
    slots = split.slots.copy()
    change(slots)
    return replace(split, slots=slots)


def test_one_slot_an_object_is_perfect_in_every_measure():
    found = values(measure(*toy()))
    for target in ("ball_x", "player_y", "object:ball", "all"):
        assert found["r2", target] == pytest.approx(1, abs=1e-9)
        assert found["r2_ridge", target] == pytest.approx(1, abs=1e-5)
    for metric in ("compactness", "modularity", "compactness_std", "modularity_std"):
        assert found[metric, "all"] == pytest.approx(1, abs=1e-3)


def test_equal_weights_have_no_structure():
    R = importance(np.ones((4, 6)), [0, 0, 1, 1], num_slots=3)
    np.testing.assert_allclose(R, np.full((2, 3), 1 / 3))
    assert compactness(R) == pytest.approx(0)
    assert modularity(R) == pytest.approx(0)


def test_two_objects_and_two_slots_by_hand():
    # Rows: |1|+|-2| and |3|+|0| -> 1/2, 1/2; 0+4 and 0+0 -> 1, 0; object 0 is the mean of these: 3/4, 1/4.
    coefficients = np.array([[1.0, -2, 3, 0], [0, 4, 0, 0], [0, 0, 0, 5]])
    R = importance(coefficients, [0, 0, 1], num_slots=2)
    np.testing.assert_allclose(R, [[0.75, 0.25], [0, 1]])
    quarter = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25)) / math.log(2)
    fifth = -(0.2 * math.log(0.2) + 0.8 * math.log(0.8)) / math.log(2)
    assert compactness(R) == pytest.approx(((1 - quarter) + 1) / 2)
    assert modularity(R) == pytest.approx((1 + (1 - fifth)) / 2)


def test_compactness_and_modularity_follow_the_formula():
    coefficients = np.random.default_rng(0).normal(size=(5, 12))
    objects, num_slots = [0, 0, 1, 2, 2], 4
    rows: dict[int, list[list[float]]] = {0: [], 1: [], 2: []}
    for row, owner in zip(coefficients, objects, strict=True):
        sums = [sum(abs(row[3 * k + j]) for j in range(3)) for k in range(num_slots)]
        rows[owner].append([value / sum(sums) for value in sums])
    R = [[sum(row[k] for row in rows[o]) / len(rows[o]) for k in range(num_slots)] for o in range(3)]
    compact = sum(1 + sum(p * math.log(p) for p in row) / math.log(num_slots) for row in R) / 3
    modular = 0.0
    for k in range(num_slots):
        shares = [R[o][k] / sum(R[q][k] for q in range(3)) for o in range(3)]
        modular += (1 + sum(p * math.log(p) for p in shares) / math.log(3)) / num_slots
    found = importance(coefficients, objects, num_slots)
    np.testing.assert_allclose(found, R)
    assert compactness(found) == pytest.approx(compact)
    assert modularity(found) == pytest.approx(modular)


def test_a_slot_that_no_object_uses_does_not_count_in_modularity():
    assert modularity(np.array([[1.0, 0, 0], [0, 1, 0]])) == 1


@pytest.mark.parametrize(("num_slots", "compact"), [(2, 0.0032), (18, 0.0015)])
def test_random_weights_give_the_known_floor(num_slots, compact):
    objects = [i // 2 for i in range(2 * num_slots)]
    floor = random_floor(objects, num_slots, 32, draws=400, seed=0)
    assert floor[0] == pytest.approx(compact, rel=0.1)
    assert 0.0013 < floor[1] < 0.0034


def problem(n: int = 120, features: int = 7) -> tuple[Samples, Samples]:
    random = np.random.default_rng(3)
    weights = random.normal(size=(features, 3))
    made = []
    for size in (n, n // 3):
        x = random.normal(size=(size, features)) * np.geomspace(0.01, 100, features) + 5
        made.append(Samples(x, x @ weights + random.normal(size=(size, 3)) * 20 - 400))
    return made[0], made[1]


def test_ordinary_least_squares_is_that_of_scikit_learn():
    from sklearn.linear_model import LinearRegression

    train, val = problem()
    line = fit(train, val, (1.0,)).ordinary
    reference = LinearRegression().fit(*train)
    np.testing.assert_allclose(line.coefficients.T, reference.coef_, rtol=1e-8)
    expected = [1 - np.sum(e**2) / np.sum((y - y.mean()) ** 2) for e, y in _errors(reference.predict, val)]
    np.testing.assert_allclose(line.r2(val), expected, rtol=1e-8)


def test_ridge_is_that_of_scikit_learn_on_standardised_features():
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import StandardScaler

    train, val = problem()
    strengths = (1e-4, 1e-2, 1.0)
    found = fit(train, val, strengths)
    scaler = StandardScaler().fit(train.features)
    z, n = scaler.transform(train.features), len(train.features)
    models = {s: Ridge(alpha=s * n).fit(z, train.coordinates) for s in strengths}
    for p in range(3):
        errors = {
            s: sum((m.predict(scaler.transform(val.features)) - val.coordinates)[:, p] ** 2) for s, m in models.items()
        }
        best = min(errors, key=lambda s: errors[s])
        assert found.strengths[p] == best
        np.testing.assert_allclose(found.ridge.coefficients[:, p], models[best].coef_[p], rtol=1e-8)


def _errors(predict, frames: Samples):
    return [(y - hat, y) for y, hat in zip(frames.coordinates.T, predict(frames.features).T, strict=True)]


def test_fewer_frames_than_features_gives_the_smallest_solution():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(10, 25)), random.normal(size=(10, 2))
    coefficients, singular = Reduction.of(x, y).solve(np.ones(25), (0.0,))
    np.testing.assert_allclose(coefficients[0], np.linalg.pinv(x) @ y, atol=1e-10)
    assert len(singular) == 10


def test_features_that_differ_by_rounding_only_count_as_one():
    """x and float32(x + 1) - 1 differ by 3e-8: a line through that difference would have weights of millions."""
    random = np.random.default_rng(0)

    def frames(n: int) -> Samples:
        x = random.normal(size=(n, 1)).astype(np.float32)
        features = np.concatenate([x, x + np.float32(1)], axis=1).astype(np.float64)
        return Samples(features, 3 * x.astype(np.float64) + random.normal(size=(n, 1)))

    train, val, test = frames(40), frames(20), frames(200)
    found = fit(train, val, (1e-3,))
    assert len(found.singular) == 1
    assert np.abs(found.ordinary.coefficients).max() < 3
    alone = fit(
        Samples(train.features[:, :1], train.coordinates), Samples(val.features[:, :1], val.coordinates), (1e-3,)
    )
    expected = alone.ordinary.r2(Samples(test.features[:, :1], test.coordinates))
    assert found.ordinary.r2(test) == pytest.approx(expected, abs=1e-6)


def test_a_feature_that_hardly_varies_takes_nothing_from_ridge_on_the_others():
    """Divided by its deviation, its rounding is as large as the other features: it must not count as theirs."""
    random = np.random.default_rng(0)

    def frames(n: int) -> Samples:
        good, noise = random.normal(size=(n, 64)), random.normal(size=(n, 1))
        still = (1 + 1.5e-7 * noise).astype(np.float32).astype(np.float64)
        return Samples(np.concatenate([good, still], axis=1), good @ np.ones((64, 1)))

    found = fit(frames(400), frames(100), (1e-6, 1e-3, 1.0))
    assert not found.constant.any()
    assert found.ridge.r2(frames(200)) == pytest.approx(1, abs=1e-3)


def test_duplicated_slots_share_their_weight_and_lower_the_rank():
    train, val, test = toy(noise=1.0, num_slots=3)
    double = [with_slots(split, lambda s: np.copyto(s[:, :, 2], s[:, :, 0])) for split in (train, val, test)]
    result = measure(*double)
    assert result.notes["rank"] == 4
    assert values(result)["r2", "all"] > 0.99
    np.testing.assert_allclose(result.arrays["importance"][0], [0.5, 0, 0.5], atol=0.01)


def test_a_dead_slot_gets_no_weight():
    dead = [with_slots(split, lambda s: s[:, :, 2].fill(0.1)) for split in toy(num_slots=3)]
    result = measure(*dead)
    assert result.notes["constant_features"] == 2
    assert values(result)["modularity", "all"] == pytest.approx(1, abs=1e-5)
    np.testing.assert_array_equal(result.arrays["importance"][:, 2], 0)


def test_a_collapsed_encoder_predicts_the_mean_and_has_no_structure():
    collapsed = [with_slots(split, lambda s: s.fill(0.3)) for split in toy()]
    result = measure(*collapsed)
    found = values(result)
    assert -0.2 < found["r2", "all"] <= 0
    assert found["r2", "all"] == found["r2_ridge", "all"]
    assert found["compactness", "all"] is None
    assert found["modularity_std", "all"] is None
    assert found["modularity_floor", "all"] > 0
    assert result.notes["rank"] == 0


def test_standardised_weights_do_not_see_the_scale_of_a_slot():
    train, val, test = toy(noise=1.0)
    scaled = [
        with_slots(split, lambda s: np.multiply(s[:, :, 0], 1e-3, out=s[:, :, 0])) for split in (train, val, test)
    ]
    before, after = values(measure(train, val, test)), values(measure(*scaled))
    assert after["compactness_std", "all"] == pytest.approx(before["compactness_std", "all"], rel=1e-4)
    assert after["compactness", "all"] != pytest.approx(before["compactness", "all"], rel=0.1)


def test_a_coordinate_constant_on_test_is_undefined_and_left_out_of_means():
    train, val, test = toy(noise=30.0)
    coordinates = test.labels.coordinates.copy()
    coordinates[..., 1] = 7
    result = measure(train, val, replace(test, labels=Labels(coordinates)))
    found = values(result)
    assert found["r2", "ball_y"] is None
    assert found["r2", "object:ball"] == found["r2", "ball_x"]
    others = [found["r2", name] for name in ("ball_x", "player_x", "player_y")]
    assert found["r2", "all"] == pytest.approx(np.mean(others))
    assert (result.notes["defined_coordinates"], result.notes["coordinates"]) == (3, 4)


def test_an_object_that_never_moves_in_training_does_not_count():
    def still(split: Frozen) -> Frozen:
        coordinates = split.labels.coordinates.copy()
        coordinates[..., 2:] = 3
        return replace(split, labels=Labels(coordinates))

    train, val, test = toy()
    result = measure(still(train), still(val), test)
    found = values(result)
    assert result.arrays["importance"].shape == (1, 2)
    assert result.notes["objects"] == ["ball"]
    assert found["modularity", "all"] is None
    assert found["modularity_floor", "all"] is None
    assert found["compactness", "all"] == pytest.approx(1, abs=1e-5)
    assert found["r2", "player_x"] < 0


def test_one_slot_leaves_compactness_undefined():
    one = [frozen(s.slots.reshape(-1, 1, 4), s.labels.coordinates.reshape(-1, 4), ["ball", "player"]) for s in toy()]
    found = values(measure(*one))
    assert found["compactness", "all"] is None
    assert found["compactness_floor", "all"] is None
    assert found["modularity", "all"] == pytest.approx(0, abs=1e-12)
    assert found["r2", "all"] == pytest.approx(1)


def test_entries_that_are_not_valid_never_count():
    splits = toy(noise=5.0)
    before = measure(*splits)
    spoiled = []
    for split in splits:
        junk = np.full((1, *split.slots.shape[1:]), np.nan, np.float32)
        labels = np.full((1, *split.labels.coordinates.shape[1:]), 1e9, np.float32)
        spoiled.append(
            replace(
                split,
                slots=np.concatenate([split.slots, junk]),
                labels=Labels(np.concatenate([split.labels.coordinates, labels])),
                valid=np.concatenate([split.valid, np.zeros((1, CLIP), bool)]),
            )
        )
    assert measure(*spoiled).metrics == before.metrics


def test_nothing_of_test_reaches_the_fit():
    train, val, test = toy(noise=5.0)
    before = measure(train, val, test)
    after = measure(train, val, replace(test, slots=-test.slots, labels=Labels(test.labels.coordinates * 2)))
    for name, value in before.arrays.items():
        np.testing.assert_array_equal(after.arrays[name], value)
    assert after.notes["ridge"] == before.notes["ridge"]
    assert values(after)["r2", "all"] != values(before)["r2", "all"]


def test_val_chooses_strengths_and_nothing_else():
    train, val, test = toy(noise=5.0)
    shuffled = replace(val, labels=Labels(np.random.default_rng(0).permuted(val.labels.coordinates, axis=0)))
    before, after = measure(train, val, test), measure(train, shuffled, test)
    assert values(after)["r2", "all"] == values(before)["r2", "all"]
    np.testing.assert_array_equal(after.arrays["importance"], before.arrays["importance"])
    assert min(after.notes["ridge"].values()) > max(before.notes["ridge"].values())


def test_an_outlier_on_test_makes_r2_negative():
    train, val, test = toy(noise=1.0)
    wild = with_slots(test, lambda s: s[0, 0].fill(1e4))
    assert values(measure(train, val, wild))["r2", "all"] < -1


def test_a_split_without_valid_entries_leaves_everything_undefined():
    train, val, test = toy()
    result = measure(train, val, replace(test, valid=np.zeros_like(test.valid)))
    assert {metric.value for metric in result.metrics} == {None}
    assert [m.target for m in result.metrics] == [m.target for m in measure(train, val, test).metrics]
    assert result.notes["n_test"] == 0


def test_slots_that_are_not_finite_are_named():
    train, val, test = toy()
    with pytest.raises(ValueError, match="slots of the val split"):
        measure(train, with_slots(val, lambda s: s[0, 0].fill(np.inf)), test)


@pytest.mark.parametrize("grid", [(), (0.0, 1.0), (-1.0,), (math.inf,)])
def test_an_impossible_grid_is_a_user_error(grid):
    with pytest.raises(UserError, match=r"ridge=.* must hold finite numbers above 0"):
        Linear(ridge=grid)


def test_another_seed_of_the_floor_draws_other_weights():
    one, again, other = (random_floor([0, 0, 1], 3, 4, draws=5, seed=seed) for seed in (0, 0, 1))
    assert one == again != other


def test_the_floor_is_the_mean_of_as_many_draws_as_were_asked_for():
    one, many = (values(measure(*toy(), floor_draws=draws))["compactness_floor", "all"] for draws in (1, 50))
    assert many == random_floor([0, 0, 1, 1], 2, 2, draws=50, seed=0)[0] != one


def test_a_floor_needs_a_draw():
    with pytest.raises(UserError, match="floor_draws"):
        Linear(floor_draws=0)


def test_a_data_set_without_coordinates_is_not_supported():
    without = replace(spec_of(["ball"], 2), coordinates=())
    assert Linear().supports(without)
    assert Linear().supports(spec_of(["ball"], 2)) is None


def test_labels_far_from_zero_do_not_cost_accuracy():
    def far(split: Frozen) -> Frozen:
        return replace(split, labels=Labels(split.labels.coordinates + np.float32(2**20)))

    near, moved = values(measure(*toy(5.0))), values(measure(*map(far, toy(5.0))))
    assert moved["r2", "all"] == pytest.approx(near["r2", "all"], abs=1e-4)


def test_constant_means_constant_to_float32():
    column = np.float64(np.float32([0.1, 0.1, np.nextafter(np.float32(0.1), np.float32(1))]))
    assert constant_columns(np.stack([column, [1, 2, 3], [0, 0, 0]], axis=1)).tolist() == [True, False, True]


def test_r2_of_the_mean_is_zero():
    frames = Samples(np.zeros((4, 1)), np.array([[1.0], [2], [3], [6]]))
    line = LinearModel(np.zeros(1), np.ones(1), np.array([3.0]), np.zeros((1, 1)))
    assert line.r2(frames) == pytest.approx(0)


def test_an_objects_r2_is_the_mean_over_its_own_coordinates():
    found = values(measure(*toy(noise=30.0)))
    for metric in ("r2", "r2_ridge"):
        for name in ("ball", "player"):
            own = [found[metric, f"{name}_{axis}"] for axis in "xy"]
            assert found[metric, f"object:{name}"] == pytest.approx(np.mean(own))


def test_the_condition_number_is_that_of_the_centred_slots():
    def faint(slots: np.ndarray) -> None:
        slots[:, :, 0] *= 1e-3

    train, val, test = (with_slots(split, faint) for split in toy())
    features = train.slots.reshape(200, 4)
    singular = np.linalg.svd(features - features.mean(0), compute_uv=False)
    assert measure(train, val, test).notes["condition_number"] == pytest.approx(singular[0] / singular[-1], rel=1e-3)


@pytest.mark.parametrize("offset", [1e4, 1e2, 0.0])
def test_least_squares_reads_all_that_varies_above_the_rounding(offset):
    """Many features that vary by a ten-thousandth of their size, or beside a large one, as of slots that are all alike:
    what is in any direction of them is found as by NumPy on the same numbers unrounded.
    """
    rng = np.random.default_rng(0)
    hidden = rng.standard_normal((4_000, 100)) * np.geomspace(1e-3, 1e-6, 100)
    mixed = 3 + hidden @ np.linalg.qr(rng.standard_normal((100, 100)))[0]
    exact = np.concatenate([offset + rng.standard_normal((4_000, 1)), mixed], axis=1)
    targets = hidden / hidden.std(axis=0) + 0.1 * rng.standard_normal((4_000, 100))
    rounded = exact.astype(np.float32).astype(np.float64)
    train, test = (Samples(*parts) for parts in zip(np.split(rounded, 2), np.split(targets, 2), strict=True))
    with_ones = np.column_stack([exact, np.ones(len(exact))])
    plain = with_ones[2_000:] @ np.linalg.lstsq(with_ones[:2_000], train.coordinates, rcond=None)[0]
    expected = r2_score(test.coordinates, plain, multioutput="raw_values")
    assert (expected > 0.9).all()
    assert fit(train, test, (1.0,)).ordinary.r2(test) == pytest.approx(expected, abs=0.02)


def test_a_large_constant_feature_hides_no_faint_one():
    random = np.random.default_rng(0)

    def frames(n: int) -> Samples:
        x = random.normal(size=(n, 2)) * [1, 1e-3]
        return Samples(np.concatenate([x, np.full((n, 1), 1e6)], axis=1), x @ [[1.0], [1e3]])

    found = fit(frames(200), frames(50), (1e-6,))
    assert len(found.singular) == 2
    assert found.ordinary.r2(frames(100)) == pytest.approx(1, abs=1e-6)


def test_rows_of_importance_are_in_the_order_of_the_objects():
    rows = importance(np.array([[0.0, 1], [1, 0]]), [1, 0], num_slots=2)
    np.testing.assert_array_equal(rows, [[1, 0], [0, 1]])


def test_a_frame_is_left_with_the_places_of_its_objects_in_pixels():
    train, val, test = toy()
    frames = np.random.default_rng(0).uniform(size=(*test.valid.shape, 8, 9, 3)).astype(np.float32)
    scales = {"ball_x": (2.0, 1.0), "ball_y": (-1.0, 5.0), "player_x": (1.0, 0.5), "player_y": None}
    coordinates = tuple(replace(c, pixel=scales[c.name]) for c in test.spec.coordinates)
    spec = replace(test.spec, coordinates=coordinates, frame_shape=(8, 9, 3))
    valid = test.valid.copy()
    valid[:4] = False
    shown = replace(test, spec=spec, valid=valid, data=frames, read=lambda data, clips: Batch(data[clips]))
    arrays = measure(train, val, shown).arrays
    clips, times = np.nonzero(valid)
    at = clips[len(clips) // 2], times[len(times) // 2]
    np.testing.assert_array_equal(arrays["frame"], np.rint(255 * frames[at]))
    x, y, other, _ = test.labels.coordinates[at]
    np.testing.assert_allclose(arrays["true"], [[2 * x + 1, 5 - y], [other + 0.5, np.nan]], rtol=1e-6)
    np.testing.assert_allclose(arrays["predicted"], arrays["true"], rtol=1e-4)  # the slots hold the places


def test_no_frame_is_left_where_no_coordinate_has_a_pixel():
    assert not {"frame", "true", "predicted"} & measure(*toy()).arrays.keys()


def test_the_frame_shown_has_its_own_range_and_the_places_of_the_ridge_line():
    train, val, test = toy()
    frames = np.random.default_rng(0).uniform(-1, 1, (*test.valid.shape, 8, 8, 3)).astype(np.float32)
    coordinates = tuple(replace(c, pixel=(1.0, 0.0)) for c in test.spec.coordinates)
    spec = replace(test.spec, coordinates=coordinates, frame_range=(-1.0, 1.0))
    shown = replace(test, spec=spec, data=frames, read=lambda data, clips: Batch(data[clips]))
    arrays = measure(train, val, shown, ridge=(1e9,)).arrays
    middle = frames.reshape(-1, 8, 8, 3)[30]  # of 60
    np.testing.assert_array_equal(arrays["frame"], np.rint(255 * (middle + 1) / 2))
    mean = train.labels.coordinates.mean((0, 1)).reshape(2, 2)  # all that so strong a ridge leaves
    np.testing.assert_allclose(arrays["predicted"], mean, rtol=1e-5)


def test_directions_below_the_rounding_of_many_features_do_not_count():
    features = np.zeros((2, 100))
    features[[0, 1], [0, 1]] = 1, 50 * np.finfo(float).eps  # below 100 features' worth, above 2 rows'
    _, singular = Reduction(features, np.ones((2, 1)), num_rows=2).solve(np.ones(100), (0.0,))
    assert singular.tolist() == [1]


def test_the_strengths_in_the_notes_are_those_of_their_own_coordinates():
    train, val, test = toy(noise=5.0)
    coordinates = val.labels.coordinates.copy()
    coordinates[..., 2:] = np.random.default_rng(0).permuted(coordinates[..., 2:], axis=0)  # nothing tells the player
    found = measure(train, replace(val, labels=Labels(coordinates)), test).notes["ridge"]
    assert max(found["ball_x"], found["ball_y"]) < min(found["player_x"], found["player_y"])


def test_a_floor_is_not_better_for_being_higher():
    better = {metric.metric: metric.higher_is_better for metric in measure(*toy()).metrics}
    assert {name for name, up in better.items() if up is not True} == {"compactness_floor", "modularity_floor"}


def test_a_constant_feature_has_no_weight_at_all():
    random = np.random.default_rng(0)
    features = random.normal(size=(14, 15)) * np.geomspace(1e-3, 1e3, 15) + 5
    features[:, ::3] = 1
    train = Samples(features, random.normal(size=(14, 2)))
    found = fit(train, train, (1e-3,))
    assert not found.ordinary.coefficients[::3].any() and not found.ridge.coefficients[::3].any()
