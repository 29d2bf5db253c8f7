"""The one answer to a sample that cannot be used; ingest turns it into a quarantine record."""

from ..core.errors import LinewrightError


class UnusableSample(LinewrightError):  # noqa: N818 - an answer about a sample, not a fault of the program
    """A file or window that cannot be a sample.

    Args:
        reason: A short fixed word, such as "truncated" or "schema".
        detail: One sentence with the value that was wrong.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail, hint="")
        self.reason = reason
        self.detail = detail
