"""The Atari data set: splits, windows, clips, labels and what does not count as a test frame."""

from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmark.errors import UserError
from benchmark.registry import datasets
from datasets import atari_centred, atari_store
from datasets.atari import AtariSplit
from datasets.atari_collect import PALETTE
from datasets.atari_labels import find_game, games
from datasets.atari_shards import Collection, Play

EPISODES = [np.arange(0, 7), np.arange(7, 10), np.arange(12, 20)]  # frames 10 and 11 belong to another split


def quiet(line):
    pass


@pytest.fixture
def split():
    """Twenty tiny frames whose colour, action and coordinate all tell their number."""
    number = np.arange(20)
    shared = {
        "frames": np.broadcast_to(number[:, None, None], (20, 2, 3)).astype(np.uint8),
        "banks": np.arange(20, dtype=np.int32) % 2,
        "palette": np.linspace(0, 1, 512, dtype=np.float32)[:, None].repeat(3, 1),
        "actions": (number * 2).astype(np.int32),
        "coordinates": number[:, None].astype(np.float32),
    }
    return AtariSplit("pong", shared, EPISODES, clip_length=4)


def _numbers(batch):
    return np.asarray(batch.labels.coordinates)[..., 0].astype(int)


def test_windows_stay_inside_an_episode_and_every_place_is_equally_likely(split):
    batch = split.sample(split.data, jax.random.key(0), 4000, 3)
    numbers = _numbers(batch)
    assert (np.diff(numbers, axis=1) == 1).all()
    counts = Counter(numbers[:, 0].tolist())
    assert set(counts) == {0, 1, 2, 3, 4, 7, 12, 13, 14, 15, 16, 17}
    assert max(abs(count - 4000 / 12) for count in counts.values()) < 90  # five standard deviations


def test_frames_actions_and_labels_of_a_window_belong_together(split):
    sample = jax.jit(split.sample, static_argnums=(2, 3))
    batch = sample(split.data, jax.random.key(1), 6, 5)
    numbers = _numbers(batch)
    assert batch.frames.shape == (6, 5, 2, 3, 3)
    assert batch.frames.dtype == jnp.float32
    np.testing.assert_array_equal(batch.actions, numbers * 2)
    np.testing.assert_allclose(batch.frames[..., 1, 2, 0], (256 * (numbers % 2) + numbers) / 511, rtol=1e-6)


def test_only_the_longest_episode_serves_the_longest_window(split):
    assert (_numbers(split.sample(split.data, jax.random.key(0), 5, 8))[:, 0] == 12).all()


def test_a_window_longer_than_any_episode_is_refused(split):
    with pytest.raises(UserError, match=r"pong: no episode has 9 consecutive frames \(the longest has 8\)"):
        split.sample(split.data, jax.random.key(0), 5, 9)


def test_clips_hold_every_frame_once_and_are_padded_with_the_last_one(split):
    numbers = _numbers(split.read(split.data, jnp.arange(len(split.valid))))
    assert numbers.tolist() == [[0, 1, 2, 3], [4, 5, 6, 6], [7, 8, 9, 9], [12, 13, 14, 15], [16, 17, 18, 19]]
    assert sorted(numbers[split.valid].tolist()) == np.concatenate(EPISODES).tolist()


def _made_up(monkeypatch, episodes=20, length=10, repeated=0, palettes=1):
    """Replaces the emulator's play: frame i shows its number; the first `repeated` probe frames are train frames."""

    def play(first, bank):
        count = episodes * length
        number = np.arange(first, first + count)
        frames = np.zeros((count, 210, 160), np.uint8)
        frames[:, 0, 0], frames[:, 0, 1] = number % 128, number // 128
        ram = np.zeros((count, 128), np.uint8)
        ram[:, 49] = number % 100  # the x of pong's ball; all other labels stand still
        zeros = np.zeros(count, np.uint8)
        return Play(frames, ram, zeros, np.repeat(np.arange(episodes, dtype=np.int32), length), zeros + bank)

    train, probe = play(0, 0), play(1000, palettes - 1)
    probe.frames[:repeated] = train.frames[:repeated]
    made_up = Collection(train, probe, np.tile(np.arange(256), (palettes, 1)), "0" * 64), "0.0"
    monkeypatch.setattr(atari_store, "load", lambda recipe, cache, report: made_up)
    return datasets.create("pong")


