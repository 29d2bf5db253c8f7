"""What every detector's parameters share."""

from pydantic import BaseModel, ConfigDict


class Params(BaseModel):
    """Base: immutable, unknown names refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
