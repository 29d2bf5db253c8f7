"""A detector as one ONNX network scores as the detector does, whatever its parameters."""

import numpy as np
import pytest

from components.core.errors import ModelError
from components.export.runner import tables
from components.models import registry
from components.models.onnx_graph import OnnxGraph

SQUARE, WIDE, TALL = 0, 1, 2
"""Which of the cases' images has that aspect."""

PARAMS = [
    ("memory-bank", WIDE, {"tiles": 2, "resize": "fit"}),
    ("memory-bank", SQUARE, {"stages": "2-3-4", "pooling": 3, "neighbours": 3, "reweight": 4}),
    ("memory-bank", TALL, {}),
    ("gaussian", TALL, {"stages": "3-4", "components": "negligible", "resize": "fit"}),
    ("dino-memory", WIDE, {"neighbours": 2, "tiles": 2}),
    ("reference", SQUARE, {}),
    ("ensemble", WIDE, {"bank_size": 96}),
]


@pytest.mark.parametrize(("name", "first", "params"), PARAMS)
def test_images(name, first, params, cases, listed, check_network):
    case = cases[name]
    detector = case.make(**params)
    normal = case.normal[first:][:9]  # the fewest from which a memory tells the unit of its uncertainty
    labels = [0] * len(normal) + [1] * 2
    detector.fit(listed(normal + case.anomalous[:2], labels), seed=0)
    network = detector.as_network()
    sizes, shape = network.preparation["sizes"], normal[0].shape
    assert any(height < width for height, width in sizes.values()) == (first == WIDE)
    assert ("aspect" in network.preparation) == (detector.params.get("resize", "fit") == "fit")
    images = [*case.fresh[first::3][:2], case.anomalous[first]]
    assert {image.shape for image in images} == {shape}
    # Components of little variance magnify what two runtimes round apart, and so does a member's small deviation;
    # how much depends on the processor.
    check_network(detector, network, images, within=1e-4 if name in {"gaussian", "ensemble"} else 1e-5)


def by_networks(detector, windows, runtimes):
    """What the detector's network says of `windows`, by each runtime."""
    network = detector.as_network()
    given = tables.prepared(windows, {"preparation": network.preparation})
    return [run(given) for run in runtimes(network)]


@pytest.mark.parametrize(
    ("window", "features"),
    [(1, "spectral"), (7, "statistics"), (7, "level"), (3, "spectral"), (9, "spectral"), (7, "raw")],
)
def test_tables(window, features, cases, listed, make_rows, runtimes):
    case = cases["deepsad"]
    schema = case.schema.model_copy(update={"window": window})
    detector = registry.create("deepsad", {**case.params, "features": features}, schema=schema)
    # Labelled anomalies move biases and centre, and the weight of the network.
    labelled = make_rows(2, 30, window) + 4
    detector.fit(listed(np.concatenate([make_rows(0, 300, window), labelled]), [0] * 300 + [1] * 30), seed=0)
    windows = make_rows(1, 40, window)
    windows[0, 0, 1], windows[1, 0, 2], windows[2, :, 2], windows[3, :, 0] = 1e30, -1, np.nan, np.nan
    windows[4, :, 1], windows[5, 0, 1] = np.nan, np.nan  # where training had no missing value
    expected = detector.score(windows)
    for found in by_networks(detector, windows, runtimes):
        assert found["score"] == pytest.approx(expected.image, rel=1e-5)
        assert found["uncertainty"] == pytest.approx(expected.uncertainty, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "params"),
    [(name, {"neighbours": 3}) for name in ("knn", "lof", "mahalanobis")] + [("ecod", {}), ("isolation-forest", {})],
)
@pytest.mark.parametrize("window", [1, 7])
def test_tables_by_baselines(name, params, window, cases, listed, make_rows, runtimes):
    schema = cases[name].schema.model_copy(update={"window": window})
    detector = registry.create(name, params, schema=schema)
    detector.fit(listed(make_rows(0, 300, window)), seed=0)
    windows = make_rows(1, 40, window)
    windows[0, 0, 1], windows[1, :, 0] = 1e30, np.nan
    windows[2, :, 1], windows[3, 0, 1] = np.nan, np.nan  # where training had no missing value
    expected = detector.score(windows).image
    for found in by_networks(detector, windows, runtimes):
        assert set(found) == {"score"}
        assert found["score"] == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("name", ["knn", "mahalanobis", "ecod", "deepsad"])
