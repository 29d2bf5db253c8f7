"""Frozen records that the stages hand to each other, and that are stored.

Stages never import each other: what one knows, the next learns from a record of this package.
Scores always point one way: higher is more anomalous.
"""

from .detection import Calibration, Costs, Evaluation, Metric, Scores, Tail
from .promotion import Condition, Decision, GateReport, ModelVersion, Role
from .records import Label, Modality, Params, Record, Split, now
from .samples import Column, DatasetVersion, IngestSummary, ManifestColumn, Quarantined, TableSchema
from .search import Proposal, SearchOutcome, Trial
from .serving import Severity, Verdict, Word

__all__ = [
    "Calibration",
    "Column",
    "Condition",
    "Costs",
    "DatasetVersion",
    "Decision",
    "Evaluation",
    "GateReport",
    "IngestSummary",
    "Label",
    "ManifestColumn",
    "Metric",
    "Modality",
    "ModelVersion",
    "Params",
    "Proposal",
    "Quarantined",
    "Record",
    "Role",
    "Scores",
    "SearchOutcome",
    "Severity",
    "Split",
    "TableSchema",
    "Tail",
    "Trial",
    "Verdict",
    "Word",
    "now",
]
