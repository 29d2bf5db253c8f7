"""How often normal samples may be called anomalous, as people write it."""

import re
from typing import Annotated

from pydantic import BeforeValidator, Field

_NUMBER = r"(\d+(?:\.\d+)?(?:e-?\d+)?)"
_COUNT = r"([1-9]\d{0,2}(?:,\d{3})+|[1-9]\d*)"
_SHARE = re.compile(rf"{_NUMBER}\s*(?:per|in|of|/)\s*{_COUNT}", re.IGNORECASE)
_PERCENT = re.compile(rf"{_NUMBER}\s*%")


def parse_rate(value: object) -> object:
    """The share that a text such as ``1 per 1000`` or ``0.1 %`` says; anything else is handed on as it is.

    >>> parse_rate("1 per 1000"), parse_rate("2 in 10,000"), parse_rate("0.5 %"), parse_rate(0.01)
    (0.001, 0.0002, 0.005, 0.01)

    Raises:
        ValueError: It is a text of another form.
    """
    if not isinstance(value, str):
        return value
    text = value.strip()
    if found := _SHARE.fullmatch(text):
        return float(found[1]) / int(found[2].replace(",", ""))
    if found := _PERCENT.fullmatch(text):
        return float(f"{found[1]}e-2") if "e" not in found[1].lower() else float(found[1]) / 100
    try:
        return float(text)
    except ValueError:
        raise ValueError("a rate is written like '1 per 1000', '0.1 %' or 0.001") from None


Rate = Annotated[float, BeforeValidator(parse_rate), Field(gt=0, lt=1)]
"""A share of normal samples in (0, 1), written as `parse_rate` reads it."""


def shown_rate(rate: float) -> str:
    """A rate as people say it.

    >>> shown_rate(0.001), shown_rate(1 / 43), shown_rate(0.05)
    ('1 per 1000', '1 per 43', '1 per 20')
    >>> shown_rate(0.3)
    '30 %'
    """
    every = 1 / rate
    return f"1 per {every:.0f}" if abs(every - round(every)) < 1e-6 * every else f"{100 * rate:.3g} %"
