"""What a search maximises, and when another configuration may replace the default one."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from components.core.errors import ModelError, NotEnoughDataError
