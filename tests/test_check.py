"""Every check of `python -m benchmark.check` finds what it is there to find."""

import inspect
import re
from copy import copy
from dataclasses import dataclass, fields, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from benchmark import checked
from benchmark.check import dataset_checks, method_checks, probe_checks
from benchmark.check.__main__ import main
from benchmark.check.look_alike import look_alike
from benchmark.check.outcome import ask
from benchmark.check.trial import Trial
from benchmark.contracts import Dataset, Method, Probe
from benchmark.modules.clips import ClipsInMemory
from benchmark.registry import datasets, methods, probes
from benchmark.types import Batch, Coordinate, DatasetSpec, Labels, Metric, ProbeResult, Slots

SPEC = DatasetSpec(
    name="dots",
    frame_shape=(4, 4, 3),
    frame_range=(-1.0, 1.0),
    num_slots=2,
    objects=("a", "b"),
    backbone="pixelwise",
    clip_length=3,
    training_window=3,
    num_actions=2,
    coordinates=tuple(Coordinate(f"{o}_{axis}", i, axis) for i, o in enumerate("ab") for axis in "xy"),
    has_masks=True,
)
DATA = look_alike(SPEC)


class Model(nnx.Module):
    def __init__(self, rngs):
        self.linear = nnx.Linear(48, 6, rngs=rngs)
        self.gain = nnx.Param(jnp.ones(3))


@dataclass(frozen=True, kw_only=True)
class Sound(Method):
    """Predicts its own next slots; keeps all that it must."""

    context = 1

    def window(self, spec):
        return 2

    def build(self, spec, rngs):
        return Model(rngs)

    def loss(self, model, batch, key):
        slots = self.encode(model, batch.frames).slots
        loss = jnp.square(slots[:, 1] - self.forward(slots[:, 0])).mean()
        return loss, {"error": loss}

    def forward(self, slots):
        return 0.5 * slots

    def encode(self, model, frames):
        slots = model.linear(frames.reshape(*frames.shape[:2], -1)).reshape(*frames.shape[:2], 2, 3) * model.gain
        return Slots(slots, jax.nn.softmax(slots, axis=2))

    def predict(self, model, slots, actions, steps):
        return jnp.stack([self.forward(slots)] * steps, axis=2)


def wrong_with(method):
    """The claims that do not hold, and why."""
    outcomes = ask(method_checks.checks(type(method)), Trial(method, DATA))
    return {outcome.claim: outcome.wrong for outcome in outcomes if outcome.wrong}


def test_a_sound_method_passes_all():
    assert wrong_with(Sound()) == {}


class Drawn(Sound):
    def encode(self, model, frames):
        return Slots(super().encode(model, frames).slots + np.random.normal())


class Later(Sound):
    def encode(self, model, frames):
        return Slots(super().encode(model, frames[:, ::-1]).slots)


class Whole(Sound):
    def encode(self, model, frames):
        return Slots(super().encode(model, frames).slots.astype(int))


class Unbuilt(Sound):
    def build(self, spec, rngs):
        Model(rngs)


class Leaving(Sound):
    def loss(self, model, batch, key):
        raise SystemExit("enough")


class Neighbours(Sound):
    def encode(self, model, frames):
        return super().encode(model, frames - frames.mean(0))


class Blind(Sound):
    def encode(self, model, frames):
        return super().encode(model, jnp.zeros_like(frames))


class ThreeSlots(Sound):
    def encode(self, model, frames):
        slots = super().encode(model, frames).slots
        return Slots(jnp.concatenate([slots, slots[:, :, :1]], axis=2))


class Flat(Sound):
    def encode(self, model, frames):
        return Slots(super().encode(model, frames).slots.reshape(-1, 6))


class Bare(Sound):
    def encode(self, model, frames):
        return super().encode(model, frames).slots


class LooseMasks(Sound):
    def encode(self, model, frames):
        slots, masks = super().encode(model, frames)
        return Slots(slots, 2 * masks)


