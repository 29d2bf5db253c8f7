"""What a detector answers, its threshold, and its figures on a split."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from .records import Record, Split


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Scores of N samples; higher is more anomalous.

    Attributes:
        image: ``(N,)`` float64, one score a sample (image or window).
        maps: ``(N, H, W)`` float32 or None: the same scale, by place.
        uncertainty: ``(N,)`` float64, standard deviation of each score in units of the score; finite and not negative.
            None where the detector cannot tell.
    """

    image: NDArray[np.float64]
    maps: NDArray[np.float32] | None = None
    uncertainty: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        """Compare the shapes."""
        if self.image.ndim != 1:
            raise ValueError(f"scores must be (N,), got {self.image.shape}")
        if self.maps is not None and (self.maps.ndim != 3 or len(self.maps) != len(self.image)):
            raise ValueError(f"maps must be ({len(self.image)}, H, W), got {self.maps.shape}")
        if self.uncertainty is not None and self.uncertainty.shape != self.image.shape:
            raise ValueError(f"uncertainty must be {self.image.shape}, got {self.uncertainty.shape}")

    def __len__(self) -> int:
        return len(self.image)


class Costs(Record):
    """What a verdict costs where it is wrong or asks a person, in any unit; only ratios matter.

    The defaults make `unsure` exactly the 95 % interval: a verdict may be wrong with a chance of 1 in 40.

    Attributes:
        miss: Of an OK that should have been NG.
        false_alarm: Of an NG that should have been OK.
        unsure: Of a person's look.
    """

    miss: float = Field(1.0, gt=0, allow_inf_nan=False)
    false_alarm: float = Field(1.0, gt=0, allow_inf_nan=False)
    unsure: float = Field(0.025, gt=0, allow_inf_nan=False)


class Tail(Record):
    """A generalised Pareto tail above a level: P(score > x) = share (1 + shape (x - level) / scale) ** (-1 / shape).

    Attributes:
        level: Score above which it holds.
        shape, scale: Of the generalised Pareto distribution; a shape below 0 has an upper end.
        exceedances: Scores above `level`, of `samples` in all; `share` is their ratio.
        fit_p: p-value of its goodness of fit (Cramér-von Mises); small is a bad fit.
        source: "calibration" scores, or those "left out" of a memory bank together with them.
    """

    level: float
    shape: float
    scale: float
    exceedances: int
    samples: int
    fit_p: float
    source: Literal["calibration", "left out"] = "calibration"

    @property
    def share(self) -> float:
        """Share of the scores that lie above `level`."""
        return self.exceedances / self.samples


class Calibration(Record):
    """A threshold and where it comes from.

    Attributes:
        threshold: A sample is NG or unsure when its score is above it.
        low, high: 95 % interval of the threshold.
        false_alarm_rate: The declared share of normal samples above the threshold.
        samples: Normal calibration samples used, of windows that overlap as many as they count as.
        method: "split" (samples the model never saw) or "cross" (each scored by a model that did not see it).
        rule: "conformal" (an order statistic) or "extreme-value" (extrapolated by `tail`).
        guarantee: What holds, in one sentence.
        centre: Median calibration score, None in models of earlier releases.
        reference: Pairs of a calibration score and how many are larger, ascending; every one of the largest 256, then
            ever fewer. p-values come from them; empty in models of earlier releases.
        tail: What an extreme-value threshold was extrapolated by.
        costs: Of wrong and of unsure verdicts.
        outlying: Calibration samples that score so far beyond the others that they may be unlabelled anomalies.
        furthest: Names of the first three of these.
    """

    threshold: float
    low: float
    high: float
    false_alarm_rate: float
    samples: int
    method: Literal["split", "cross"]
    rule: Literal["conformal", "extreme-value"] = "conformal"
    guarantee: str
    centre: float | None = None
    reference: tuple[tuple[float, int], ...] = ()
    tail: Tail | None = None
    costs: Costs = Costs()
    outlying: int = 0
    furthest: tuple[str, ...] = ()


class Metric(Record):
    """A figure with its 95 % interval (of latency the central 95 %); `value` None is unmeasured, `note` says why."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    note: str = ""


class Evaluation(Record):
    """What a model did on one split.

    Attributes:
        metrics: Name → figure: image_auroc, average_precision, pixel_auroc, aupro, f1, recall, false_alarm_rate,
            latency_ms.
        looks: How often this sealed split has been looked at by now, this look included.
    """

    split: Split
    dataset: str
    metrics: dict[str, Metric]
    looks: int
