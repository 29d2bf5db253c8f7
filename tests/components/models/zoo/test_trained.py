import socket

import pytest
import torch
from torch import nn

from components.core.errors import ModelError, UnavailableError
from components.models.zoo.trained import _draws

# What needs anomalib is imported by the tests: it takes seconds, which every process that collects them would wait for.

TRAINED = ("stfpm", "supersimplenet", "draem", "dinomaly", "inp-former")


@pytest.mark.parametrize("name", ["padim", *TRAINED])
def test_nothing_is_asked_of_the_network(cases, listed, monkeypatch, name):
    def refuse(*_):
        raise AssertionError("a connection was tried")

    for call in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, call, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    case = cases[name]
    detector = case.make(**({} if name == "padim" else {"steps": 1}))
    detector.fit(listed(case.normal[:3]), seed=0)
    assert len(detector.score(case.fresh[:1])) == 1


def test_every_image_is_drawn_once_an_epoch():
    torch.manual_seed(0)
    drawn = torch.cat(list(_draws(5, size=3, steps=10))).tolist()
    assert len(drawn) == 30
    assert all(sorted(drawn[start : start + 5]) == list(range(5)) for start in range(0, 30, 5))
    assert len({tuple(drawn[start : start + 5]) for start in range(0, 30, 5)}) > 1


def test_a_loss_that_is_no_number_stops_the_fit(cases, listed, monkeypatch):
    from components.models.zoo.stfpm import Student

    monkeypatch.setattr(Student, "loss", lambda *_, **__: torch.tensor(float("nan")))
    detector = cases["stfpm"].make()
    with pytest.raises(ModelError, match="diverged at step 1 of 20"):
        detector.fit(listed(cases["stfpm"].normal[:3]), seed=0)
    with pytest.raises(ModelError, match="not fitted"):
        detector.score(cases["stfpm"].fresh)


def test_training_computes_in_what_the_processor_has(cases, listed, monkeypatch):
    from components.models.zoo import trained

    normal = listed(cases["stfpm"].normal[:3])
    for lacking, expected in (("no bf16 here", "f32"), ("", "bf16")):
        monkeypatch.setattr(trained, "lacks", lambda precision, lacking=lacking: lacking * (precision == "bf16"))
        detector = cases["stfpm"].make(steps=1)
        detector.fit(normal, seed=0)
        assert detector.facts["training"] == expected
    monkeypatch.setattr(trained, "lacks", lambda _: "no bf16 here")
    with pytest.raises(UnavailableError, match="no bf16 here"):
        cases["stfpm"].make(training="bf16").fit(normal, seed=0)


class Tokens(nn.Module):
    """In the place of an encoder: the same tokens whatever the images."""

    patch_size, num_register_tokens = 14, 0

    def __init__(self, blocks):
        super().__init__()
        self.blocks = blocks

    def forward(self, _):
        return self.blocks


def test_dinomaly_compares_what_anomalibs_does():
    from anomalib.models.image.dinomaly.torch_model import DEFAULT_FUSE_LAYERS, DinomalyModel

    from components.models.zoo.reconstruction import DinomalyNetwork

    torch.manual_seed(0)
    network = DinomalyNetwork(dropout=0.2, steps=1).eval()
    blocks = {f"blocks.{number}": torch.randn(2, 1 + 16, 384) for number in range(2, 10)}
    theirs = DinomalyModel.__new__(DinomalyModel)
    nn.Module.__init__(theirs)
    theirs.encoder, theirs.bottleneck, theirs.decoder = (
        Tokens(blocks),
        nn.ModuleList([network.bottleneck]),
        network.decoder,
    )
    theirs.target_layers, theirs.remove_class_token = list(range(2, 10)), True
    theirs.use_context_recentering = False
    theirs.fuse_layer_encoder = theirs.fuse_layer_decoder = DEFAULT_FUSE_LAYERS
    tokens = torch.stack([block[:, 1:] for block in blocks.values()], dim=1)
    groups = torch.stack([tokens[:, :4].mean(dim=1), tokens[:, 4:].mean(dim=1)], dim=1)
    with torch.inference_mode():
        features, found, _ = network.compared((groups,))
        exact = theirs.get_encoder_decoder_outputs(torch.zeros(2, 3, 56, 56))
    for ours, other in zip((features, found), exact, strict=True):
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(ours, other, strict=True))


def test_coherence_is_the_angle_to_the_nearest_prototype():
    from components.models.zoo.reconstruction import InpNetwork

    torch.manual_seed(0)
    network = InpNetwork(prototypes=3).eval()
    x = torch.randn(2, 16, 384)
    with torch.inference_mode():
        prototypes = network.gather(network.prototypes.repeat(2, 1, 1), x)
        angles = 1 - nn.functional.cosine_similarity(x[:, :, None], prototypes[:, None], dim=-1)
        assert torch.allclose(network.rebuilt(x)[1], angles.min(dim=2).values.mean(), atol=1e-6)