class Stopped(Sound):
    def loss(self, model, batch, key):
        model.gain[...] = jax.lax.stop_gradient(model.gain[...])
        return super().loss(model, batch, key)


class Detached(Sound):
    def loss(self, model, batch, key):
        return jnp.square(batch.frames).mean(), {}


class Endless(Sound):
    def loss(self, model, batch, key):
        loss, logs = super().loss(model, batch, key)
        return loss / 0, logs


class Cusp(Sound):
    def loss(self, model, batch, key):
        loss, logs = super().loss(model, batch, key)
        return loss + jnp.sqrt(0 * model.gain[...]).sum(), logs


class NoLogs(Sound):
    def loss(self, model, batch, key):
        return super().loss(model, batch, key)[0]


class Teacher(Sound):
    def loss(self, model, batch, key):
        model.gain.value = 0.9 * model.gain.value
        return super().loss(model, batch, key)


class Vector(Sound):
    def loss(self, model, batch, key):
        loss, logs = super().loss(model, batch, key)
        return jnp.stack([loss, loss]), logs


class Counting(Sound):
    def loss(self, model, batch, key):
        return jnp.sum(batch.frames > 0), {}


class Mute(Sound):
    def decode(self, model, slots):
        return None


class DrawnLoss(Sound):
    def loss(self, model, batch, key):
        loss, logs = super().loss(model, batch, key)
        return loss * np.random.normal(), logs


class Peeking(Sound):
    def loss(self, model, batch, key):
        loss, logs = super().loss(model, batch, key)
        return loss if batch.labels is None else loss + batch.labels.coordinates.mean(), logs


class DrawnModel(Sound):
    def build(self, spec, rngs):
        model = Model(rngs)
        model.gain[...] = model.gain[...] * np.random.normal()
        return model


class OneSeed(Sound):
    def build(self, spec, rngs):
        return Model(nnx.Rngs(0))


class Short(Sound):
    def predict(self, model, slots, actions, steps):
        return super().predict(model, slots, actions, steps)[:, :-1]


class Foreseeing(Sound):
    def predict(self, model, slots, actions, steps):
        return super().predict(model, slots[:, ::-1], actions, steps)


class Ravenous(Sound):
    def window(self, spec):
        return 9


class Wordless(Sound):
    def supports(self, spec):
        return False


@dataclass(frozen=True, kw_only=True)
class Setting(Sound):
    activation: object = jnp.tanh


@pytest.mark.parametrize(
    ("method", "claim", "message"),
    [
        (Drawn, "encode is deterministic", "expected no randomness"),
        (Later, "encode uses no later frame", "expected frame t to use frames up to t only"),
        (Neighbours, "encode sees each clip by itself", "depend on the other clips"),
        (Blind, "encode depends on the frame", "frame 0 does not change its slots"),
        (ThreeSlots, "encode gives finite slots in the declared number", "gave 3 slots a frame; expected 2"),
        (Flat, "encode is deterministic", "encode gave slots of shape (6, 6); expected [b t k d]"),
        (Bare, "encode is deterministic", "encode gave an array of shape (2, 3, 2, 3); expected benchmark.types.Slots"),
        (Whole, "encode is deterministic", "encode gave slots of int32; expected float32"),
        (Unbuilt, "encode is deterministic", "build gave a NoneType; expected an nnx.Module"),
        (LooseMasks, "masks sum to 1 over slots", "sum to 2 up to 2 over slots; expected 1"),
        (Stopped, "gradients reach the encoder", "no gradient reaches gain"),
        (Detached, "gradients reach the encoder", "no parameter that changes the slots gets a gradient"),
        (Detached, "training lowers the loss on a fixed batch", "expected less"),
        (Endless, "the loss is a finite scalar with named parts", "the loss is inf; expected finite"),
        (Cusp, "gradients reach the encoder", "the gradient of gain is not finite; expected finite numbers"),
        (NoLogs, "the loss is a finite scalar with named parts", "loss gave an array of shape ()"),
        (Teacher, "the loss leaves the parameters to the optimiser", "the loss changes gain, and the change is lost"),
        (Vector, "the loss is a finite scalar with named parts", "loss gave an array of shape (2,) to minimise"),
        (Counting, "the loss is a finite scalar with named parts", "loss gave a number of int32 to minimise; expected"),
        (Mute, "nothing decodes unasked", "it has a `decode` that nothing asks; expected `decodes = True`"),
        (Peeking, "the loss reads no labels", "`reads_labels = True`"),
        (DrawnModel, "seeds reproduce and differ", "expected all randomness to come from `rngs`"),
        (OneSeed, "seeds reproduce and differ", "two seeds give equal parameters"),
        (Short, "predict uses the slots up to its frame", "expected [b t j k d] with b = 2, t = 3, j = 2"),
        (Foreseeing, "predict uses the slots up to its frame", "depends on slots of later frames"),
        (Ravenous, "a training sample fits a clip", "window gave 9; expected a whole number of frames from 1 to 3"),
        (Wordless, "supports gives a reason or none", "supports gave False for"),
        (Setting, "settings are plain values", "a field is no JSON value"),
    ],
)
def test_a_broken_rule_is_found(method, claim, message):
    check = {check.__name__.replace("_", " "): check for check in method_checks.checks(method)}[claim]
    (outcome,) = ask([check], Trial(method(), DATA))
    assert message in (outcome.wrong or "nothing")


