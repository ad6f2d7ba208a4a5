"""The probes that judge pixels and masks: decoders on slots whose frames are known, and yardsticks."""

from dataclasses import fields, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from benchmark.configure import Configuration
from benchmark.errors import UserError
from benchmark.training import Kernel, adam
from benchmark.types import Batch, DatasetSpec, Decoded, Frozen, Labels, ProbeResult
from probes.colour_kmeans import ColourKMeans, cluster
from probes.decoder import Decoder
from probes.decoder_figures import figure_frames
from probes.decoder_predicted import DecoderPredicted
from probes.decoder_rollout import DecoderRollout
from probes.decoder_whitened import DecoderWhitened, whitened, whitening
from probes.decoding import Rule, Scored, align, fit_decoder, score
from probes.masks import Masks
from probes.pixel_baselines import pixel_baselines

SIDE, PLACES, OBJECTS, SLOTS, TIME, CONTEXT = 6, 5, 2, 3, 4, 2
COLOURS = np.array([[-1, -1, -1], [1, -1, -1], [-1, 1, 1]], np.float32)
SPEC = DatasetSpec(
    name="squares",
    frame_shape=(SIDE, SIDE, 3),
    frame_range=(-1.0, 1.0),
    num_slots=SLOTS,
    objects=("red", "cyan"),
    backbone="pixelwise",
    clip_length=TIME,
    training_window=TIME,
    has_masks=True,
)
QUICK = Decoder(learning_rate=4e-3, frames_per_step=32, max_steps=120, round_steps=60)
SHORT = replace(QUICK, max_steps=4, round_steps=2, val_frames=32)  # shares its compiled step with QUICK
ROLLOUT = DecoderRollout(learning_rate=4e-3, frames_per_step=32, max_steps=2, val_frames=32)
KEY = jax.random.key(0)


def read(data, clips):
    return Batch(data[clips])


def squares(seed, clips):
    """Two squares of 2 x 2 pixels that jump about; each slot says where one is and its colour, the last: neither."""
    where = np.random.default_rng(seed).integers(0, PLACES, (clips, TIME, OBJECTS, 2))
    masks = np.zeros((clips, TIME, SIDE, SIDE), int)
    slots = np.zeros((clips, TIME, SLOTS, 2 * PLACES + SLOTS), np.float32)
    slots[:, :, range(SLOTS), 2 * PLACES + np.arange(SLOTS)] = 1
    for i, t, o in np.ndindex(clips, TIME, OBJECTS):
        row, column = where[i, t, o]
        masks[i, t, row : row + 2, column : column + 2] = o + 1
        slots[i, t, o, [row, PLACES + column]] = 1
    labels = Labels(where.reshape(clips, TIME, -1).astype(np.float32), masks)
    valid = np.ones((clips, TIME), bool)
    return Frozen(slots=slots, labels=labels, valid=valid, spec=SPEC, data=jnp.asarray(COLOURS[masks]), read=read)


def foreseen(frozen, steps=1):
    """The same with perfect predictions; noise wherever there is none to be made."""
    i, t, k, d = frozen.slots.shape
    predicted = np.random.default_rng(9).normal(size=(i, t, steps, k, d)).astype(np.float32)
    for now in range(CONTEXT - 1, t):
        for j in range(min(steps, t - 1 - now)):
            predicted[:, now, j] = frozen.slots[:, now + 1 + j]
    return replace(frozen, predicted=predicted, context=CONTEXT)


SPLITS = tuple(squares(seed, clips) for seed, clips in enumerate((96, 16, 16)))
FORESEEN = tuple(foreseen(split) for split in SPLITS)


def render(slots):
    """The decoder that knows how the frames were made."""
    rows, columns = slots[..., :PLACES], slots[..., PLACES : 2 * PLACES]
    down, right = (jnp.pad(x, ((0, 0), (0, 0), (0, 1))) + jnp.pad(x, ((0, 0), (0, 0), (1, 0))) for x in (rows, columns))
    there = down[..., :, None] * right[..., None, :]
    there = there.at[:, 0].multiply(1 - there[:, 1]).at[:, 2].set(1 - there[:, :2].max(1))
    paintings = jnp.broadcast_to(jnp.asarray(COLOURS)[[1, 2, 0], None, None], (*there.shape, 3))
    return Decoded((there[..., None] * paintings).sum(1), there)


def values(result):
    return {(metric.metric, metric.target): metric.value for metric in result.metrics}


@pytest.fixture(scope="module")
def learned():
    return QUICK(*FORESEEN, KEY)


