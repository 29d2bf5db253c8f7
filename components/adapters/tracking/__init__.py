"""THE importer of mlflow: runs, models and the registry of one workspace, with every location explicit.

MLflow itself is imported when a `Tracker` is made, never when this module is.
"""

from .connection import environment, upgrade
from .registry import LoggedModelRef, Tracker

__all__ = ["LoggedModelRef", "Tracker", "environment", "upgrade"]