def test_what_a_part_gives_wrongly_is_told_with_the_line_of_that_part():
    (outcome,) = ask([method_checks.encode_is_deterministic], Trial(Flat(), DATA))
    assert f"{inspect.getsourcefile(Flat)}, line {Flat.encode.__code__.co_firstlineno}: encode gave" in outcome.wrong


def test_random_numbers_of_numpy_in_the_loss_are_not_told_to_be_labels():
    asked = (method_checks.the_loss_reads_no_labels, method_checks.seeds_reproduce_and_differ)
    labels, seeds = ask(asked, Trial(DrawnLoss(), DATA))
    assert labels.wrong is None and "expected all randomness to come from `key`" in seeds.wrong


def test_an_error_that_announces_remedies_is_told_with_them_and_code_of_a_string_is_no_place():
    class Layers(nnx.Module):
        def __init__(self, rngs):
            self.layers = [nnx.Linear(2, 2, rngs=rngs)]

    class Listed(Sound):
        def build(self, spec, rngs):
            return Layers(rngs)

    @dataclass(frozen=True, kw_only=True)
    class Assigning(Sound):
        def loss(self, model, batch, key):
            self.last = 0
            return super().loss(model, batch, key)

    first = method_checks.the_loss_is_a_finite_scalar_with_named_parts
    (listed,), (assigning,) = (ask([first], Trial(kind(), DATA)) for kind in (Listed, Assigning))
    assert "nnx.List" in listed.wrong and "test_check.py, line " in listed.wrong
    assert "FrozenInstanceError" in assigning.wrong and "test_check.py, line " in assigning.wrong


def test_an_exception_in_a_method_is_told_with_its_line():
    class Raising(Sound):
        def loss(self, model, batch, key):
            raise KeyError("the slots fell over")

    (outcome,) = ask([method_checks.the_loss_is_a_finite_scalar_with_named_parts], Trial(Raising(), DATA))
    assert outcome.wrong.startswith("it raises KeyError: 'the slots fell over' (")
    assert "test_check.py, line " in outcome.wrong