def test_labels_that_hardly_move_are_dropped_and_named(monkeypatch, tmp_path):
    splits = _made_up(monkeypatch).load(tmp_path, quiet)
    assert [coordinate.name for coordinate in splits.spec.coordinates] == ["ball_x"]
    assert splits.spec.objects[splits.spec.coordinates[0].object] == "ball"
    assert splits.facts["dropped"] == dict.fromkeys(
        ["player_y", "player_x", "enemy_y", "enemy_x", "ball_y"], pytest.approx(0)
    )
    assert splits.spec.coordinate_mean == (49.5,)
    assert splits.spec.coordinate_std == (pytest.approx(np.arange(100).std()),)


def test_mean_and_deviation_of_labels_are_those_of_the_training_collection(monkeypatch, tmp_path):
    atari = _made_up(monkeypatch)
    collection, _ = atari_store.load(None, tmp_path, quiet)
    collection.probe.ram[:, 49] //= 2
    spec = atari.load(tmp_path, quiet).spec
    assert spec.coordinate_mean == (49.5,)
    assert spec.coordinate_std == (pytest.approx(np.arange(100).std()),)


def test_a_label_that_moves_in_test_frames_only_is_dropped(monkeypatch, tmp_path):
    atari = _made_up(monkeypatch)
    collection, _ = atari_store.load(None, tmp_path, quiet)
    test = atari.load(tmp_path, quiet).test.data["starts"]
    collection.probe.ram[test, find_game("pong").positions[0].ram] = np.arange(len(test))
    splits = atari.load(tmp_path, quiet)
    assert [coordinate.name for coordinate in splits.spec.coordinates] == ["ball_x"]


def test_what_a_reader_must_know_of_the_labels_is_in_the_facts(monkeypatch, tmp_path):
    facts = _made_up(monkeypatch).load(tmp_path, quiet).facts
    assert facts["quirks"] == list(find_game("pong").quirks)
    assert facts["not_position"] == {}
    splits = datasets.create("asteroids", train_frames=200, probe_frames=200, max_episode_steps=20)
    monkeypatch.undo()
    facts = splits.load(tmp_path, quiet).facts
    assert set(facts["not_position"]) and not set(facts["not_position"]) & set(facts["dropped"])
    assert all("not affine" in reason for reason in facts["not_position"].values())


def test_probe_episodes_are_split_seventy_ten_twenty_with_at_least_five_for_val_and_test(monkeypatch, tmp_path):
    facts = _made_up(monkeypatch, episodes=100, length=2).load(tmp_path, quiet).facts
    assert facts["episodes"] == {"train": 100, "probe": 70, "val": 10, "test": 20}
    facts = _made_up(monkeypatch, episodes=20).load(tmp_path, quiet).facts
    assert facts["episodes"] == {"train": 20, "probe": 10, "val": 5, "test": 5}
    facts = _made_up(monkeypatch, episodes=3).load(tmp_path, quiet).facts
    assert facts["episodes"] == {"train": 3, "probe": 1, "val": 1, "test": 1}


def test_splits_share_no_frame(monkeypatch, tmp_path):
    splits = _made_up(monkeypatch).load(tmp_path, quiet)
    frames = [split.data["clips"][split.valid] for split in (splits.probe, splits.val, splits.test)]
    assert sorted(np.concatenate(frames).tolist()) == list(range(200))


