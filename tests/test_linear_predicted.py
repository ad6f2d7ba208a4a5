"""Where a line finds objects from slots that were predicted: against scikit-learn, and where the answer is known."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from benchmark.errors import UserError
from benchmark.types import Coordinate, DatasetSpec, Frozen, Labels
from probes.foreseen import context, foreseen
from probes.linear import RIDGE
from probes.linear_predicted import METRICS, LinearPredicted
from probes.regression import Samples, fit

TIME, STEPS = 9, 5
SPEC = DatasetSpec(
    "toy", (8, 8, 3), (0.0, 1.0), 1, ("ball",), "pixelwise", TIME, TIME, coordinates=(Coordinate("ball_x", 0, "x"),)
)


def straight(clips: int, seed: int, context: int = 2) -> Frozen:
    """A ball that moves in a straight line; the slot is its place and noise, and the prediction is perfect.

    What stands where nothing can be predicted, or lies beyond the end, is NaN.
    """
    random = np.random.default_rng(seed)
    start, speed = random.normal(size=(2, clips, 1))
    places = start + speed * np.arange(TIME)
    noise = random.normal(size=(clips, TIME))
    predicted = np.full((clips, TIME, STEPS, 1, 2), np.nan)
    for t in range(context - 1, TIME):
        for j in range(min(STEPS, TIME - 1 - t)):
            predicted[:, t, j, 0] = np.stack([places[:, t + 1 + j], random.normal(size=clips)], axis=-1)
    return Frozen(
        np.stack([places, noise], axis=-1)[:, :, None].astype(np.float32),
        Labels(places[..., None].astype(np.float32)),
        np.ones((clips, TIME), bool),
        SPEC,
        predicted=predicted.astype(np.float32),
        context=context,
    )


SPLITS = tuple(straight(clips, seed) for seed, clips in enumerate((60, 20, 30)))


def values(*splits: Frozen) -> dict[tuple[str, str], float | None]:
    result = LinearPredicted()(*splits, jax.random.key(0))
    return {(metric.metric, metric.target): metric.value for metric in result.metrics}


def test_perfect_predictions_have_an_r2_of_one_at_every_step_and_two_frames_tell_a_straight_line():
    found = values(*SPLITS)
    assert set(found) == {(metric, f"p{ahead}") for metric in METRICS for ahead in range(1, STEPS + 1)}
    for ahead in range(1, STEPS + 1):
        for metric in ("r2", "r2_ridge", "r2_ridge_context"):
            assert found[metric, f"p{ahead}"] == pytest.approx(1, abs=1e-4)
    last = [found["r2_ridge_last", f"p{ahead}"] for ahead in range(1, STEPS + 1)]
    assert last == sorted(last, reverse=True) and last[0] < 0.999 and last[-1] < 0.95


@pytest.mark.parametrize("ahead", [1, 4])
def test_each_number_is_that_of_scikit_learn(ahead):
    """Features gathered frame by frame, as the definition of `predicted` reads, from predictions that are off."""

    def off(split: Frozen, seed: int) -> Frozen:
        noise = np.random.default_rng(seed).normal(size=split.predicted.shape).astype(np.float32)
        return replace(split, predicted=split.predicted + noise)

    splits = [off(split, seed) for seed, split in enumerate(SPLITS)]

    def rows(split: Frozen, form: str) -> tuple[np.ndarray, np.ndarray]:
        features, targets = [], []
        for i in range(len(split.slots)):
            for now in range(1, TIME - ahead):  # two frames must have been seen
                past = {"r2": split.predicted[i, now, ahead - 1], "last": split.slots[i, now]}
                past["context"] = split.slots[i, now - 1 : now + 1]
                features.append(past[form].ravel())
                targets.append(split.labels.coordinates[i, now + ahead])
        return np.array(features), np.array(targets)

    found = values(*splits)
    for form, metric in (("r2", "r2"), ("last", "r2_ridge_last"), ("context", "r2_ridge_context")):
        expected = LinearRegression().fit(*rows(splits[0], form)).score(*rows(splits[2], form))
        assert found[metric, f"p{ahead}"] == pytest.approx(expected, abs=5e-3 if "ridge" in metric else 1e-5)


@pytest.mark.parametrize(("form", "clips"), [("predicted", 4), ("last", 4), ("context", 8)])
def test_ridge_has_the_strength_that_val_chooses(form, clips):
    """Where features are many and frames few, so that ridge and least squares, train and val differ."""
    ahead, splits = 2, []
    for seed, count in enumerate((clips, 20, 30)):
        split, random = straight(count, seed), np.random.default_rng(seed)
        wide = {}
        for name in ("slots", "predicted"):
            array = getattr(split, name)
            noise = random.normal(size=(*array.shape[:-1], 20))
            wide[name] = np.concatenate([array + random.normal(size=array.shape), noise], axis=-1).astype(np.float32)
        splits.append(replace(split, **wide))

    def frames(split: Frozen) -> Samples:
        features, targets = [], []
        for i, now in np.ndindex(len(split.slots), TIME - ahead):
            if now >= 1:  # two frames must have been seen
                past = {"predicted": split.predicted[i, now, ahead - 1], "last": split.slots[i, now]}
                past["context"] = split.slots[i, now - 1 : now + 1]
                features.append(past[form].ravel())
                targets.append(split.labels.coordinates[i, now + ahead])
        return Samples(np.array(features, float), np.array(targets, float))

    train, val, test = map(frames, splits)
    expected = fit(train, val, RIDGE)
    found = values(*splits)["r2_ridge" if form == "predicted" else f"r2_ridge_{form}", f"p{ahead}"]
    assert found == pytest.approx(expected.ridge.r2(test)[0], abs=1e-6)
    assert abs(expected.ridge.r2(test)[0] - expected.ordinary.r2(test)[0]) > 0.01
    assert fit(train, train, RIDGE).strengths != expected.strengths


def test_predictions_alone_are_asked_for_r2_and_encoded_slots_alone_for_the_past():
    noise = [np.random.default_rng(0).normal(size=split.slots.shape).astype(np.float32) for split in SPLITS]
    found = values(*SPLITS)
    blind = values(*(replace(split, slots=other) for split, other in zip(SPLITS, noise, strict=True)))
    worse = values(*(replace(split, predicted=0 * np.nan_to_num(split.predicted)) for split in SPLITS))
    for (metric, target), value in found.items():
        assert (blind[metric, target] == value) == (metric in ("r2", "r2_ridge"))
        assert (worse[metric, target] == value) == (metric not in ("r2", "r2_ridge"))


def test_frames_that_do_not_count_are_not_asked_about():
    """Wrong labels at frames that are not valid change nothing; where they count they do."""
    valid = np.ones((30, TIME), bool)
    valid[:, 4] = False
    wrong = np.array(SPLITS[2].labels.coordinates)
    wrong[:, 4] += 100
    right = replace(SPLITS[2], valid=valid)
    mislabelled = replace(SPLITS[2], labels=Labels(wrong))
    assert values(*SPLITS[:2], right) == values(*SPLITS[:2], replace(mislabelled, valid=valid))
    assert values(*SPLITS[:2], mislabelled)["r2", "p1"] < 0.5


def test_without_predictions_everything_is_undefined():
    none = [replace(split, predicted=None, context=0) for split in SPLITS]
    assert set(values(*none).values()) == {None}


def test_steps_that_no_clip_has_room_for_are_undefined():
    """With a context of 6, nine frames have room for three steps ahead."""
    found = values(*(straight(clips, seed, context=6) for seed, clips in enumerate((60, 20, 30))))
    assert [found["r2", f"p{ahead}"] is None for ahead in range(1, STEPS + 1)] == [False, False, False, True, True]


def test_which_frames_are_foreseen():
    split = replace(SPLITS[2], valid=np.arange(TIME)[None] < np.full((30, 1), 6))
    assert foreseen(split, 1)[0].tolist() == [False, False, True, True, True, True, False, False, False]
    assert foreseen(split, 3)[0].tolist() == [False, False, False, False, True, True, False, False, False]


def test_predictions_that_are_not_finite_are_named():
    broken = np.nan_to_num(SPLITS[0].predicted)
    broken[0, 3, 0] = np.nan
    with pytest.raises(ValueError, match="slots of the train split hold NaN"):
        values(replace(SPLITS[0], predicted=broken), *SPLITS[1:])


def test_the_strengths_of_ridge_can_be_set():
    result = LinearPredicted(ridge=(1e9,))(*SPLITS, jax.random.key(0))
    found = {(metric.metric, metric.target): metric.value for metric in result.metrics}
    assert found["r2", "p1"] > 0.99 and found["r2_ridge", "p1"] < 0.01
    with pytest.raises(UserError, match=r"ridge=.* must hold finite numbers above 0"):
        LinearPredicted(ridge=())


def test_a_data_set_without_coordinates_is_not_supported():
    assert LinearPredicted().supports(SPEC) is None
    assert LinearPredicted().supports(replace(SPEC, coordinates=())) == "it has no coordinates"


@pytest.mark.parametrize("seen", [1, 2, 3])
def test_a_prediction_is_made_from_as_many_frames_as_the_method_needs(seen):
    split = straight(4, 0, context=seen)
    expected = [split.slots[:, 7 - 2 - earlier] for earlier in range(seen)]
    np.testing.assert_array_equal(context(split, 2)[:, 7], np.concatenate(expected, axis=1))
