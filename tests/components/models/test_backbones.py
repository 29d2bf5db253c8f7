from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from components.core.errors import ModelError, UnavailableError
from components.models import backbones, efficientnet, inference, weights
from components.models.backbones import Backbone
from components.models.torch_network import TorchNetwork

LITE, DINO = "efficientnet-lite0", "dino-vits14"


def pictures(count, height, width):
    return np.random.default_rng(0).integers(0, 255, (count, height, width, 3)).astype(np.uint8)


def timm_layers(name, image, layers):
    """The same layers by timm in torch, of one image."""
    import timm

    tensors, _ = weights.read_weights(name, weights.find_weights(name))
    x = torch.from_numpy(image)[None].permute(0, 3, 1, 2) / 255
    if name == LITE:
        model = timm.create_model("tf_efficientnet_lite0", features_only=True)
        known = {key: torch.from_numpy(value) for key, value in tensors.items()}
        model.load_state_dict(known, strict=False)
        with torch.inference_mode():
            found = model.eval()((x - 0.5) / 0.5)
        return [found[layer].permute(0, 2, 3, 1).numpy() for layer in layers]
    model = timm.create_model("vit_small_patch14_dinov2", num_classes=0, img_size=518)
    model.load_state_dict({key: torch.from_numpy(value) for key, value in tensors.items()}, strict=True)
    mean, deviation = (torch.tensor(v).reshape(1, 3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    with torch.inference_mode():
        found = model.eval().forward_intermediates(
            (x - mean) / deviation, indices=[layer - 1 for layer in layers], intermediates_only=True
        )
    return [one.permute(0, 2, 3, 1).numpy() for one in found]


@pytest.mark.parametrize(
    ("name", "layers", "size", "channels"),
    [(LITE, (0, 2, 3, 4), (96, 70), (16, 40, 112, 320)), (DINO, (1, 3), (518, 518), (384, 384))],
)
def test_features_are_those_of_the_network_in_torch(name, layers, size, channels):
    backbone, images = Backbone.installed(name, layers=layers), pictures(1, *size)
    assert backbone.channels == channels
    for ours, theirs in zip(backbone.features(images), timm_layers(name, images[0], layers), strict=True):
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() < 1e-4 * np.abs(theirs).max()


def test_names_are_those_of_timm_in_its_order():
    import timm

    with torch.device("meta"):
        model = timm.create_model(efficientnet.ARCHITECTURE, pretrained=False)
    assert efficientnet.names() == list(model.state_dict())


def test_dino_weights_give_what_their_onnx_file_gives():
    core, images = inference._core(), pictures(1, 224, 224)
    whole = core.read_model(weights.find_weights(DINO))
    port = "/backbone/encoder/layer.3/norm1/ReduceMean"
    node = next(op for op in whole.get_ops() if op.get_friendly_name() == port)
    whole.add_outputs([node.input_value(0)])
    compiled = core.compile_model(whole, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    x = ((images / 255 - mean) / deviation).transpose(0, 3, 1, 2).astype(np.float32)
    theirs = compiled(x)[len(compiled.outputs) - 1][:, 1:]
    ours = Backbone.installed(DINO, layers=(3,)).features(images)[0].reshape(1, -1, 384)
    assert np.abs(ours - theirs).max() < 1e-3 * np.abs(theirs).max()


@pytest.mark.parametrize(("name", "layers", "grid"), [(LITE, (3,), (6, 3)), (DINO, (1,), (6, 3))])
def test_any_shape_and_the_same_bits_in_any_batch(name, layers, grid):
    backbone = Backbone.installed(name, layers=layers)
    images = pictures(5, *(side * backbone.strides[0] for side in grid))
    whole = backbone.features(images)[0]
    assert whole.shape == (5, *grid, backbone.channels[0])
    for place in range(5):
        assert np.array_equal(backbone.features(images[place : place + 1])[0][0], whole[place])


@pytest.mark.parametrize(
    ("name", "subsets", "side"),
    [("efficientnet-lite0", [(2, 3), (3,), (3, 4)], 96), ("dino-vits14", [(6,), (9,), (6, 9)], 84)],
)
def test_a_layer_has_the_same_bits_whatever_others_are_asked_for(name, subsets, side):
    """In f32; where it has not, as in bf16, features that are remembered are not taken for another network's."""
    every = tuple(sorted({layer for layers in subsets for layer in layers}))
    whole = Backbone.installed(name, layers=every)
    for size in ((side, side), (side, 2 * side)):
        images = np.random.default_rng(0).integers(0, 256, (1, *size, 3), np.uint8)
        all_at_once = dict(zip(every, whole.features(images), strict=True))
        for layers in subsets:
            part = Backbone.installed(name, layers=layers)
            assert set(part.identities) <= set(whole.identities)
            for layer, found in zip(layers, part.features(images), strict=True):
                assert np.array_equal(found, all_at_once[layer])


def test_in_sixteen_bits_layers_are_those_of_one_network_only():
    some, all_of_them = (
        Backbone.installed("dino-vits14", layers=layers, precision="bf16") for layers in ((6,), (6, 9))
    )
    assert not set(some.identities) & set(all_of_them.identities)


def test_saved_tensors_give_the_same_features_and_others_are_refused():
    backbone, images = Backbone.installed(LITE, layers=(2, 3)), pictures(1, 64, 64)
    tensors = backbone.tensors()
    again = Backbone(LITE, tensors, layers=(2, 3), digest=backbone.digest)
    assert all(np.array_equal(a, b) for a, b in zip(again.features(images), backbone.features(images), strict=True))
    changed = {**tensors, "conv_stem.weight": tensors["conv_stem.weight"] * 2}
    other = Backbone(LITE, changed, layers=(2, 3), digest=backbone.digest)
    assert not np.array_equal(other.features(images)[0], backbone.features(images)[0])
    with pytest.raises(ModelError, match="do not fit"):
        Backbone(LITE, {**tensors, "conv_stem.weight": tensors["conv_stem.weight"][:, :2]}, layers=(2, 3), digest="")
    with pytest.raises(ModelError, match="do not fit"):
        Backbone(LITE, {}, layers=(2,), digest="")


def test_positions_of_another_grid_are_refused():
    backbone = Backbone.installed(DINO, layers=(1,))
    tensors = {**backbone.tensors(), "pos_embed": backbone.tensors()["pos_embed"][:, : 1 + 16 * 16]}
    with pytest.raises(ModelError, match="do not fit"):
        Backbone(DINO, tensors, layers=(1,), digest="")


def test_images_of_many_shapes_go_through_one_network():
    backbones._compiled.cache_clear()
    backbone = Backbone.installed(LITE, layers=(2,))
    for height, width in ((64, 64), (32, 96), (128, 32)):
        assert backbone.features(pictures(1, height, width))[0].shape[1:3] == (height // 8, width // 8)
    assert backbones._compiled.cache_info().misses == 1


def test_f32_is_f32_and_bf16_is_not_given_where_the_processor_lacks_it(monkeypatch):
    images = pictures(1, 64, 64)
    f32 = Backbone.installed(LITE, layers=(3,)).features(images)[0]
    if not inference.lacks("bf16"):
        bf16 = Backbone.installed(LITE, layers=(3,), precision="bf16").features(images)[0]
        assert 1e-4 < np.abs(bf16 - f32).max() / np.abs(f32).max() < 0.2
    monkeypatch.setattr(inference, "lacks", lambda precision: "" if precision == "f32" else "This one does not.")
    with pytest.raises(UnavailableError, match="does not"):
        Backbone.installed(LITE, layers=(2,), precision="bf16").features(images)  # of other layers: compiled anew


@pytest.mark.parametrize("name", [LITE, DINO])
def test_weights_of_another_origin_are_refused(name, monkeypatch, tmp_path):
    from safetensors.numpy import save_file

    other = tmp_path / "w.safetensors"
    save_file({"a": np.zeros(1, np.float32)}, other)
    monkeypatch.setenv(weights.WEIGHTS[name].variable, str(other))
    with pytest.raises(UnavailableError, match="does not hold"):
        Backbone.installed(name, layers=(1,))
    monkeypatch.setenv(weights.WEIGHTS[name].variable, str(tmp_path / "none.safetensors"))
    with pytest.raises(UnavailableError, match=r"none\.safetensors"):
        Backbone.installed(name, layers=(1,))


@pytest.mark.parametrize(("name", "layers"), [(LITE, (1, 3)), (DINO, (1, 3))])
def test_torch_gives_the_same_features(name, layers):
    backbone, images = Backbone.installed(name, layers=layers), pictures(2, 126, 70)
    arrays = backbone.tensors()
    by_torch = TorchNetwork(name, arrays, layers=layers, precision="f32", device="cpu").run(images)
    for ours, theirs in zip(backbone.features(images), by_torch, strict=True):
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() < 1e-4 * np.abs(theirs).max()


def test_threads_that_come_at_once_get_the_same_bits():
    images = pictures(8, 64, 96)
    backbone = Backbone.installed(LITE, layers=(2, 3))
    alone = backbone.features(images)
    for _ in range(5):
        backbones._compiled.cache_clear()  # so that both threads find nothing compiled
        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(lambda image: backbone.features(image[None]), images))
        for layer, whole in enumerate(alone):
            assert np.array_equal(np.concatenate([one[layer] for one in found]), whole)


def test_the_pinned_file_is_read_alike_with_torch_and_in_a_process_of_its_own(monkeypatch, tmp_path):
    path = weights.find_weights(LITE)
    here, elsewhere = weights._read_here(path), weights._read_elsewhere(path)
    assert all(np.array_equal(a, b) for a, b in zip(here, elsewhere, strict=True))
    broken = tmp_path / "weights.pth"
    broken.write_bytes(b"no archive")
    with pytest.raises(UnavailableError, match=r"weights\.pth cannot be read: .*\w"):
        weights._read_elsewhere(broken)
    monkeypatch.setattr(weights, "_PATIENCE", 0.01)
    with pytest.raises(UnavailableError, match=r"not read within 0\.01 s"):
        weights._read_elsewhere(path)