@pytest.mark.parametrize("palettes", [1, 2])
def test_a_test_frame_that_was_seen_in_training_does_not_count(monkeypatch, tmp_path, palettes):
    splits = _made_up(monkeypatch, repeated=100, palettes=palettes).load(tmp_path, quiet)
    counted = splits.test.data["clips"][splits.test.valid]
    held = np.unique(splits.test.data["clips"])
    assert sorted(counted.tolist()) == held[held >= 100].tolist()
    assert splits.facts["n_test"] == len(counted)
    assert splits.facts["few_test"]


@pytest.mark.parametrize("part", ["probe", "val"])
def test_a_test_frame_that_is_in_probe_or_val_too_does_not_count(monkeypatch, tmp_path, part):
    atari = _made_up(monkeypatch)
    collection, _ = atari_store.load(None, tmp_path, quiet)
    before = atari.load(tmp_path, quiet)
    twin, test = (int(getattr(before, name).data["clips"][0, 0]) for name in (part, "test"))
    collection.probe.frames[test] = collection.probe.frames[twin]
    after = atari.load(tmp_path, quiet).test
    assert after.data["clips"][~after.valid & before.test.valid].tolist() == [test]


def test_frames_are_the_same_by_their_colours_and_not_by_their_codes(monkeypatch, tmp_path):
    atari = _made_up(monkeypatch, repeated=200, palettes=2)  # the codes of training frames, in another palette
    collection, _ = atari_store.load(None, tmp_path, quiet)
    collection.palettes[1] = 1000 + np.arange(256)
    test = atari.load(tmp_path, quiet).test
    assert len(np.unique(test.data["clips"][test.valid])) == len(np.unique(test.data["clips"]))


def test_another_seed_splits_the_probe_episodes_in_another_way(monkeypatch, tmp_path):
    _made_up(monkeypatch)
    one, again, other = (
        datasets.create("pong", seed=seed).load(tmp_path, quiet).test.data["clips"].tolist() for seed in (0, 0, 1)
    )
    assert one == again != other


def test_too_few_episodes_or_labels_are_answered_with_a_remedy(monkeypatch, tmp_path):
    with pytest.raises(UserError, match="pong: 2 probe episodes cannot be split in three; raise probe_frames"):
        _made_up(monkeypatch, episodes=2).load(tmp_path, quiet)
    with pytest.raises(UserError, match="pong: no test frame differs from all training frames; raise probe_frames"):
        _made_up(monkeypatch, repeated=200).load(tmp_path, quiet)
    _made_up(monkeypatch)
    with pytest.raises(UserError, match=r"pong: every label has an entropy below 6.0 nats over 100 probe frames"):
        datasets.create("pong", min_entropy=6.0).load(tmp_path, quiet)


def test_fields_are_checked():
    with pytest.raises(UserError, match="train_frames is 0; it must be at least 1"):
        datasets.create("pong", train_frames=0)
    with pytest.raises(UserError, match="did you mean 'pong'"):
        datasets.create("pong", game="pongo")


def test_every_game_is_a_data_set_whose_spec_is_known_before_loading():
    for name, game in games().items():
        spec = datasets.create(name).spec()
        assert (spec.name, spec.num_slots, spec.num_actions) == (name, len(game.objects), game.num_actions)
        assert spec.coordinates == game.coordinates
        assert spec.frame_shape == (210, 160, 3)


def test_a_real_game_is_collected_split_and_scored_on_unseen_frames_only(tmp_path):
    boxing = datasets.create("boxing", train_frames=300, probe_frames=300, max_episode_steps=20)
    assert boxing.missing(tmp_path) == (900_000, 2400)
    splits = boxing.load(tmp_path, quiet)
    assert boxing.missing(tmp_path) == (0, 0)
    assert boxing.held() == splits.train.data["frames"].nbytes + splits.probe.data["frames"].nbytes
    known = {frame.tobytes() for frame in splits.train.data["frames"]}
    test, others = splits.test.data, [*splits.probe.data["starts"], *splits.val.data["starts"]]
    known |= {test["frames"][i].tobytes() for i in others}
    held = [test["frames"][i].tobytes() not in known for i in test["clips"][splits.test.valid]]
    assert all(held)
    assert sum(test["frames"][i].tobytes() not in known for i in test["starts"]) == len(held) == splits.facts["n_test"]
    assert {coordinate.object for coordinate in splits.spec.coordinates} == {0, 1}
    batch = splits.train.sample(splits.train.data, jax.random.key(0), 4, 2)
    rgb = {tuple(colour) for colour in (np.asarray(batch.frames).reshape(-1, 3) * 255).round().astype(int).tolist()}
    assert rgb <= {tuple(colour) for colour in PALETTE.tolist()}
    assert find_game("boxing").objects == splits.spec.objects