def test_a_decoder_paints_frames_from_true_places_and_colours(learned):
    found, floor = values(learned), learned.notes["mean_image_mse"]
    assert found["mse", "s"] < 0.2 * floor and found["mse", "p1"] < 0.2 * floor
    assert found["fg_ari", "s"] > 0.8 and found["fg_ari", "p1"] > 0.8
    assert not any(metric.higher_is_better for metric in learned.metrics if metric.metric == "mse")


def test_baselines_are_those_of_the_mean_image_and_the_frame_before(learned):
    train, test = np.asarray(SPLITS[0].data, float), np.asarray(SPLITS[2].data, float)
    mean_image = ((test - train.mean((0, 1))) ** 2).mean()
    assert learned.notes["mean_image_mse"] == pytest.approx(mean_image, rel=1e-5)
    assert learned.notes["previous_frame_mse"] == pytest.approx(((test[:, 1:] - test[:, :-1]) ** 2).mean(), rel=1e-5)


def test_baselines_are_of_the_frames_that_count():
    train, test = SPLITS[0], SPLITS[2]
    learned, counted = train.valid.copy(), test.valid.copy()
    learned[::3], counted[:, 1] = False, False
    found = pixel_baselines(replace(train, valid=learned), replace(test, valid=counted))
    seen, shown = np.asarray(train.data, float), np.asarray(test.data, float)
    assert found["mean_image_mse"] == pytest.approx(np.square(shown[counted] - seen[learned].mean(0)).mean(), rel=1e-5)
    before = np.square(shown[:, 3] - shown[:, 2]).mean()  # of four frames the only two in a row that count
    assert found["previous_frame_mse"] == pytest.approx(before, rel=1e-5)


def test_predictions_are_set_beside_the_frames_that_they_foresee():
    frozen = foreseen(SPLITS[2], steps=2)
    entries = align(frozen, 2)
    assert {name: sorted(set(aligned.times.tolist())) for name, aligned in entries.items()} == {
        "s": [0, 1, 2, 3],
        "p1": [2, 3],
        "p2": [3],
    }
    for aligned in entries.values():
        assert len(aligned.clips) == 16 * len(set(aligned.times.tolist()))
        np.testing.assert_array_equal(
            aligned.slots[aligned.clips, aligned.times], frozen.slots[aligned.clips, aligned.times]
        )


def test_predictions_of_the_frame_after_are_as_bad_as_the_mean_image(learned):
    late = tuple(replace(split, predicted=np.roll(split.predicted, 1, axis=1)) for split in FORESEEN)
    found = values(QUICK(*late, KEY))
    assert found["mse", "p1"] > 0.5 * learned.notes["mean_image_mse"] > 5 * values(learned)["mse", "p1"]


def test_a_method_that_does_not_predict_is_decoded_from_its_slots_only():
    assert set(values(SHORT(*SPLITS, KEY))) == {("mse", "s"), ("fg_ari", "s")}


def test_a_rollout_has_a_target_for_each_step_and_none_where_the_clip_is_too_short():
    result = ROLLOUT(*(foreseen(split, 5) for split in SPLITS), KEY)
    found = values(result)
    targets = ["s", "p1", "p2", "p3", "p4", "p5"]
    assert [target for metric, target in found if metric == "mse"] == targets
    assert [found["mse", target] is None for target in targets] == [False] * 3 + [True] * 3
    assert set(result.arrays) == {"times", "clips", "frames", "s.frames", "p1.frames", "p2.frames"}


def test_nothing_of_the_test_split_reaches_the_decoder():
    train, val, test = FORESEEN
    black = replace(test, data=-jnp.ones_like(test.data), slots=np.zeros_like(test.slots))
    first, second = SHORT(train, val, test, KEY), SHORT(train, val, black, KEY)
    assert first.notes["curve"] == second.notes["curve"]
    assert values(first)["mse", "s"] != values(second)["mse", "s"]


def test_no_label_reaches_the_decoder():
    blind = [replace(split, labels=Labels(np.full_like(split.labels.coordinates, np.nan))) for split in FORESEEN]
    first, second = SHORT(*FORESEEN, KEY), SHORT(*blind, KEY)
    assert first.notes["curve"] == second.notes["curve"]
    assert values(second)["fg_ari", "s"] is None and values(first)["mse", "s"] == values(second)["mse", "s"]