def test_a_method_that_keeps_the_shapes_is_let_through():
    frames = jnp.zeros((5, 4, 4, 4, 3))
    model = Model(nnx.Rngs(0))
    assert checked.encode(Sound(), model, frames).slots.shape == (5, 4, 2, 3)
    with pytest.raises(
        ValueError, match=r"test_check\.py, line \d+: encode gave .*expected \[b t k d\] with b = 5, t = 4"
    ):
        checked.encode(Flat(), model, frames)
    with pytest.raises(ValueError, match="'part'"):
        parts = jnp.zeros(3)
        checked.loss(giving(lambda: (jnp.zeros(()), {"part": parts})), model, Batch(frames), jax.random.key(0))
    flags = {"a": 1.0, "b": True, "c": np.bool_(1), "d": nnx.Param(jnp.zeros(())), "e": np.zeros(())}
    given = checked.loss(giving(lambda: (jnp.zeros(()), flags)), model, Batch(frames), jax.random.key(0))
    assert given[1] == flags
    with pytest.raises(ValueError, match="a str as its part 'part'"):
        checked.loss(giving(lambda: (jnp.zeros(()), {"part": "text"})), model, Batch(frames), jax.random.key(0))
    with pytest.raises(ValueError, match="a NoneType as its part 'part'"):
        checked.loss(giving(lambda: (jnp.zeros(()), {"part": None})), model, Batch(frames), jax.random.key(0))


def giving(gives):
    return type("Given", (Sound,), {"loss": lambda self, model, batch, key: gives()})()


def test_look_alike_data_are_like_the_data_set_they_resemble_and_small():
    spec = datasets.create("pong").spec()
    made = look_alike(spec, clips=2)
    assert made.spec.frame_shape == (105, 80, 3) and made.spec.objects == spec.objects
    batch = made.test.read(made.test.data, jnp.arange(2))
    assert batch.labels.coordinates.shape == (2, spec.clip_length, len(spec.coordinates))
    assert batch.labels.masks is None and batch.actions.max() < spec.num_actions


def test_the_grounds_labels_say_where_the_squares_are():
    batch = DATA.test.read(DATA.test.data, jnp.arange(6))
    x, y = np.moveaxis(np.asarray(batch.labels.coordinates, int)[..., 2:], -1, 0)
    masks, frames = np.asarray(batch.labels.masks), np.asarray(batch.frames)
    for index in np.ndindex(*x.shape):
        assert masks[index][y[index], x[index]] == 2  # the last object is in front
    assert (frames[masks == 0] == -1).all() and (frames[masks > 0] > -1).any(-1).all()


@dataclass(frozen=True, kw_only=True)
class Dots(Dataset):
    def spec(self):
        return SPEC

    def load(self, cache, report):
        return DATA


def dataset_wrong_with(splits):
    outcomes = ask(dataset_checks.CHECKS, dataset_checks.Source(Dots(), splits))
    return {outcome.claim: outcome.wrong for outcome in outcomes if outcome.wrong}


def with_train(**methods_):
    train = type("Changed", (type(DATA.train),), methods_)
    changed = object.__new__(train)
    changed.__dict__.update(vars(DATA.train))
    return replace(DATA, train=changed)


def beside(part, change):
    """Splits whose training clips have one part of the batch changed."""

    def read(self, data, clips):
        batch = DATA.train.read(data, clips)
        return batch._replace(**{part: change(getattr(batch, part))})

    return with_train(read=read)


def part_of(split, first, length):
    """Its clips from the first one on, cut to so many frames."""
    return ClipsInMemory(
        split.data["frames"][first:, :length],
        jax.tree.map(lambda array: array[first:, :length], split.data["labels"]),
        split.data["actions"][first:, :length],
        split.frame_range,
    )


def lost_at(split, clip):
    """Its clips, one coordinate of one of them unknown."""
    labels = split.data["labels"]
    known = np.array(labels.coordinates)
    known[clip, 1, 0] = np.nan
    frames, actions = split.data["frames"], split.data["actions"]
    return ClipsInMemory(frames, labels._replace(coordinates=jnp.asarray(known)), actions, split.frame_range)


def of_object(which):
    """Splits of whose coordinates the last one is of that object."""
    far = copy(Coordinate("far", 0, "x"))
    object.__setattr__(far, "object", which)
    return replace(DATA, spec=replace(DATA.spec, coordinates=(*DATA.spec.coordinates[:3], far)))


