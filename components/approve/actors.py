"""Who may do what: the workspace's `actors.yaml`.

four_eyes: false
roles:
  operator: overrider
  anna: engineer
"""

from pathlib import Path
from typing import Self

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, field_validator

from components.core.contracts import Role
from components.core.errors import ConfigError, RefusedError
from components.core.names import check_slug
from components.core.yamlfile import read_yaml

_SYSTEM = "system"


class Actors(BaseModel):
    """Actors and their roles.

    Attributes:
        four_eyes: Whether the trainer of a version may not approve it.
        roles: Name → role; names follow the slug rule, "system" is not a person's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    four_eyes: bool = False
    roles: dict[str, Role] = {}

    @field_validator("roles")
    @classmethod
    def _names(cls, value: dict[str, Role]) -> dict[str, Role]:
        for name in value:
            check_actor(name)
        return value

    @classmethod
    def read(cls, path: Path) -> Self:
        """What the file at `path` declares.

        Raises:
            ConfigError: It is missing, not YAML, or has an unknown key, role or impossible name.
        """
        return read_yaml(path, into=TypeAdapter(cls), restore="Restore it from a backup.")

    def dump(self) -> str:
        """YAML that `read` reads."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

    def role_of(self, actor: str) -> Role:
        """The actor's role.

        Raises:
            RefusedError: The actor is not declared.
        """
        if actor not in self.roles:
            raise RefusedError(f"Actor {actor!r} has no role here.", hint=f"Add one: linewright key add {actor}")
        return self.roles[actor]

    def with_role(self, actor: str, *, role: Role) -> Self:
        """The same with one more actor, or with another role for one that is there.

        Raises:
            ConfigError: The name is not allowed.
        """
        return self.model_validate({"four_eyes": self.four_eyes, "roles": {**self.roles, check_actor(actor): role}})


def check_actor(name: str) -> str:
    """Return `name` if it may be an actor's.

    Raises:
        ConfigError: It breaks the slug rule, or stands for acts of no person.
    """
    if check_slug(name, what="actor") == _SYSTEM:
        raise ConfigError(f"actor {name!r} is not allowed.", hint="It stands for acts that no person asked for.")
    return name