def test_entries_that_do_not_count_are_never_used():
    def spoilt(split):
        valid = split.valid.copy()
        valid[::2, -1], valid[1] = False, False
        slots, predicted = np.where(valid[..., None, None], split.slots, np.nan), split.predicted.copy()
        predicted[:, :-1, 0][~valid[:, 1:]] = np.nan
        data = jnp.where(valid[..., None, None, None], split.data, jnp.nan)
        return replace(split, valid=valid, slots=slots, predicted=predicted, data=data)

    result = SHORT(*map(spoilt, FORESEEN), KEY)
    assert np.isfinite(result.notes["curve"]).all() and np.isfinite(list(values(result).values())).all()
    assert np.isfinite([result.notes["mean_image_mse"], result.notes["previous_frame_mse"]]).all()
    assert result.notes["frames"]["s"]["mse"] == 16 * TIME - 8 - TIME
    assert not {0, 1} & set(result.arrays["clips"])


def test_a_split_without_entries_leaves_everything_undefined():
    empty = replace(SPLITS[1], valid=np.zeros_like(SPLITS[1].valid))
    assert set(values(SHORT(SPLITS[0], empty, SPLITS[2], KEY)).values()) == {None}


def test_a_decoder_of_the_methods_own_is_scored_on_test():
    perfect = replace(FORESEEN[2], decode=jax.jit(render))
    found = values(SHORT(*FORESEEN[:2], perfect, KEY))
    assert found["mse_own", "s"] == found["mse_own", "p1"] == pytest.approx(0, abs=1e-12)
    assert found["fg_ari_own", "s"] == found["fg_ari_own", "p1"] == 1


def test_a_decoder_of_the_methods_own_is_scored_on_val_too():
    def grey(slots):
        return jax.tree.map(jnp.zeros_like, render(slots))

    val, test = replace(FORESEEN[1], decode=jax.jit(grey)), replace(FORESEEN[2], decode=jax.jit(render))
    found = {m.target: m.value for m in SHORT(FORESEEN[0], val, test, KEY).metrics if m.split == "val"}
    frames = np.square(np.asarray(val.data, float))
    assert found == {"s": pytest.approx(frames.mean()), "p1": pytest.approx(frames[:, CONTEXT:].mean())}


def test_scores_of_a_decoder_equal_a_loop_over_frames():
    from sklearn.metrics import adjusted_rand_score

    def poor(slots):
        noise = jax.random.uniform(jax.random.key(5), (1, SLOTS, SIDE, SIDE))
        frames, masks = render(slots)
        return Decoded(0.5 * frames, masks + noise)

    test = FORESEEN[2]
    found = values(SHORT(*FORESEEN[:2], replace(test, decode=jax.jit(poor)), KEY))
    decoded = jax.tree.map(np.asarray, jax.jit(poor)(jnp.asarray(test.slots.reshape(-1, *test.slots.shape[2:]))))
    frames, masks = decoded.frames.reshape(test.data.shape), decoded.masks.reshape(*test.slots.shape[:3], SIDE, SIDE)
    for target, first in (("s", 0), ("p1", CONTEXT)):
        errors, aris = [], []
        for i, t in np.ndindex(*test.valid.shape):
            if t < first:
                continue
            errors.append(((frames[i, t].astype(float) - np.asarray(test.data[i, t])) ** 2).mean())
            truth, segments = test.labels.masks[i, t], masks[i, t].argmax(0)
            if len(set(truth[truth > 0])) > 1:
                aris.append(adjusted_rand_score(truth[truth > 0], segments[truth > 0]))
        assert found["mse_own", target] == pytest.approx(np.mean(errors), rel=1e-5)
        assert found["fg_ari_own", target] == pytest.approx(np.mean(aris), abs=1e-9)


def test_scores_of_a_last_batch_that_is_not_full_stand_beside_their_frames():
    some = replace(SPLITS[2], slots=SPLITS[2].slots[:3], valid=SPLITS[2].valid[:3], data=SPLITS[2].data[:3])
    found = score(jax.jit(render), some, align(some, 0)["s"], 8)  # 12 entries, 8 at a time
    truth = SPLITS[2].labels.masks[:3].reshape(12, SIDE, SIDE)
    np.testing.assert_array_equal(found.segments, (truth + 2) % SLOTS)


def test_objects_of_one_pixel_leave_fg_ari_undefined_and_counted():
    labels = SPLITS[2].labels
    dots = labels._replace(masks=np.zeros_like(labels.masks))
    dots.masks[:, :, 0, 0], dots.masks[:, :, 1, 1] = 1, 2
    result = SHORT(*SPLITS[:2], replace(SPLITS[2], labels=dots), KEY)
    assert values(result)["fg_ari", "s"] is None
    assert result.notes["frames"]["s"] == {"mse": 16 * TIME, "fg_ari": 0}


