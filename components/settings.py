"""THE settings of an installation: `settings.yaml` in the workspace, then `LINEWRIGHT_*` from the environment.

A nested field is named with two underscores: `LINEWRIGHT_DATABASE__URL`. Credentials belong in the environment only.
"""

import os
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, YamlConfigSettingsSource

from components.core.errors import ConfigError, first_problem, no_yaml

HOME_VARIABLE = "LINEWRIGHT_HOME"


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DatabaseSettings(_Group):
    """Where our records, search studies and agent checkpoints live."""

    url: SecretStr = Field(
        SecretStr(""), description="SQLAlchemy URL (sqlite, postgresql+psycopg, mysql+pymysql); empty: linewright.db"
    )
    busy_timeout: float = Field(30.0, gt=0, le=600, description="Seconds a writer waits for SQLite's lock")


class TrackingSettings(_Group):
    """Where MLflow keeps runs and models."""

    uri: SecretStr = Field(SecretStr(""), description="MLflow server or database URL; empty: mlflow.db")
    artifacts: str = Field("", description="Artifact root, a folder or s3://bucket/prefix; empty: artifacts/")
    timeout: int = Field(60, ge=1, le=3600, description="Seconds before a request to the server is given up")


class DataSettings(_Group):
    """Where dataset versions are pushed."""

    remote: str = Field("", description="DVC remote, a folder or s3://bucket/prefix; empty: data-remote/")
    author: str = Field("Linewright", min_length=1, description="Name in the data registry's commits")
    email: str = Field("linewright@localhost", min_length=3, description="Address in the data registry's commits")


class ObjectSettings(_Group):
    """How S3 is reached. Keys come from the usual AWS_* variables."""

    endpoint_url: str = Field("", description="Endpoint of an S3-speaking server; empty: AWS")
    region: str = "us-east-1"
    timeout: float = Field(30.0, gt=0, le=600, description="Seconds to connect or between two packets")
    workers: int = Field(8, ge=1, le=64, description="Files fetched at once")


class PrefectSettings(_Group):
    """Which Prefect server runs the flows."""

    api_url: str = Field("", description="API of a real server; empty: one is started when a flow needs it")
    startup_timeout: float = Field(120.0, gt=0, le=900, description="Seconds the started server may take")
    database_url: SecretStr = Field(
        SecretStr(""), description="Database of the started server, postgresql+asyncpg://...; empty: prefect/prefect.db"
    )


class LeaseSettings(_Group):
    """How long a retrain owns its line without a sign of life."""

    ttl: float = Field(20.0, gt=1, le=3600, description="Seconds; renewed every third of it")


class Settings(BaseSettings):
    """Every group. Read it with `load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix="LINEWRIGHT_", env_nested_delimiter="__", frozen=True, extra="forbid", yaml_file=None
    )

    home: Path
    database: DatabaseSettings = DatabaseSettings()
    tracking: TrackingSettings = TrackingSettings()
    data: DataSettings = DataSettings()
    objects: ObjectSettings = ObjectSettings()
    prefect: PrefectSettings = PrefectSettings()
    lease: LeaseSettings = LeaseSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - signature is pydantic's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order of precedence: arguments, environment, the workspace's file."""
        return init_settings, env_settings, YamlConfigSettingsSource(settings_cls)

    # Paths of an installation. Everything below `home` moves with it.

    @property
    def database_url(self) -> str:
        """SQLAlchemy URL of our records."""
        return self.database.url.get_secret_value() or f"sqlite:///{self.home / 'linewright.db'}"

    @property
    def tracking_uri(self) -> str:
        """MLflow's tracking URI."""
        return self.tracking.uri.get_secret_value() or f"sqlite:///{self.home / 'mlflow.db'}"

    @property
    def artifact_root(self) -> str:
        """Folder or URL below which MLflow's artifacts lie."""
        return self.tracking.artifacts or str(self.home / "artifacts")

    @property
    def data_registry(self) -> Path:
        """The git and DVC repository of dataset versions."""
        return self.home / "data"

    @property
    def data_remote(self) -> str:
        """Folder or URL of the DVC remote."""
        return self.data.remote or str(self.home / "data-remote")

    @property
    def lines(self) -> Path:
        """Folder of line files."""
        return self.home / "lines"

    def line_files(self) -> list[Path]:
        """Every line's file, sorted.

        Raises:
            OSError: The folder may not be read, or is gone; to `glob` it would be an empty one.
        """
        return sorted(path for path in self.lines.iterdir() if path.suffix == ".yaml")

    @property
    def keys(self) -> Path:
        """Folder of the actors' signing keys."""
        return self.home / "keys"

    @property
    def actors(self) -> Path:
        """File of actors and their roles."""
        return self.home / "actors.yaml"

    @property
    def prefect_home(self) -> Path:
        """Prefect's own folder: database, logs."""
        return self.home / "prefect"

    @property
    def overlays(self) -> Path:
        """Folder of heat-map pictures of stored verdicts."""
        return self.home / "overlays"

    @property
    def reports(self) -> Path:
        """Folder of drift reports."""
        return self.home / "reports"


def default_home() -> Path:
    """`LINEWRIGHT_HOME`, or `workspace` in the current folder; absolute."""
    return Path(os.environ.get(HOME_VARIABLE) or "workspace").expanduser().absolute()


def load_settings(home: Path) -> Settings:
    """The settings of the workspace at `home`.

    Raises:
        ConfigError: `settings.yaml` or a variable says something unknown or impossible.
    """
    path = home / "settings.yaml"
    _refuse_misspelt()

    class _OfThisWorkspace(Settings):
        model_config = SettingsConfigDict(**{**Settings.model_config, "yaml_file": path})

    arguments: dict[str, Any] = {"home": home}
    try:
        return _OfThisWorkspace(**arguments)
    except ValidationError as error:
        raise ConfigError(f"{path} or the environment: {first_problem(error)}.", hint="Correct the setting.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise no_yaml(str(path), error) from error
    except (TypeError, ValueError) as error:  # the reader takes what the file holds for a mapping
        raise ConfigError(f"{path} holds no settings by their names.", hint="Write them as name: value.") from error


def _refuse_misspelt() -> None:
    """A variable that is meant for a group and names none would be passed over, and the default taken."""
    prefix, groups = "LINEWRIGHT_", set(Settings.model_fields) - {"home"}
    for name in sorted(os.environ):
        said = name.removeprefix(prefix).lower()
        alone = said.partition("_")[0] in groups and "__" not in said
        if name.startswith(prefix) and (alone or ("__" in said and said.partition("__")[0] not in groups)):
            raise ConfigError(
                f"There is no setting {name}.",
                hint=f"Write {prefix}GROUP__NAME; the groups are {', '.join(sorted(groups)).upper()}.",
            )
