"""What a detector over a backbone may compute in on this host, where it was made in a precision that the host lacks.

A bank built with bf16 features is compared with f32 ones then: scores move a little. That is allowed only where it was
tried when the detector was made, on the calibration samples nearest to the threshold, and no verdict flipped.
"""

import logging

from ..core.contracts import Calibration, Record, Scores
from ..core.errors import UnavailableError
from ..metrics.verdicts import answers
from .inference import has_cuda, lacks
from .params.base import Precision

_LOG = logging.getLogger(__name__)


class Proof(Record):
    """Verdicts on the same samples in the detector's precision and in f32.

    Attributes:
        samples: How many.
        flips: OK in one and NG in the other.
        changed: Of any two different words; one may be unsure.
    """

    samples: int
    flips: int
    changed: int


def compared(ours: Scores, theirs: Scores, calibration: Calibration) -> Proof:
    """The verdicts of two scorings of the same samples."""
    words = [
        [answer.word for answer in answers(scores.image, calibration, uncertainty=scores.uncertainty)]
        for scores in (ours, theirs)
    ]
    pairs = list(zip(*words, strict=True))
    return Proof(
        samples=len(pairs),
        flips=sum({one, other} == {"OK", "NG"} for one, other in pairs),
        changed=sum(one != other for one, other in pairs),
    )


def usable_precision(wanted: Precision, *, proof: Proof | None, noun: str) -> Precision:
    """`wanted`, or f32 where this host lacks it and `proof` allows that; a warning says so.

    Raises:
        UnavailableError: The host lacks it, and nothing or no clean proof stands for f32.
    """
    reason = unsupported(wanted)
    if not reason:
        return wanted
    if proof is None or proof.samples == 0 or proof.flips:
        tried = "was not tried"
        if proof is not None and proof.samples:
            tried = f"flips {proof.flips} of {proof.samples} verdicts"
        raise UnavailableError(
            f"{reason} This {noun} was made in {wanted}, and f32 in its place {tried}.",
            hint="Use a machine with AMX or AVX512-BF16, or retrain with precision: f32.",
        )
    told = "%s This %s was made in %s and scores in f32 here; of %d samples near the threshold no verdict flipped."
    _LOG.warning(told, reason, noun, wanted, proof.samples)
    return "f32"


def unsupported(precision: Precision) -> str:
    """Why this host does not compute in `precision`, or ""; a CUDA device, where there is one, is asked by itself."""
    return "" if has_cuda() else lacks(precision)