OWN, AHEAD = partial(align, steps=0), partial(align, steps=1)


def rule(**changes):
    settings = {"max_steps": 100, "round_steps": 2, "patience": 2, "tolerance": 0.1, "val_frames": 32}
    return Rule(**({"learning_rate": 4e-3, "frames_per_step": 32} | settings | changes))


def script(monkeypatch, errors):
    """Lets the val error of each round be what the test says."""
    told = iter(errors)
    scored = lambda *_: Scored(np.full(1, next(told)), np.zeros((1, SIDE, SIDE), int))  # noqa: E731
    monkeypatch.setattr("probes.decoding.score", scored)


def test_training_stops_when_val_no_longer_falls_and_keeps_the_best(monkeypatch):
    slots = jnp.asarray(SPLITS[2].slots[0])
    script(monkeypatch, [9.0, 5.0, 2.0, 1.9, 3.0])
    stopped = fit_decoder(*SPLITS[:2], OWN, rule(), KEY)
    assert stopped.curve == [[0, 9.0], [2, 5.0], [4, 2.0], [6, 1.9], [8, 3.0]]
    assert (stopped.stopped, stopped.best_step) == ("patience", 6)
    script(monkeypatch, [9.0, 5.0, 2.0, 1.9])
    shorter = fit_decoder(*SPLITS[:2], OWN, rule(max_steps=6), KEY)
    assert (shorter.stopped, shorter.best_step) == ("max_steps", 6)
    np.testing.assert_array_equal(stopped.decode(slots).frames, shorter.decode(slots).frames)


def test_the_error_on_val_is_the_mean_over_what_is_decoded(monkeypatch):
    script(monkeypatch, [1.0, 3.0, 0.5, 1.0])
    assert fit_decoder(*FORESEEN[:2], AHEAD, rule(max_steps=2), KEY).curve == [[0, 2.0], [2, 0.75]]


def test_val_is_measured_on_frames_of_all_clips_each_once(monkeypatch):
    measured = []

    def look(decode, frozen, aligned, batch_size):
        measured.append(set(zip(aligned.clips.tolist(), aligned.times.tolist(), strict=True)))
        return Scored(np.ones(1), np.zeros((1, SIDE, SIDE), int))

    monkeypatch.setattr("probes.decoding.score", look)
    fit_decoder(*SPLITS[:2], OWN, rule(max_steps=2, val_frames=32), KEY)
    assert len(measured[0]) == 32 and measured[0] == measured[1]
    assert len({clip for clip, _ in measured[0]}) > 10 and {time for _, time in measured[0]} == set(range(TIME))


def test_every_round_draws_other_frames(monkeypatch):
    keys, fit = [], Kernel.fit

    def look(self, model, data, steps, key, **further):
        keys.append(tuple(jax.random.key_data(key).tolist()))
        return fit(self, model, data, steps, key, **further)

    monkeypatch.setattr(Kernel, "fit", look)
    fit_decoder(*SPLITS[:2], OWN, rule(max_steps=6), KEY)
    assert len(keys) == len(set(keys)) == 3


def test_how_far_a_decoder_is_can_be_followed(monkeypatch):
    script(monkeypatch, [9.0, 5.0, 2.0])
    heard: list[str] = []
    fit_decoder(replace(SPLITS[0], say=heard.append), SPLITS[1], OWN, rule(max_steps=4), KEY)
    assert heard == [f"a decoder learns, step {n} of at most 4, error {e} on val" for n, e in ((2, 5), (4, 2))]


def test_the_optimiser_goes_on_from_round_to_round():
    kernel = Kernel(lambda model, batch, key: ((model.kernel[...] ** 2).sum(), {}), lambda data, key: 0, adam(0.1))
    line = lambda: nnx.Linear(3, 2, rngs=nnx.Rngs(0))  # noqa: E731
    first = kernel.fit(line(), (), 3, KEY)
    second = kernel.fit(first.model, (), 4, KEY, optimizer_state=first.optimizer_state)
    np.testing.assert_array_equal(second.model.kernel[...], kernel.fit(line(), (), 7, KEY).model.kernel[...])


def test_a_decoder_goes_on_with_the_optimiser_of_the_round_before(monkeypatch):
    fresh, fit = [], Kernel.fit

    def look(self, *arguments, optimizer_state=None, **further):
        fresh.append(optimizer_state is None)
        return fit(self, *arguments, optimizer_state=optimizer_state, **further)

    monkeypatch.setattr(Kernel, "fit", look)
    fit_decoder(*SPLITS[:2], OWN, rule(max_steps=6), KEY)
    assert fresh == [True, False, False]