def standing(split):
    """Its first coordinate is 7 throughout."""
    labels = split.data["labels"]
    still = labels._replace(coordinates=jnp.asarray(labels.coordinates).at[..., 0].set(7.0))
    return ClipsInMemory(split.data["frames"], still, split.data["actions"], split.frame_range)


@pytest.mark.parametrize("part", ["coordinates", "masks"])
def test_labels_are_of_as_many_clips_and_frames_as_there_are(part):
    data, labels = DATA.train.data, DATA.train.data["labels"]
    for cut in (np.s_[:5], np.s_[:, :2]):
        short = labels._replace(**{part: getattr(labels, part)[cut]})
        with pytest.raises(ValueError, match=rf"labels.{part} has shape .*expected \[i t \.\.\.\] with i = 6, t = 3"):
            ClipsInMemory(data["frames"], short)


def test_a_sound_data_set_passes_all():
    assert dataset_wrong_with(DATA) == {}


def test_bytes_fill_the_range_of_frames():
    frames = np.array([0, 51, 255], np.uint8)[:, None, None, None, None].repeat(2, 1)
    clips = ClipsInMemory(frames, Labels(np.zeros((3, 2, 1), np.float32)), frame_range=(-1.0, 1.0))
    found = clips.read(clips.data, jnp.arange(3)).frames[:, 0, 0, 0, 0]
    np.testing.assert_allclose(found, [-1, -0.6, 1], atol=1e-6)


def test_clips_with_entries_that_do_not_count_are_read_but_not_sampled():
    padded = part_of(DATA.train, 0, 3)
    padded.valid[0, 2] = False
    assert padded.read(padded.data, jnp.arange(2)).frames.shape[:2] == (2, 3)
    with pytest.raises(ValueError, match="1 of 18 frames of these clips are not valid: they can be read, not sampled"):
        padded.sample(padded.data, jax.random.key(0), 2, 2)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((DATA.train, DATA.test), "load gave a tuple of 2; expected benchmark.contracts.Splits"),
        (None, "load gave a NoneType; expected benchmark.contracts.Splits"),
        (replace(DATA, facts={"a": np.float32(1)}), "facts hold what is no JSON value"),
        (beside("labels", lambda labels: None), "train.read gave coordinates of None; expected [b t p] with p = 4"),
        (
            beside("labels", lambda labels: labels._replace(coordinates=None)),
            "train.read gave coordinates of None; expected [b t p] with p = 4",
        ),
        (
            beside("labels", lambda labels: labels._replace(coordinates=labels.coordinates[..., :3])),
            "train.read gave coordinates of (1, 3, 3); expected [b t p] with p = 4",
        ),
        (beside("frames", lambda frames: frames[..., :2, :]), "train.read gave frames of (1, 3, 4, 2, 3)"),
        (replace(DATA, spec=replace(DATA.spec, clip_length=9)), "probe.read gave clips of 3 frames; expected 9"),
        (beside("labels", lambda labels: labels._replace(masks=None)), "gave no masks; its spec says has_masks=True"),
        (
            replace(DATA, spec=replace(DATA.spec, has_masks=False)),
            "train.read gave masks; its spec says has_masks=False",
        ),
        (
            beside("labels", lambda labels: labels._replace(masks=labels.masks[..., 1:])),
            "train.read gave masks int32 [1, 3, 4, 3]; expected integers [b t h w], 0 for the background",
        ),
        (
            beside("labels", lambda labels: labels._replace(masks=labels.masks > 0)),
            "train.read gave masks bool [1, 3, 4, 4]; expected integers",
        ),
        (of_object(2), "far is of object 2; expected one of 0 to 1, as its spec lists 2"),
        (of_object(-1), "far is of object -1; expected one of 0 to 1"),
        (of_object("b"), "far is of object 'b'; expected one of 0 to 1"),
        *(
            (replace(DATA, **{name: part_of(DATA.val, 6, 3)}), f"{name} has no frame that counts; expected some that")
            for name in ("train", "probe", "val", "test")
        ),
    ],
)
def test_what_load_gives_is_looked_at_before_anything_is_trained_on_it(given, message):
    assert checked.loaded(Dots(), DATA) is DATA
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        checked.loaded(Dots(), given)
    assert str(caught.value).startswith(__file__)


