"""THE importer of mlflow: runs, models and the registry of one workspace, with every location explicit.

MLflow itself is imported when a `Tracker` is made, never when this module is.
"""

from components.adapters.tracking.connection import environment, upgrade
from components.adapters.tracking.registry import LoggedModelRef, Tracker

__all__ = ["LoggedModelRef", "Tracker", "environment", "upgrade"]