def test_figures_show_a_clip_as_it_is_as_decoded_and_in_the_masks_of_each_slot(learned):
    arrays = learned.arrays
    assert arrays["times"].tolist() == [2, 3] and arrays["clips"].tolist() == [0]
    assert set(arrays) == {"times", "clips", "frames", "s.frames", "p1.frames", "s.masks"}
    assert arrays["s.masks"].shape == (1, 2, SLOTS, SIDE, SIDE)
    assert all(array.dtype == np.uint8 for name, array in arrays.items() if name not in ("clips", "times"))
    true = (np.asarray(SPLITS[2].data)[:1, 2:] + 1) / 2 * 255
    np.testing.assert_array_equal(arrays["frames"], true.astype(np.uint8))
    assert np.abs(arrays["s.frames"].astype(int) - arrays["frames"]).mean() < 30


def test_of_frames_stacked_in_channels_figures_show_the_last():
    def stacked(data, clips):
        frames = read(data, clips).frames
        return Batch(jnp.concatenate([0 * frames, frames], axis=-1))

    spec = replace(SPEC, frame_shape=(SIDE, SIDE, 6))
    arrays = SHORT(*(replace(split, spec=spec, read=stacked) for split in SPLITS), KEY).arrays
    assert arrays["frames"].shape == arrays["s.frames"].shape == (1, TIME, SIDE, SIDE, 3)
    true = (np.asarray(SPLITS[2].data)[:1] + 1) / 2 * 255
    np.testing.assert_array_equal(arrays["frames"], true.astype(np.uint8))


def test_a_decoder_of_predictions_sees_no_slot_of_the_frame_itself():
    """Encoded slots that are noise change nothing of it; perfect predictions are painted as perfect slots are."""
    settings = {field.name: getattr(QUICK, field.name) for field in fields(QUICK)}
    alone = DecoderPredicted(**settings)
    noise = np.random.default_rng(0).standard_normal(FORESEEN[0].slots.shape).astype(np.float32)
    blind = [replace(split, slots=noise[: len(split.slots)]) for split in FORESEEN]
    found = alone(*blind, KEY)
    assert {metric.target for metric in found.metrics} == {"p1"} and values(found)["mse", "p1"] < 0.1
    assert values(found) == values(alone(*FORESEEN, KEY))


def test_a_decoder_of_predictions_has_no_number_where_there_are_none_and_where_none_counts():
    alone, none = DecoderPredicted(), {("mse", "p1"): None, ("fg_ari", "p1"): None}
    late = [replace(split, context=TIME) for split in FORESEEN]
    assert values(alone(*SPLITS, KEY)) == values(alone(*late, KEY)) == none


def test_a_decoder_of_predictions_is_not_asked_of_a_methods_own():
    settings = {field.name: getattr(SHORT, field.name) for field in fields(SHORT)}
    owned = [replace(split, decode=lambda slots: None) for split in FORESEEN]
    assert {metric.metric for metric in DecoderPredicted(**settings)(*owned, KEY).metrics} == {"mse", "fg_ari"}


def test_whitened_slots_vary_alike_in_every_direction_and_each_slot_has_its_number():
    random = np.random.default_rng(0)
    slots = random.normal(size=(500, 2, 3)) * [10.0, 1.0, 1e-4] @ random.normal(size=(3, 3)) + 7
    slots[:, 1, 2] = 3.0  # a direction without any variance
    seen = whitened(whitening(slots.astype(np.float32)), slots)
    values, numbers = seen[..., :3], seen[..., 3:]
    np.testing.assert_array_equal(numbers, np.broadcast_to(np.eye(2), (500, 2, 2)))
    np.testing.assert_allclose(values.mean(0), 0, atol=1e-3)
    first = np.linalg.eigvalsh(np.cov(values[:, 0].T, bias=True))
    assert first[1:] == pytest.approx([1, 1], abs=0.02) and first[0] <= 1.02  # the faintest may stay below
    assert np.linalg.eigvalsh(np.cov(values[:, 1].T, bias=True))[0] < 1e-6


def test_whitened_slots_have_the_unit_as_their_covariance():
    slots = np.random.default_rng(0).normal(size=(6, 2, 3))
    seen = whitened(whitening(slots), slots)[..., :3]
    for k in range(2):
        np.testing.assert_allclose(np.cov(seen[:, k].T, bias=True), np.eye(3), atol=1e-5)


