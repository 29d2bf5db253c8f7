from dataclasses import replace

import numpy as np
import pytest

from components.models import feature_memo
from components.models.backbones import Backbone
from components.models.feature_memo import Memo, Source, features_of, forgetting, remembered, remembering

IMAGES = [np.full((4, 4, 3), value, np.uint8) for value in range(6)]
N = Source(("n",))
SIZE = 4 * 16
"""Bytes of what `Network` gives for an image."""


class Network:
    """Counts what it is asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, images):
        self.asked += [int(image[0, 0, 0]) for image in images]
        return [[np.full((1, 4, 4), image[0, 0, 0], np.float32)] for image in images]


@pytest.fixture
def network():
    return Network()


def values(found):
    return [int(features[0][0, 0, 0]) for features in found]


def test_nothing_is_remembered_by_itself(network):
    for _ in range(2):
        assert values(features_of(N, IMAGES[:2], network)) == [0, 1]
    assert network.asked == [0, 1, 0, 1]


def test_what_was_seen_is_not_computed_again_and_keeps_its_place(network):
    with remembering(1e6):
        features_of(N, [IMAGES[3], IMAGES[1]], network)
        assert values(features_of(N, IMAGES[:4], network)) == [0, 1, 2, 3]
        assert network.asked == [3, 1, 0, 2]
        features_of(Source(("another",)), IMAGES[:1], network)
        assert network.asked == [3, 1, 0, 2, 0]
    features_of(N, IMAGES[:1], network)
    assert network.asked[5:] == [0]


def test_layers_that_more_layers_came_with_are_not_computed_again():
    asked = []

    def network(*layers):
        def compute(images):
            asked.append((layers, len(images)))
            return [
                [np.full((1, 2, 2), 10 * layer + image[0, 0, 0], np.float32) for layer in layers] for image in images
            ]

        return Source(layers), compute

    def said(source, compute, images):
        return [[int(layer[0, 0, 0]) for layer in one] for one in features_of(source, images, compute)]

    with remembering(1e6):
        assert said(*network(3, 6, 9), IMAGES[:2]) == [[30, 60, 90], [31, 61, 91]]
        assert said(*network(9), IMAGES[:3]) == [[90], [91], [92]]
        assert said(*network(3, 9), IMAGES[:3]) == [[30, 90], [31, 91], [32, 92]]
        assert said(*network(9, 12), IMAGES[:1]) == [[90, 120]]
        source, compute = network(9)
        assert said(Source(source.layers, "other tiles"), compute, IMAGES[:1]) == [[90]]
    assert asked == [((3, 6, 9), 2), ((9,), 1), ((3, 9), 1), ((9, 12), 1), ((9,), 1)]


def test_what_is_timed_neither_uses_nor_leaves_anything(network):
    with remembering(1e6):
        features_of(N, IMAGES[:1], network)
        with forgetting():
            features_of(N, IMAGES[:2], network)
        assert remembered().held == SIZE
        features_of(N, IMAGES[:1], network)
    assert network.asked == [0, 0, 1]


def test_images_of_another_shape_are_others(network):
    with remembering(1e6):
        features_of(N, [np.zeros((2, 8, 3), np.uint8), np.zeros((8, 2, 3), np.uint8)], network)
    assert len(network.asked) == 2


def test_equal_images_of_one_call_are_computed_once(network):
    with remembering(1e6):
        assert values(features_of(N, [IMAGES[2], IMAGES[1], IMAGES[2]], network)) == [2, 1, 2]
        assert remembered().held == 2 * SIZE
    assert network.asked == [2, 1]


def test_no_more_than_the_limit_is_held_and_the_oldest_network_goes_first(network):
    memo = Memo(3 * SIZE)
    features = network(IMAGES)
    for place in range(4):
        memo.put(Source(("first",)), bytes([place]), features[place])
    assert [memo.get(Source(("first",)), bytes([place])) is not None for place in range(4)] == [True, True, True, False]
    memo.put(Source(("second",)), b"a", features[4])
    assert [memo.get(Source(("first",)), bytes([place])) is not None for place in range(3)] == [True, True, False]
    assert memo.get(Source(("second",)), b"a")[0] is features[4][0]
    memo.put(Source(("third",)), b"a", [np.zeros(4 * SIZE, np.uint8)])
    assert memo.get(Source(("second",)), b"a")[0] is features[4][0]
    for place in range(2):
        memo.put(Source(("fourth",)), bytes([place]), features[place])
    assert memo.get(Source(("first",)), bytes([0])) is None
    memo.put(Source(("second",)), b"b", features[5])
    assert memo.get(Source(("second",)), b"a")[0] is features[4][0]
    assert memo.held == 3 * SIZE


def test_two_networks_that_take_turns_do_not_empty_each_other():
    memo = Memo(10 * SIZE)
    small, large = [np.zeros(SIZE, np.uint8)], [np.zeros(3 * SIZE, np.uint8)]
    for _ in range(3):
        known = 0
        for network, features in (("bank", small), ("dino", large)):
            for place in range(4):
                known += memo.get(Source((network,)), bytes([place])) is not None
                memo.put(Source((network,)), bytes([place]), features)
    assert known > 0
    assert memo.held <= memo.limit


def test_a_block_within_another_goes_on_with_its_memory(network):
    with remembering(1e6):
        for _ in range(2):
            with remembering(1e6):
                features_of(N, IMAGES[:1], network)
        assert remembered().held == SIZE
    assert remembered() is None
    assert network.asked == [0]


def test_once_closed_a_memory_holds_nothing_until_another_block_begins(network):
    with remembering(1e6):
        features_of(N, IMAGES[:1], network)
        remembered().close()
        for _ in range(2):
            features_of(N, IMAGES[:1], network)
        with remembering(1e6):
            for _ in range(2):
                features_of(N, IMAGES[:1], network)
        assert remembered().held == 0
    assert network.asked == [0, 0, 0, 0]


def test_images_that_go_through_a_network_together_are_not_remembered(network, monkeypatch):
    monkeypatch.setattr(feature_memo, "has_cuda", lambda: True)
    with remembering(1e6):
        for _ in range(2):
            features_of(N, IMAGES[:1], network)
    assert network.asked == [0, 0]


def test_what_is_remembered_cannot_be_changed(network):
    with remembering(1e6):
        (features,) = features_of(N, IMAGES[:1], network)
    with pytest.raises(ValueError, match="read-only"):
        features[0][:] = 1


@pytest.mark.parametrize("name", ["memory-bank", "gaussian", "dino-memory"])
def test_detectors_give_the_same_bits_from_remembered_features(name, cases, monkeypatch):
    case = replace(cases[name], normal=cases[name].normal[:6])
    seen, run = [], Backbone.features
    monkeypatch.setattr(Backbone, "features", lambda one, images: seen.extend(images) or run(one, images))
    without = case.fitted().score(case.normal)
    once = {image.tobytes() for image in seen}
    seen.clear()
    with remembering(1e9):
        for _ in range(2):
            found = case.fitted().score(case.normal)
            assert np.array_equal(found.image, without.image)
            assert np.array_equal(found.maps, without.maps)
    assert len(seen) == len(once)
