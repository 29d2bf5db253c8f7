"""What image detectors over a frozen backbone share: how images reach it, and how it is kept with the model."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from ..core.contracts import Calibration, Modality, Params, Scores
from ..core.errors import ModelError
from ..core.network import WholeNetwork
from ..core.ports import Batch, Image, Progress, Samples, silent
from ..core.scoring import score_all
from .backbones import Backbone
from .bundle import read_bundle, write_bundle
from .exported import over_backbone
from .feature_memo import Source, features_of
from .images import check_image, scaled
from .inference import Floats
from .onnx_graph import OnnxGraph, Value
from .parallel import each
from .params import base
from .params.base import Precision, Resize
from .precision import Proof, compared, usable_precision
from .preflight import network_bytes, reading_bytes
from .tiling import Frame, joined

IMAGES_AT_ONCE = 8
_WEIGHTS = "backbone."


class BackboneParams(Protocol):
    """What such a detector reads of its parameters itself."""

    @property
    def image_size(self) -> int: ...  # noqa: D102 - side of the input, pixels

    @property
    def resize(self) -> Resize: ...  # noqa: D102 - see `Frame`

    @property
    def tiles(self) -> int: ...  # noqa: D102 - see `Frame`

    @property
    def precision(self) -> Precision: ...  # noqa: D102 - what the backbone computes in

    def model_dump(self) -> dict[str, Any]: ...  # noqa: D102 - every parameter


P = TypeVar("P", bound=BackboneParams)


class OnBackbone(ABC, Generic[P]):
    """A detector over a frozen backbone; subclasses say which one, and learn, score and keep what is their own.

    Attributes:
        backbone_name: See `Backbone`.
        parameters: Class of the parameters.
        noun: What a person calls it.
        facts: What a fit did: images read, patches seen and kept, and the like; empty before.
    """

    name: ClassVar[str]
    modality: ClassVar[Modality] = Modality.IMAGE
    uses_labels: ClassVar[bool] = False
    batch_tolerance: ClassVar[float] = 1e-6
    backbone_name: ClassVar[str]
    parameters: ClassVar[type[base.Params]]
    noun: ClassVar[str]
    memory_depends_on: ClassVar[tuple[str, ...]] = ("image_size", "tiles")
    _before: ClassVar[Params] = {}
    """What a parameter was while models did not name it."""

    def __init__(self, params: P, *, backbone: Backbone | None = None) -> None:
        self.calibration: Calibration | None = None
        self.facts: dict[str, float | int | str] = {}
        self._proof: Proof | None = None
        self._params = params
        self._backbone = backbone or Backbone.installed(
            self.backbone_name, layers=self._layers(params), precision=params.precision
        )

    @property
    def params(self) -> Params:
        """Every parameter."""
        return self._params.model_dump()

    @property
    def embed_size(self) -> int:
        """E of `embed`."""
        return sum(self._backbone.channels)

    @abstractmethod
    def fit(self, samples: Samples, *, seed: int, progress: Progress = silent) -> None:
        """See `components.core.ports.Detector`."""

    @abstractmethod
    def score(self, batch: Batch) -> Scores:
        """See `components.core.ports.Detector`."""

    def memory_needed(self, samples: Samples) -> float:
        """See `components.core.ports.Foreseen`."""
        (image,) = cast(Sequence[Image], samples.take([0]))
        frame, channels, stride = self._frame, self.embed_size, self._backbone.strides[0]
        pixels = image.shape[0] * image.shape[1]
        read = reading_bytes(images=IMAGES_AT_ONCE, pixels=pixels, frame=frame, channels=channels, stride=stride)
        return network_bytes(self.backbone_name, frame=frame) + read + self._learned_bytes(len(samples))

    def explain(self, batch: Batch) -> NDArray[np.float32]:
        """The maps of `score`."""
        maps = self.score(batch).maps
        assert maps is not None
        return maps

    def as_network(self) -> WholeNetwork:
        """See `components.core.ports.Detector`.

        Raises:
            ModelError: It is not fitted, keeps the aspect of images and does not know it, or is too large.
        """
        self._learned()
        return over_backbone(self._backbone, self._frame, shape=self._learned_shape(), outputs=self._outputs)

    def save(self, directory: Path) -> None:
        """See `components.models.bundle`; the backbone's weights go with it, so that the folder needs nothing else."""
        write_bundle(
            directory,
            name=self.name,
            params=self._params.model_dump(),
            state=self.state(),
            tensors=self.tensors(),
            calibration=self.calibration,
        )

    @classmethod
    def load(cls, directory: Path) -> Self:
        """See `components.core.ports.Detector`."""
        found = read_bundle(directory)
        header = found.header
        detector = cls.restored(header.params, state=header.state, tensors=found.tensors, where=str(directory))
        detector.calibration = header.calibration
        return detector

    def state(self) -> dict[str, Any]:
        """What is saved of it beside its parameters and `tensors`."""
        return {
            "backbone_sha256": self._backbone.digest,
            "facts": self.facts,
            "f32": None if self._proof is None else self._proof.model_dump(),
        }

    def tensors(self) -> dict[str, NDArray[Any]]:
        """The backbone's weights, and what was learned.

        Raises:
            ModelError: It is not fitted.
        """
        return {**{_WEIGHTS + name: tensor for name, tensor in self._backbone.tensors().items()}, **self._learned()}

    @classmethod
    def restored(
        cls, params: Params, *, state: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]], where: str
    ) -> Self:
        """The detector that had these parameters, `state` and `tensors`; `where` they lie is named in errors.

        Raises:
            ModelError: They are not a whole detector's, or do not fit each other.
        """
        weights = {n.removeprefix(_WEIGHTS): t for n, t in tensors.items() if n.startswith(_WEIGHTS)}
        learned = {name: t for name, t in tensors.items() if not name.startswith(_WEIGHTS)}
        try:
            checked = cast(P, cls.parameters.model_validate({**cls._before, **params}))
            proof = Proof.model_validate(state["f32"]) if state.get("f32") else None
            backbone = Backbone(
                cls.backbone_name,
                weights,
                layers=cls._layers(checked),
                digest=str(state["backbone_sha256"]),
                precision=usable_precision(checked.precision, proof=proof, noun=cls.noun),
            )
            detector = cls(checked, backbone=backbone)
            fits = detector._restore(learned)
        except (KeyError, ValidationError) as error:
            raise ModelError(f"{where} does not hold a whole {cls.name} model.", hint="Restore it.") from error
        if not fits:
            raise ModelError(f"{where} has no {cls.noun} that fits its backbone.", hint="Restore it.")
        detector.facts, detector._proof = state.get("facts", {}), proof
        return detector

    def prove_f32(self, samples: Samples) -> None:
        """See `components.core.ports.Portable`."""
        if self._params.precision == "f32" or self.calibration is None:
            return
        one = self._backbone
        backbone = Backbone(one.name, one.tensors(), layers=one.layers, digest=one.digest, precision="f32")
        twin = type(self)(self._params, backbone=backbone)
        twin._restore(self._learned())
        self._proof = compared(score_all(self, samples), score_all(twin, samples), self.calibration)

    @abstractmethod
    def _learned_bytes(self, images: int) -> float:
        """What learning from so many images takes, besides reading them."""

    @staticmethod
    @abstractmethod
    def _layers(params: P) -> tuple[int, ...]:
        """Layers of the backbone that are used."""

    @abstractmethod
    def _learned(self) -> Mapping[str, NDArray[Any]]:
        """What `fit` learned, by the names of a bundle's tensors.

        Raises:
            ModelError: It is not fitted.
        """

    @abstractmethod
    def _restore(self, learned: Mapping[str, NDArray[Any]]) -> bool:
        """Take what `_learned` gave; whether it fits the backbone.

        Raises:
            KeyError: A part is missing.
        """

    @abstractmethod
    def _outputs(self, graph: OnnxGraph, stages: Sequence[Value]) -> Mapping[str, Value]:
        """Outputs of an exported network by name, of its backbone's `stages`; see `WholeNetwork`."""

    def _learned_shape(self) -> tuple[int, int]:
        """Height and width of the first training image: an exported network takes one shape."""
        if self._frame.resize == "stretch":
            return 1, 1  # whatever it was
        if not {"height", "width"} <= self.facts.keys():
            raise ModelError(
                f"This {self.noun} does not know the aspect of its training images.", hint="Retrain, then export."
            )
        return int(self.facts["height"]), int(self.facts["width"])

    def _not_fitted(self) -> ModelError:
        return ModelError(f"This {self.noun} is not fitted yet.", hint="Call fit or load first.")

    @property
    def _frame(self) -> Frame:
        given = self._params
        multiple = self._backbone.multiple
        return Frame(size=given.image_size, tiles=given.tiles, multiple=multiple, resize=given.resize)

    def _side(self) -> int:
        """Places along a side of the maps: those of the finest layer's grid along the longer side."""
        return self._frame.side // self._backbone.strides[0]

    @staticmethod
    def _read_of(samples: Samples, *, read: int) -> dict[str, float | int | str]:
        """Of `facts`: how many images there were and how many were read; the first one's sides are what is exported."""
        (first,) = cast(Sequence[Image], samples.take([0]))
        return {"images": len(samples), "images_read": read, "height": first.shape[0], "width": first.shape[1]}

    def _features(self, images: Sequence[Image]) -> list[list[Floats]]:
        """Of each image one ``(h, w, C)`` a layer; it is checked, scaled, cut into tiles and put together again."""
        frame = self._frame
        tiles: list[Image] = []
        cuts = []

        def canvas_of(image: Image) -> Image:
            check_image(image)
            height, width = frame.canvas(*image.shape[:2])
            return scaled(image, height=height, width=width)

        for canvas in each(canvas_of, images):
            cuts.append((frame.cuts(canvas.shape[0]), frame.cuts(canvas.shape[1])))
            tiles += [canvas[r.start : r.stop, c.start : c.stop] for r in cuts[-1][0] for c in cuts[-1][1]]
        found = iter(features_of(Source(self._backbone.identities, frame), tiles, self._of_shapes))
        strides = self._backbone.strides
        return [
            joined([next(found) for _ in range(len(rows) * len(columns))], rows=rows, columns=columns, strides=strides)
            for rows, columns in cuts
        ]

    def _of_shapes(self, tiles: Sequence[Image]) -> list[list[Floats]]:
        """Features of each tile, those of one shape at once."""
        shapes: dict[tuple[int, ...], list[int]] = {}
        for place, tile in enumerate(tiles):
            shapes.setdefault(tile.shape, []).append(place)
        found: list[list[Floats]] = [[] for _ in tiles]
        for places in shapes.values():
            layers = self._backbone.features(np.stack([tiles[place] for place in places]))
            if not all(np.isfinite(layer.sum()) for layer in layers):
                raise ModelError("The backbone gave features that are not finite.", hint="Restore its weights.")
            for number, place in enumerate(places):
                found[place] = [layer[number] for layer in layers]
        return found


def in_parts(images: Sequence[Image]) -> Iterator[Sequence[Image]]:
    """`images` in order, `IMAGES_AT_ONCE` at most: the features of all at once might not fit into memory."""
    for start in range(0, len(images), IMAGES_AT_ONCE):
        yield images[start : start + IMAGES_AT_ONCE]


def numbers(joined: str) -> tuple[int, ...]:
    """Layers as a parameter writes them.

    >>> numbers("2-3")
    (2, 3)
    """
    return tuple(int(part) for part in joined.split("-"))