def test_a_slot_that_is_constant_but_for_rounding_is_not_blown_up():
    slots = np.random.default_rng(0).normal(size=(500, 2, 3)).astype(np.float32)
    slots[:, 1] = [3.0, 0.1, -7.0]
    slots[::2, 1] = np.nextafter(slots[::2, 1], np.float32(np.inf))
    elsewhere = slots + np.float32(1.0)
    seen = whitened(whitening(slots), elsewhere)
    np.testing.assert_array_equal(seen[:, 1, :3], 0)
    assert np.abs(seen[:, 0, :3]).max() > 1


def test_a_decoder_sees_whitened_slots_the_same_whatever_their_scale(monkeypatch):
    """And no predictions."""
    given = []
    monkeypatch.setattr(Decoder, "__call__", lambda self, *splits: given.append(splits[:3]) or ProbeResult(()))
    noise = [np.random.default_rng(i).normal(0, 0.1, split.slots.shape) for i, split in enumerate(FORESEEN)]
    noisy = [replace(s, slots=(s.slots + n).astype(np.float32)) for s, n in zip(FORESEEN, noise, strict=True)]
    faint = [replace(split, slots=np.float32(1e-2) * split.slots) for split in noisy]
    for splits in (noisy, faint):
        DecoderWhitened()(*splits, KEY)
    for one, other in zip(*given, strict=True):
        np.testing.assert_allclose(np.abs(one.slots), np.abs(other.slots), atol=2e-2)
        assert one.predicted is None and one.slots.shape[-1] == SPLITS[0].slots.shape[-1] + SLOTS


def test_whitening_is_that_of_the_training_frames_that_count(monkeypatch):
    given = []
    monkeypatch.setattr(Decoder, "__call__", lambda self, *splits: given.append(splits[:3]) or ProbeResult(()))
    train, val, test = FORESEEN
    valid = train.valid.copy()
    valid[:4] = False
    slots = np.where(valid[..., None, None], train.slots, 1e3).astype(np.float32)
    DecoderWhitened()(replace(train, valid=valid, slots=slots), val, test, KEY)
    maps = whitening(train.slots[valid])
    for split, seen in zip((val, test), given[0][1:], strict=True):
        np.testing.assert_allclose(seen.slots, whitened(maps, split.slots), rtol=1e-5, atol=1e-5)


def test_an_optional_probe_is_asked_by_its_name_only():
    assert "decoder-whitened" not in Configuration("synthetic", "quick").probes("gridworld")
    (asked,) = Configuration("synthetic", "quick", asked=("decoder-whitened",)).probes("bouncing_balls").values()
    decoder = Configuration("synthetic", "quick").probes("bouncing_balls")["decoder"]
    assert {f.name: getattr(asked, f.name) for f in fields(asked)} == {
        f.name: getattr(decoder, f.name) for f in fields(decoder)
    }


def test_all_twelve_large_frames_fit_into_the_arrays_and_these_stay_below_three_megabytes():
    spec, pixels = replace(SPEC, frame_shape=(64, 64, 3)), 64 * 64
    decoder, rollout = figure_frames(spec, 4, 2, with_masks=True), figure_frames(spec, 4, 6, with_masks=False)
    assert min(decoder, rollout) >= 12
    assert decoder * pixels * (3 + 2 * 3 + 4 + 4) + rollout * pixels * (3 + 6 * 3) < 3_000_000


def test_notes_tell_the_frames_that_a_step_had(learned, monkeypatch):
    assert learned.notes["frames_per_step"] == 32
    monkeypatch.setattr("probes.decoding._fit", lambda *given: (None, 0, [[0.0, 0.0]]))  # the number alone is asked
    assert fit_decoder(*FORESEEN[:2], AHEAD, rule(frames_per_step=5, max_steps=2), KEY).frames_per_step == 4
    assert fit_decoder(*FORESEEN[:2], AHEAD, rule(frames_per_step=1, max_steps=2), KEY).frames_per_step == 2


def test_frames_in_a_step_shrink_with_their_size():
    sides = {5: 256, 16: 32, 32: 8, 64: 2}
    for side, frames in sides.items():
        assert Decoder().batch_size(replace(SPEC, frame_shape=(side, side, 3))) == frames