@pytest.mark.parametrize(("window", "features"), [(1, "level"), (7, "level"), (7, "spectral"), (7, "statistics")])
def test_gaps_in_several_complete_columns_are_one_feature(name, window, features, cases, listed, make_rows, runtimes):
    schema = cases[name].schema.model_copy(update={"window": window})
    detector = registry.create(name, {**cases[name].params, "features": features}, schema=schema)
    detector.fit(listed(np.nan_to_num(make_rows(0, 300, window), nan=10.0)), seed=0)
    windows = np.nan_to_num(make_rows(1, 40, window), nan=10.0)
    windows[:10, 0, 0], windows[5:15, window // 2 :, 1], windows[20:25, :, :2] = np.nan, np.nan, np.nan
    expected = detector.score(windows).image
    for found in by_networks(detector, windows, runtimes):
        assert found["score"] == pytest.approx(expected, rel=1e-4, abs=1e-5)


BASELINES = ["knn", "lof", "mahalanobis", "ecod", "isolation-forest"]


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("window", [1, 7])
def test_a_value_met_before_is_itself_in_32_bits(name, window, cases, listed, make_rows, runtimes):
    schema = cases[name].schema.model_copy(update={"window": window})
    detector = registry.create(name, {}, schema=schema)
    normal = make_rows(0, 300, window).round()  # so that each value is met many times, and whole rows are
    detector.fit(listed(normal), seed=0)
    expected = detector.score(normal).image
    for found in by_networks(detector, normal, runtimes):
        assert found["score"] == pytest.approx(expected, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("name", [*BASELINES, "deepsad"])
@pytest.mark.parametrize("features", ["statistics", "spectral"])
def test_what_does_not_move_within_a_window_has_no_deviation_there(name, features, cases, listed, make_rows, runtimes):
    schema = cases[name].schema.model_copy(update={"window": 7})
    detector = registry.create(name, {**cases[name].params, "features": features}, schema=schema)
    normal, fresh = make_rows(0, 300, 7), make_rows(1, 40, 7)
    for windows in (normal, fresh):
        windows[:, :, 0] = 21.7  # whose mean of seven is another number
        windows[:, :, 1] = windows[:, :1, 1].round(1)  # a setpoint
    detector.fit(listed(normal), seed=0)
    expected = detector.score(fresh).image
    within = 0.03 if name == "lof" else 1e-4  # of neighbours that are equally far it asks one or the other how dense
    for found in by_networks(detector, fresh, runtimes):
        assert found["score"] == pytest.approx(expected, rel=within, abs=within)


def test_a_model_of_before_shapes_were_kept_is_exported_only_where_images_were_made_square(cases):
    for resize in ("stretch", "fit"):
        detector = cases["gaussian"].fitted(resize=resize)
        detector.facts = {}
        if resize == "stretch":
            assert detector.as_network().preparation["sizes"] == {"image": [64, 64]}
        else:
            with pytest.raises(ModelError, match="does not know the aspect"):
                detector.as_network()


def test_an_unsound_network_is_never_written():
    graph = OnnxGraph()
    x = graph.windows(rows=2, columns=3)
    graph.output("score", graph.op("MatMul", x, np.ones((5, 1), np.float32), shape=(-1, 2, 1)))
    with pytest.raises(ValueError, match="no sound ONNX"):
        graph.serialized()
