"""Hits@1 and MRR against a slow double loop, and cases with known answers."""

from dataclasses import replace

import jax
import numpy as np
import pytest
import tiny

from benchmark.registry import probes
from benchmark.types import Frozen, Labels
from probes import ranking
from probes.ranking import ranks

SPEC = replace(tiny.Tiny().spec(), clip_length=12)
NAMES = [(metric, f"p{step}") for step in (1, 5, 10) for metric in ("hits_at_1", "mrr")]


def frozen(slots: np.ndarray, predicted: np.ndarray | None, context: int = 1, **fields) -> Frozen:
    """A split whose states are all different unless `states` says which are alike."""
    clips, times = slots.shape[:2]
    states = fields.pop("states", np.arange(clips * times).reshape(clips, times, 1) * np.ones(4))
    valid = fields.pop("valid", np.ones((clips, times), bool))
    return Frozen(slots, Labels(states.astype(np.float32)), valid, SPEC, predicted=predicted, context=context)


def ask(test: Frozen, **fields) -> dict[tuple[str, str], float | None]:
    result = probes.create("ranking", **fields)(test, test, test, jax.random.key(0))
    return {(m.metric, m.target): m.value for m in result.metrics} | {"notes": result.notes}


def perfect(slots: np.ndarray) -> np.ndarray:
    """Predictions [i t j k d] that are the slots to come, and nonsense beyond the clip."""
    predicted = np.full((*slots.shape[:2], 10, *slots.shape[2:]), 99.0, np.float32)
    for step in range(1, 11):
        predicted[:, :-step, step - 1] = slots[:, step:]
    return predicted


@pytest.fixture
def slots():
    return np.random.default_rng(0).normal(size=(40, 12, 2, 3)).astype(np.float32)


def slow_ranks(truth: np.ndarray, predicted: np.ndarray) -> list[float]:
    found = []
    for i in range(len(truth)):
        own = sum((truth[i] - predicted[i]) ** 2)
        distances = [sum((truth[i] - predicted[j]) ** 2) for j in range(len(truth)) if j != i]
        found.append(1 + sum(d < own for d in distances) + sum(d == own for d in distances) / 2)
    return found


@pytest.mark.parametrize("pairs", [1, 100, 2**24])
def test_ranks_are_those_of_a_double_loop_however_many_are_held_at_once(monkeypatch, pairs):
    monkeypatch.setattr(ranking, "PAIRS_PER_CALL", pairs)
    rng = np.random.default_rng(1)
    truth, predicted = rng.integers(0, 3, (2, 30, 2)).astype(float)  # whole numbers, so that many are tied
    assert ranks(truth, predicted).tolist() == slow_ranks(truth, predicted)
    truth, predicted = rng.normal(size=(2, 30, 4))
    assert ranks(truth, predicted).tolist() == slow_ranks(truth, predicted)


def test_the_true_state_ranks_the_predictions_and_not_the_other_way_round():
    truth, predicted = np.array([[0.0], [10.0]]), np.array([[4.0], [3.0]])
    # From 0 the nearest prediction is 3, of scene 1; from 10 it is 4, of scene 0.
    assert ranks(truth, predicted).tolist() == [2, 2]
    assert ranks(predicted, truth).tolist() == [1, 2]


def test_perfect_predictions_score_one(slots):
    found = ask(frozen(slots, perfect(slots)))
    assert [found[name] for name in NAMES] == [1.0] * 6
    assert found["notes"] == {"n": {"p1": 40, "p5": 40, "p10": 40}}


def test_the_measures_are_the_share_of_first_ranks_and_the_mean_inverse_rank(slots):
    predicted = perfect(slots) + np.random.default_rng(2).normal(size=(40, 12, 10, 2, 3))
    found = ask(frozen(slots, predicted))
    for step in (1, 5, 10):
        slow = slow_ranks(slots[:, 1 + step].reshape(40, -1), predicted[:, 1, step - 1].reshape(40, -1))
        assert found["hits_at_1", f"p{step}"] == np.mean([rank == 1 for rank in slow])
        assert found["mrr", f"p{step}"] == pytest.approx(np.mean([1 / rank for rank in slow]))
        assert 0 < found["hits_at_1", f"p{step}"] < 1