def test_what_cannot_be_asked_is_skipped_with_a_reason():
    large, unlabelled = replace(SPEC, frame_shape=(210, 160, 3)), replace(SPEC, has_masks=False)
    assert "210x160" in Decoder().supports(large) and "210x160" in DecoderRollout().supports(large)
    assert Decoder().supports(unlabelled) is None
    assert Masks().supports(unlabelled) and ColourKMeans().supports(unlabelled)
    assert "no colours" in ColourKMeans().supports(replace(SPEC, frame_shape=(SIDE, SIDE, 1)))
    assert not any(probe.supports(SPEC) for probe in (Decoder(), DecoderRollout(), Masks(), ColourKMeans()))


@pytest.mark.parametrize("field", ["frames_per_step", "max_steps", "patience", "learning_rate"])
def test_impossible_settings_are_refused(field):
    with pytest.raises(UserError, match=field):
        Decoder(**{field: 0})


def attention(frozen, side=SIDE):
    """Masks that are certain of the true object, or of the one at the first pixel of each square of a coarser grid."""
    step = SIDE // side
    coarse = frozen.labels.masks[:, :, ::step, ::step].reshape(len(frozen.valid), TIME, -1)
    return replace(frozen, masks=np.eye(SLOTS, dtype=np.float32)[coarse].swapaxes(-1, -2))


def test_true_masks_score_one():
    result = Masks()(*SPLITS[:2], attention(SPLITS[2]), KEY)
    assert values(result) == {("fg_ari", "attention"): 1, ("mbo", "attention"): 1}
    two = [len(set(frame[frame > 0])) == 2 for frame in SPLITS[2].labels.masks.reshape(-1, SIDE, SIDE)]
    assert result.notes["frames"] == {"fg_ari": sum(two), "mbo": 16 * TIME}


def test_masks_of_frames_that_do_not_count_are_left_out():
    test = attention(SPLITS[2])
    masks, valid = test.masks.copy(), test.valid.copy()
    masks[3:], valid[3:] = 0, False
    assert set(values(Masks()(*SPLITS[:2], replace(test, masks=masks, valid=valid), KEY)).values()) == {1}


def test_coarser_masks_are_enlarged():
    blocks = np.kron(np.array([[0, 1, 1], [0, 0, 2], [2, 0, 0]]), np.ones((2, 2), int))
    labels = SPLITS[2].labels._replace(masks=np.broadcast_to(blocks, SPLITS[2].labels.masks.shape))
    coarse = attention(replace(SPLITS[2], labels=labels), side=3)
    assert coarse.masks.shape[-1] == 9
    assert set(values(Masks()(*SPLITS[:2], coarse, KEY)).values()) == {1}


def test_masks_of_frames_that_are_not_square():
    coarse = np.array([[0, 1, 1, 2], [0, 0, 2, 2]])
    fine = np.kron(coarse, np.ones((2, 2), int))
    test = replace(
        SPLITS[2],
        spec=replace(SPEC, frame_shape=(4, 8, 3)),
        labels=SPLITS[2].labels._replace(masks=np.broadcast_to(fine, (16, TIME, 4, 8))),
        masks=np.broadcast_to(np.eye(SLOTS, dtype=np.float32)[:, coarse.ravel()], (16, TIME, SLOTS, 8)),
    )
    assert set(values(Masks()(*SPLITS[:2], test, KEY)).values()) == {1}


@pytest.mark.parametrize("positions", [None, 16, 49])
def test_no_masks_or_a_grid_that_does_not_fit_are_undefined(positions):
    masks = None if positions is None else np.ones((16, TIME, SLOTS, positions), np.float32)
    result = Masks()(*SPLITS[:2], replace(SPLITS[2], masks=masks), KEY)
    assert set(values(result).values()) == {None} and result.notes["undefined"]


def test_colours_that_differ_tell_objects_apart_whatever_the_slots():
    other = replace(SPLITS[2], slots=np.zeros_like(SPLITS[2].slots))
    results = [ColourKMeans()(*SPLITS[:2], test, KEY) for test in (SPLITS[2], other)]
    assert values(results[0]) == values(results[1]) == {("fg_ari", "pixels"): 1}


def test_colours_of_frames_that_do_not_count_are_left_out():
    masks, valid = SPLITS[2].labels.masks.copy(), SPLITS[2].valid.copy()
    masks[3:], valid[3:] = np.random.default_rng(0).integers(0, OBJECTS + 1, masks[3:].shape), False
    test = replace(SPLITS[2], labels=SPLITS[2].labels._replace(masks=masks), valid=valid)
    assert values(ColourKMeans()(*SPLITS[:2], test, KEY)) == {("fg_ari", "pixels"): 1}