def test_centred_frames_are_those_of_the_game_less_their_mean_and_the_rest_is_the_same(tmp_path, monkeypatch):
    _made_up(monkeypatch, palettes=2)
    plain = datasets.create("pong", train_frames=200, probe_frames=200).load(tmp_path, quiet)
    centred = datasets.create("pong-centred", train_frames=200, probe_frames=200).load(tmp_path, quiet)
    key = jax.random.key(0)
    before, after = (s.train.sample(s.train.data, key, 50, 3) for s in (plain, centred))
    everything = plain.train.read(plain.train.data, jnp.arange(len(plain.train.valid)))
    frames = np.asarray(everything.frames, np.float64)[plain.train.valid]
    assert len(frames) == 200
    mean, std = frames.mean(0), np.sqrt(np.square(frames - frames.mean(0)).mean())
    expected = np.clip((np.asarray(before.frames) - mean) / std, -50, 50)
    np.testing.assert_allclose(after.frames, expected, atol=1e-4)
    assert abs(expected).max() == 50
    np.testing.assert_array_equal(after.actions, before.actions)
    np.testing.assert_array_equal(after.labels.coordinates, before.labels.coordinates)
    for name in ("probe", "val", "test"):
        one, other = getattr(plain, name), getattr(centred, name)
        np.testing.assert_array_equal(one.valid, other.valid)
        clips = jnp.arange(len(one.valid))
        labels, again = (s.read(s.data, clips).labels.coordinates for s in (one, other))
        np.testing.assert_array_equal(labels, again)
        shown, centred_shown = (np.asarray(s.read(s.data, clips[:1]).frames) for s in (one, other))
        np.testing.assert_allclose(centred_shown, np.clip((shown - mean) / std, -50, 50), atol=1e-4)
    assert centred.facts["std_of_centred_frames"] == pytest.approx(std)
    assert centred.spec.coordinates == plain.spec.coordinates and centred.spec.name == "pong-centred"


def test_the_mean_of_very_many_frames_is_that_of_some_evenly_spaced(monkeypatch):
    monkeypatch.setattr(atari_centred, "FRAMES", 4)
    codes = np.arange(10, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 3), np.uint8)
    palette = np.linspace(0, 1, 256, dtype=np.float32)[:, None].repeat(3, 1)
    mean, variance = atari_centred._statistics({"frames": codes, "banks": np.zeros(10, int), "palette": palette})
    chosen = np.array([0, 3, 6, 9]) / 255
    np.testing.assert_allclose(mean, chosen.mean())
    assert variance == pytest.approx(chosen.var())


def test_a_centred_game_in_which_nothing_changes_is_refused(tmp_path, monkeypatch):
    _made_up(monkeypatch)
    collection, _ = atari_store.load(None, tmp_path, quiet)
    collection.train.frames[:] = 77
    with pytest.raises(UserError, match="pong-centred: the training frames are all alike"):
        datasets.create("pong-centred", train_frames=200, probe_frames=200).load(tmp_path, quiet)


def test_a_game_has_the_papers_numbers_unless_told_otherwise():
    pong = datasets.create("pong")
    assert (pong.train_frames, pong.probe_frames, pong.max_episode_steps) == (100_000, 50_000, 27_000)
    assert pong.min_entropy == 0.6
