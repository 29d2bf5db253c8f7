"""The composition root: settings → adapters. Nothing else builds them."""

import difflib
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from components.adapters.db.records import Records
from components.core.errors import ConfigError, UnknownLineError
from components.core.lines import LineConfig, dump_line, read_line
from components.core.names import check_slug
from components.settings import Settings, load_settings
from flows.workspace import changing, read_marker, write_atomically

if TYPE_CHECKING:
    from components.adapters.datasets import DataRegistry
    from components.adapters.tracking import Tracker
    from components.core.ports import ObjectStore


@dataclass(frozen=True)
class Linewright:
    """One open workspace. Adapters are built when first used, so that quick commands load nothing heavy."""

    settings: Settings

    @classmethod
    def open(cls, home: Path) -> "Linewright":
        """Open the workspace at `home`.

        Raises:
            WorkspaceError: There is none, or it is of another version.
            ConfigError: Its settings are wrong.
        """
        read_marker(home)
        return cls(load_settings(home))

    @property
    def home(self) -> Path:
        """The workspace's folder."""
        return self.settings.home

    @cached_property
    def records(self) -> Records:
        """Our records: leases, retrains, model versions, decisions, verdicts, ledger."""
        return Records.open(self.settings.database_url, busy_timeout=self.settings.database.busy_timeout)

    @cached_property
    def registry(self) -> "DataRegistry":
        """The data registry: dataset versions in git and DVC."""
        from components.adapters.datasets import DataRegistry

        return DataRegistry(self.settings)

    @cached_property
    def tracker(self) -> "Tracker":
        """MLflow."""
        from components.adapters.tracking import Tracker

        return Tracker(self.settings)

    def store(self, line: LineConfig) -> "ObjectStore":
        """The line's source."""
        from components.adapters.objects import open_store

        return open_store(line.source, self.settings.objects)

    def config_path(self, name: str) -> Path:
        """The workspace's own copy of a configuration file."""
        return self.home / name

    def config_text(self, name: str) -> str:
        """Text of the workspace's own copy of a configuration file.

        Raises:
            ConfigError: It is missing, or not text in UTF-8.
        """
        path = self.config_path(name)
        if not path.is_file():
            raise ConfigError(f"{path} is missing.", hint="Bring it back with: linewright init")
        try:
            return path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path} is not YAML: {error}.", hint="Save it in UTF-8.") from error

    # Lines -------------------------------------------------------------------------------------------

    def line_path(self, name: str) -> Path:
        """The file that declares the line."""
        return self.settings.lines / f"{check_slug(name)}.yaml"

    def line_names(self) -> list[str]:
        """Names of all lines, sorted."""
        return [path.stem for path in self.settings.line_files()]

    def line(self, name: str) -> LineConfig:
        """The line of that name.

        Raises:
            UnknownLineError: There is none.
            ConfigError: Its file is wrong.
        """
        path = self.line_path(name)
        if path.is_file():
            return read_line(path)
        names = self.line_names()
        close = difflib.get_close_matches(name, names, n=1)
        known = f"Did you mean {close[0]!r}?" if close else f"Lines here: {', '.join(names) or 'none yet'}."
        raise UnknownLineError(f"There is no line {name!r}.", hint=f"{known} Add one with: linewright line add")

    def add_line(self, line: LineConfig, *, actor: str) -> Path:
        """Write the line's file; the ledger tells of it first, so that of a line in service it always does.

        Raises:
            ConfigError: A line of that name is there already.
        """
        path = self.line_path(line.name)
        with changing(self.home):
            if path.exists():
                raise ConfigError(
                    f"There is a line {line.name!r} already.", hint=f"Edit {path}, or choose another name."
                )
            told = {"modality": line.modality.value, "source": line.source}
            self.records.ledger.note("line added", line=line.name, actor=actor, data=told)
            write_atomically(path, dump_line(line))
        return path

    def remove_line(self, name: str, *, actor: str) -> Path:
        """Take the line out of service; its data, models and ledger stay. Return where its file went.

        Raises:
            UnknownLineError: There is none of that name.
            ConfigError: Its file is wrong.
        """
        with changing(self.home):
            self.line(name)
            path = self.line_path(name)
            names = (f"{path.name}.removed{'' if n == 1 else f'-{n}'}" for n in count(1))
            # A line of that name may have gone before.
            target = next(place for name in names if not (place := path.with_name(name)).exists())
            self.records.ledger.note("line removed", line=name, actor=actor, data={"kept": target.name})
            path.replace(target)
        return target