def test_there_are_as_many_colours_as_the_data_sets_slots_whatever_the_methods():
    one = replace(SPLITS[2], slots=SPLITS[2].slots[:, :, :1])
    assert values(ColourKMeans()(*SPLITS[:2], one, KEY)) == {("fg_ari", "pixels"): 1}


def test_of_stacked_frames_the_colours_of_the_last_count():
    def stacked(data, clips):
        batch = SPLITS[2].read(data, clips)
        return batch._replace(frames=jnp.concatenate([batch.frames[:, ::-1], batch.frames], axis=-1))

    result = ColourKMeans()(*SPLITS[:2], replace(SPLITS[2], read=stacked), KEY)
    assert values(result) == {("fg_ari", "pixels"): 1}


def test_more_colours_than_clusters_share_one_with_their_nearest():
    pixels = np.repeat(np.array([[0.0], [1.0], [1.1], [5.0]]), [5, 3, 2, 1], axis=0)
    found = cluster(pixels, 3, restarts=4, seed=0)
    assert len({*found[:5]}) == len({*found[5:10]}) == 1 and len({found[0], found[5], found[10]}) == 3


def test_a_colour_weighs_as_much_as_it_has_pixels():
    pixels = np.repeat(np.array([[0.0], [0.4], [1.0]]), [100, 100, 1], axis=0)
    found = cluster(pixels, 2, restarts=4, seed=0)
    assert found[0] != found[100] == found[200]


def test_colours_are_clustered_in_frames_from_the_first_clip_to_the_last():
    read = []

    def look(data, clips):
        read.extend(np.asarray(clips).tolist())
        return SPLITS[2].read(data, clips)

    ColourKMeans(num_clips=4)(*SPLITS[:2], replace(SPLITS[2], read=look), KEY)
    assert read == [0, 5, 10, 15]


def test_there_are_enough_clusters_for_the_background_and_colours_nearer_to_each_other():
    alike = np.array([[-1, -1, -1], [1, -1, -1], [1, -0.5, -1]], np.float32)
    test = replace(SPLITS[2], data=jnp.asarray(alike[SPLITS[2].labels.masks]))
    assert values(ColourKMeans(num_clips=3)(*SPLITS[:2], test, KEY)) == {("fg_ari", "pixels"): 1}


def test_colours_of_some_clips_are_scored_by_the_labels_of_these():
    valid = SPLITS[2].valid.copy()
    valid[5, 1:] = False
    result = ColourKMeans(num_clips=4)(*SPLITS[:2], replace(SPLITS[2], valid=valid), KEY)  # clips 0, 5, 10 and 15
    assert values(result) == {("fg_ari", "pixels"): 1}


def test_the_decoder_has_the_papers_filters_on_a_grid():
    weights = jax.tree.leaves(fit_decoder(*SPLITS[:2], OWN, rule(max_steps=2), KEY).decode.args[0])
    assert {leaf.shape[-1] for leaf in weights} == {16, 4}


def test_baselines_are_the_same_however_many_clips_are_read_at_once(monkeypatch):
    whole = pixel_baselines(SPLITS[0], SPLITS[2])
    monkeypatch.setattr("probes.pixel_baselines.PIXELS_PER_CALL", 5 * TIME * SIDE * SIDE)  # 5 of 96 and of 16 clips
    assert pixel_baselines(SPLITS[0], SPLITS[2]) == pytest.approx(whole, rel=1e-6)


def test_the_largest_frames_are_64_pixels_high_and_wide():
    assert Decoder().supports(replace(SPEC, frame_shape=(64, 64, 3))) is None
    assert Decoder().supports(replace(SPEC, frame_shape=(64, 65, 3)))


def test_frames_in_a_step_are_counted_by_all_their_pixels():
    assert Decoder().batch_size(replace(SPEC, frame_shape=(16, 32, 3))) == 16


def test_a_direction_is_faint_below_a_hundred_thousandth_of_the_largest_variance():
    slots = np.random.default_rng(0).normal(size=(500, 1, 2))
    slots -= slots.mean(0)
    slots[:, 0] = slots[:, 0] @ np.linalg.inv(np.linalg.cholesky(np.cov(slots[:, 0].T, bias=True))).T
    for variance, left in ((4e-5, 1.0), (1e-6, 0.1)):
        scaled = slots * [1, variance**0.5]
        seen = whitened(whitening(scaled), scaled)[:, 0, :2]
        assert np.linalg.eigvalsh(np.cov(seen.T, bias=True)) == pytest.approx([left, 1], rel=1e-3)
