"""What `agents.yaml` may say: which language model, and the limits of every graph."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from components.core.yamlfile import read_yaml

AGENTS_FILE = Path(__file__).parents[1] / "configs" / "agents.yaml"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Price(_Section):
    """Money for a million tokens, read and written."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)


class ModelSettings(_Section):
    """Which language model; its key comes from the environment alone."""

    provider: str = Field("none", description="none, scripted, or a provider's name in LangChain")
    name: str = ""
    base_url: str = ""
    temperature: float = Field(0.2, ge=0, le=2)
    timeout: float = Field(60.0, gt=0, le=3600, description="Seconds for one answer")
    max_tokens: int = Field(1000, ge=1, le=100_000)
    json_schema: bool = False
    price: Price | None = Field(None, description="Of a million tokens; none: not known")
    answers: tuple[str, ...] = Field((), description="What the scripted model says, in turn, again from the first")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.provider == "scripted" and not self.answers:
            raise ValueError("a scripted model needs answers")
        if self.provider not in ("none", "scripted") and not self.name:
            raise ValueError(f"provider {self.provider} needs the name of a model")
        return self


class BuilderSettings(_Section):
    """Limits of one search beside its trials; `tools` says how often each tool may be called, others never."""

    seconds: float = Field(86_400.0, gt=0)
    money: float = Field(1.0, ge=0)
    patience: int = Field(10, ge=1)
    tools: dict[str, int] = {"evaluate": 10_000}


class AgentSettings(_Section):
    """The whole file."""

    model: ModelSettings = ModelSettings()
    builder: BuilderSettings = BuilderSettings()


def load_agent_settings(path: Path = AGENTS_FILE) -> AgentSettings:
    """The settings in the YAML file at `path`.

    Raises:
        ConfigError: The file is missing, no YAML, or says something unknown or impossible.
    """
    return read_yaml(path, into=TypeAdapter(AgentSettings))