def test_one_that_shares_only_frames_that_do_not_count_is_sound():
    known = replace(DATA, train=part_of(DATA.test, 0, 2), test=copy(DATA.test))
    known.test.valid = np.array([[False, False, True]] * len(DATA.test.valid))
    assert dataset_checks.test_is_kept_apart(dataset_checks.Source(Dots(), known)) is None


def test_a_data_set_without_coordinates_can_be_checked_and_resembled():
    unlabelled = look_alike(replace(SPEC, coordinates=()))
    assert unlabelled.spec.coordinate_std == ()

    class Unlabelled(Dots):
        def spec(self):
            return replace(SPEC, coordinates=())

    outcomes = ask(dataset_checks.CHECKS, dataset_checks.Source(Unlabelled(), unlabelled))
    assert [outcome.wrong for outcome in outcomes if outcome.wrong] == []


@pytest.mark.parametrize(
    ("splits", "claim", "message"),
    [
        (beside("frames", lambda f: f * 2), "clips have the shape", "train.read: frames: values from -2"),
        (
            beside("frames", lambda f: f * jnp.nan),
            "clips have the shape",
            "frames: values that are not finite",
        ),
        (beside("frames", lambda f: f[..., 0]), "clips have the shape", "expected float32 [3, 3, 4, 4, 3]"),
        (beside("actions", lambda a: None), "clips have the shape", "actions: missing"),
        (beside("actions", lambda a: a + 2), "clips have the shape", "expected int32 [3, 3] from 0 to 1"),
        (beside("labels", lambda a: None), "clips have the shape", "no labels"),
        (beside("labels", lambda a: a._replace(masks=a.masks + 1)), "clips have the shape", "labels.masks: values"),
        (
            replace(DATA, probe=standing(DATA.probe)),
            "every coordinate changes",
            "a_x is 7 in every frame of probe; leave out what never changes",
        ),
        (replace(DATA, probe=lost_at(DATA.probe, -1)), "coordinates are finite", "1 frames of probe have"),
        (replace(DATA, test=lost_at(DATA.test, 4)), "coordinates are finite", "1 frames of test have"),
        (
            replace(DATA, spec=replace(DATA.spec, coordinate_mean=(np.nan,) * 4)),
            "load completes the spec",
            "expected finite numbers",
        ),
        (replace(DATA, test=DATA.train), "test is kept apart", "clip 0 of test is clip 0 of train"),
        (replace(DATA, probe=part_of(DATA.test, 1, 2)), "test is kept apart", "clip 1 of test is clip 0 of probe"),
        (replace(DATA, train=part_of(DATA.test, 2, 2)), "test is kept apart", "clip 2 of test is clip 0 of train"),
        (
            replace(DATA, val=part_of(DATA.test, len(DATA.test.valid) - 2, 2)),
            "test is kept apart",
            f"clip {len(DATA.test.valid) - 2} of test is clip 0 of val, and 1 more are;",
        ),
        (
            replace(DATA, spec=replace(DATA.spec, frame_range=(-1.0, 255.0))),
            "frames use the range",
            "expected more of the frame_range, which is -1 to 255",
        ),
        (replace(DATA, facts={"when": {1}}), "a run takes what it loads", "no JSON value"),
        (replace(DATA, spec=replace(DATA.spec, backbone="nature_cnn")), "its backbone takes", "leaves 0x0 positions"),
        (replace(DATA, spec=replace(DATA.spec, backbone="resnet")), "its backbone takes", "none of that name"),
        (replace(DATA, spec=replace(DATA.spec, num_slots=3)), "load completes the spec", "expected spec()'s"),
        (replace(DATA, spec=replace(DATA.spec, coordinate_std=())), "load completes the spec", "expected as many"),
    ],
)
def test_a_data_set_that_breaks_a_rule_is_found(splits, claim, message):
    (wrong,) = [wrong for name, wrong in dataset_wrong_with(splits).items() if name.startswith(claim)]
    assert message in wrong