def test_a_collapsed_encoder_scores_nothing_and_its_variance_says_why(slots):
    same = np.ones_like(slots)
    found = ask(frozen(same, perfect(same)))
    assert found["hits_at_1", "p1"] == 0 and found["mrr", "p1"] == pytest.approx(2 / 41)
    assert found["embedding_variance", "s"] == 0
    spread = ask(frozen(slots, perfect(slots)))["embedding_variance", "s"]
    assert spread == pytest.approx(slots.reshape(480, 6).var(0).mean(), rel=1e-5)


def test_of_scenes_in_the_same_state_the_first_counts(slots):
    slots[1] = slots[0]
    states = np.arange(40 * 12).reshape(40, 12, 1) * np.ones(4)
    states[1] = states[0]
    found = ask(frozen(slots, perfect(slots), states=states))
    assert found["hits_at_1", "p1"] == 1 and found["notes"]["n"]["p1"] == 39
    assert ask(frozen(slots, perfect(slots)))["hits_at_1", "p1"] == 38 / 40


def test_frames_that_do_not_count_are_neither_truth_nor_candidates(slots):
    valid = np.ones((40, 12), bool)
    valid[0, 1] = valid[1, 6] = valid[2, 3] = False
    predicted = perfect(slots)
    predicted[0, 1] = np.nan
    found = ask(frozen(slots, predicted, valid=valid))
    assert found["notes"]["n"] == {"p1": 39, "p5": 38, "p10": 39}
    assert [found[name] for name in NAMES] == [1.0] * 6


def test_a_prediction_that_is_not_a_number_is_the_last(slots):
    predicted = perfect(slots)
    predicted[0, 1] = np.nan
    found = ask(frozen(slots, predicted))
    assert found["hits_at_1", "p10"] == 39 / 40
    assert found["mrr", "p10"] == pytest.approx((39 + 1 / 40) / 40)


def test_all_methods_predict_the_same_frames_whatever_context_they_need(slots):
    predicted = perfect(slots)
    predicted[:, 0] = 0
    assert ask(frozen(slots, predicted, context=1)) == ask(frozen(slots, predicted, context=2))
    assert ask(frozen(slots, predicted, context=3))[NAMES[0]] is None


def test_a_method_that_does_not_predict_has_no_rank(slots):
    found = ask(frozen(slots, None, context=0))
    assert [found[name] for name in NAMES] == [None] * 6
    assert found["notes"] == {"n": {"p1": 40, "p5": 40, "p10": 40}}
    assert found["embedding_variance", "s"] == pytest.approx(slots.reshape(480, 6).var(0).mean(), rel=1e-5)


def test_beside_it_stands_what_is_reached_if_nothing_changes(slots):
    slots[:, 2] = slots[:, 1]
    slots[:, 6] = slots[::-1, 1]
    for predicted in (None, perfect(slots)):
        found = ask(frozen(slots, predicted))
        assert found["hits_at_1_still", "p1"] == found["mrr_still", "p1"] == 1
        assert found["hits_at_1_still", "p5"] == 0
        slow = slow_ranks(slots[:, 11].reshape(40, -1), slots[:, 1].reshape(40, -1))
        assert found["mrr_still", "p10"] == pytest.approx(np.mean([1 / rank for rank in slow]))


def test_no_more_clips_than_asked_are_ranked(slots):
    assert ask(frozen(slots, perfect(slots)), num_clips=7)["notes"]["n"]["p1"] == 7


def test_nothing_to_rank_is_undefined(slots):
    found = ask(frozen(slots, perfect(slots), valid=np.zeros((40, 12), bool)))
    assert [found[name] for name in NAMES] == [None] * 6 and found["embedding_variance", "s"] is None
    alike = ask(frozen(slots, perfect(slots), states=np.zeros((40, 12, 4))))
    assert [alike[name] for name in NAMES] == [None] * 6, "one state alone is told from nothing"


def test_clips_that_are_too_short_are_named():
    probe = probes.create("ranking")
    assert "clips of 10 frames" in probe.supports(replace(SPEC, clip_length=10))
    assert probe.supports(SPEC) is None
    assert "no coordinates" in probe.supports(replace(SPEC, coordinates=()))


def test_scenes_are_the_same_by_the_state_that_is_to_be_found_and_not_by_the_one_before(slots):
    states = np.arange(480.0).reshape(40, 12, 1) * np.ones(4)
    states[1, 2], states[3, 1] = states[0, 2], states[2, 1]
    assert ask(frozen(slots, perfect(slots), states=states))["notes"]["n"] == {"p1": 39, "p5": 40, "p10": 40}