def test_labels_of_fewer_coordinates_than_the_spec_has_are_told_and_no_check_stumbles_over_them():
    labels = DATA.probe.data["labels"]
    fewer = labels._replace(coordinates=labels.coordinates[..., :3])
    probe = ClipsInMemory(DATA.probe.data["frames"], fewer, DATA.probe.data["actions"], DATA.probe.frame_range)
    wrong = dataset_wrong_with(replace(DATA, probe=probe))
    assert "labels.coordinates" in wrong["clips have the shape that the spec says"]
    assert not any("it raises" in told for told in wrong.values())


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (lambda self, data, key, n, w: DATA.train.sample(data, jax.random.key(0), n, w), "the same sample"),
        (
            lambda self, data, key, n, w: DATA.train.sample(
                data, jax.random.fold_in(key, np.random.randint(2**30)), n, w
            ),
            "one key gives two samples",
        ),
    ],
)
def test_samples_must_depend_on_the_key_alone(sample, message):
    assert message in dataset_wrong_with(with_train(sample=sample))["samples depend on the key alone"]


@dataclass(frozen=True, kw_only=True)
class Mean(Probe):
    """The mean of the slots that count."""

    fault: str = ""

    def __call__(self, train, val, test, key):
        slots = test.slots if self.fault == "all" else test.slots[test.valid]
        value = float(slots.mean()) + (np.random.normal() if self.fault == "drawn" else 0)
        if self.fault == "masks" and test.masks is not None:
            value += float(test.masks[:, :, 0].mean())
        if self.fault == "predicted" and test.predicted is not None:
            value += float(test.predicted.mean())
        if self.fault == "labels":
            value += float(test.labels.coordinates.mean())
        rows = [Metric("mean", "all", float("nan") if self.fault == "nan" else value)]
        if self.fault == "vector":
            object.__setattr__(rows[0], "value", np.zeros(300))
        if self.fault == "better":
            object.__setattr__(rows[0], "higher_is_better", "lower")
        if self.fault == "numpy":
            object.__setattr__(rows[0], "higher_is_better", np.bool_(True))
        rows += rows if self.fault == "twice" else []
        if self.fault == "number":
            object.__setattr__(rows[0], "target", 0)
        if self.fault == "hole" and test.masks is None:
            rows = []
        notes = {"n": np.arange(3)} if self.fault == "notes" else {}
        large = {"arrays": np.zeros(5_000_000, np.uint8), "objects": np.array([None])}.get(self.fault)
        arrays = {} if large is None else {"large": large}
        return ProbeResult(tuple(rows), notes=notes, arrays=arrays)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("", None),
        ("all", "depends on slots where `valid` is False"),
        ("masks", "depends on masks where `valid` is False"),
        ("predicted", "depends on predictions from where `valid` is False"),
        ("labels", "depends on labels where `valid` is False"),
        ("drawn", "asked twice with one key"),
        ("nan", "it gave mean of all = nan; undefined must be None"),
        ("vector", "it gave mean of all = an array of shape (300,); expected a number"),
        ("twice", "it gave mean of all twice"),
        ("better", "it gave mean with higher_is_better 'lower'; expected True, False or None"),
        ("numpy", None),
        ("number", "it gave 'mean' of 0 on 'test'; expected texts"),
        ("arrays", "at most 4000000 are kept"),
        ("objects", "its probe.large is no array of numbers"),
        ("hole", "it gave no metric; expected undefined ones as None"),
        ("notes", "notes hold what is no JSON value"),
    ],
)
def test_a_probe_that_breaks_a_rule_is_found(fault, message):
    outcomes = ask(probe_checks.CHECKS, probe_checks.Question(Mean(fault=fault), DATA))
    wrong = [outcome.wrong for outcome in outcomes if outcome.wrong]
    assert (not wrong) if message is None else any(message in text for text in wrong)


@pytest.mark.parametrize("name", [*probes])
def test_every_probe_keeps_what_a_probe_must(name):
    brief = {"max_steps": 2} if "max_steps" in {field.name for field in fields(probes.entry(name)[0])} else {}
    probe = probes.create(name, **brief)
    if reason := probe.supports(SPEC):
        pytest.skip(reason)
    question = probe_checks.Question(probe, DATA)
    assert not [outcome for outcome in ask(probe_checks.CHECKS, question) if outcome.wrong]


def test_the_command_says_what_holds_and_what_does_not(capsys, monkeypatch):
    monkeypatch.setitem(methods._entries, "loose", (LooseMasks, {}))
    monkeypatch.setitem(methods._entries, "sound", (Sound, {}))
    monkeypatch.setitem(datasets._entries, "dots", (Dots, {}))
    assert main(["sound", "--datasets", "dots"]) == 0
    told = capsys.readouterr().out
    assert "WRONG" not in told and "test_check.py), on data like dots" in told
    assert main(["loose", "--datasets", "dots"]) == 1
    (wrong,) = [line for line in capsys.readouterr().out.splitlines() if "WRONG" in line]
    assert wrong.strip() == "WRONG  masks sum to 1 over slots: the masks of encode sum to 2 up to 2 over slots; " + (
        "expected 1, and none below 0"
    )


def test_an_exit_is_what_is_wrong_and_does_not_end_the_checks(capsys, monkeypatch):
    monkeypatch.setitem(methods._entries, "leaving", (Leaving, {}))
    monkeypatch.setitem(datasets._entries, "dots", (Dots, {}))
    assert main(["leaving", "--datasets", "dots"]) == 1
    told = capsys.readouterr().out
    assert "the loss is a finite scalar with named parts: it raises SystemExit: enough (" in told
    assert "ok     encode is deterministic" in told


def test_one_cause_is_told_once(capsys, monkeypatch):
    monkeypatch.setitem(methods._entries, "unbuilt", (Unbuilt, {}))
    monkeypatch.setitem(datasets._entries, "dots", (Dots, {}))
    assert main(["unbuilt", "--datasets", "dots"]) == 1
    told = capsys.readouterr().out.splitlines()
    (first,) = [line for line in told if "WRONG" in line]
    assert "build gave a NoneType" in first and "the loss is a finite scalar with named parts: " in first
    others = [line for line in told if line.startswith("  -  ")]
    assert others and all(line.endswith(": as in 'the loss is a finite scalar with named parts'") for line in others)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["scnn"], "unknown method, data set or probe 'scnn'; did you mean 'scn'?"),
        (["scn", "--datasets", "pongg"], "did you mean 'pong'?"),
        (["my/own.py"], "'my/own.py' is a file; say NAME --plugin my/own.py, with the name that it registers"),
        (["supervised", "--datasets", "gridworld-colours-5-slots-4"], "slot j learns object j, but there are 4 slots"),
        (["scn", "--plugin", "nowhere.py"], "there is no such file"),
    ],
)
def test_a_mistake_in_the_command_is_one_line_and_exit_code_2(capsys, arguments, message):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_a_loss_that_is_not_a_number_draws_no_other_numbers_the_second_time():
    class Broken(Sound):
        def loss(self, model, batch, key):
            loss, logs = super().loss(model, batch, key)
            return loss * jnp.nan, logs

    outcomes = ask(method_checks.checks(Broken), Trial(Broken(), DATA))
    wrong = {outcome.claim: outcome.wrong for outcome in outcomes if outcome.wrong}
    assert "the loss is nan" in wrong["the loss is a finite scalar with named parts"]
    assert "seeds reproduce and differ" not in wrong
