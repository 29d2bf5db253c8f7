"""Decisions of people on model versions: one signed row in our records; MLflow's aliases are a copy of it."""

from components.approve import service
from components.approve.actors import Actors
from components.approve.keys import has_key, key_id, make_key
from components.approve.service import Office
from components.core.contracts import ModelVersion, Role
from components.core.errors import ConfigError, ConflictError, RefusedError, UnavailableError
from flows.wiring import Linewright
from flows.workspace import changing, write_atomically


def office(app: Linewright) -> Office:
    """What deciding needs, of this workspace."""
    return Office(
        models=app.records.models,
        decisions=app.records.decisions,
        actors=Actors.read(app.settings.actors),
        keys_dir=app.settings.keys,
    )


def approve_version(
    app: Linewright,
    name: str,
    *,
    version: int,
    actor: str,
    reason: str,
    override: bool = False,
    accept_unmeasured: bool = False,
) -> ModelVersion:
    """Make a candidate the champion; see `components.approve.service.approve`."""
    app.line(name)
    model = service.approve(
        office(app),
        line=name,
        version=version,
        actor=actor,
        reason=reason,
        override=override,
        accept_unmeasured=accept_unmeasured,
    )
    copy_aliases(app)
    return model


def reject_version(app: Linewright, name: str, *, version: int, actor: str, reason: str) -> ModelVersion:
    """Refuse a candidate; see `components.approve.service.reject`."""
    app.line(name)
    model = service.reject(office(app), line=name, version=version, actor=actor, reason=reason)
    copy_aliases(app)
    return model


def roll_back(app: Linewright, name: str, *, actor: str, reason: str) -> ModelVersion:
    """Let champion and previous change places; see `components.approve.service.rollback`."""
    app.line(name)
    model = service.rollback(office(app), line=name, actor=actor, reason=reason)
    copy_aliases(app)
    return model


def copy_aliases(app: Linewright) -> None:
    """Bring MLflow's aliases up to every decision that was not copied yet, this process's or a killed one's.

    Raises:
        UnavailableError: MLflow does not answer; what was decided holds all the same.
    """
    for item in app.records.decisions.outbox():
        try:
            sync_aliases(app, item.line)
        except UnavailableError as error:
            raise UnavailableError(
                f"The decision holds, but MLflow's aliases do not show it yet. {error.message}",
                hint=f"{error.hint} The next decision brings them up to date.",
            ) from error
        app.records.decisions.settle(item.outbox_id)


def sync_aliases(app: Linewright, name: str) -> None:
    """Make MLflow's aliases of the line say what our records say now."""
    models = app.records.models
    waiting = models.list(name, status="candidate")
    found = {
        "champion": models.champion(name),
        "previous": models.previous(name),
        "candidate": waiting[0] if waiting else None,
    }
    app.tracker.sync_aliases(name, {alias: model.mlflow_version if model else None for alias, model in found.items()})


def add_actor(app: Linewright, actor: str, *, role: str, by: str) -> str:
    """Make a key for `actor` and write down the role that `by` gives them; return the key's id.

    Raises:
        ConfigError: The name or the role is not allowed.
        ConflictError: The actor has a key and a role already.
        RefusedError: `by` is no overrider, or has no key here.
    """
    if role not in {known.value for known in Role}:
        raise ConfigError(f"There is no role {role!r}.", hint=f"Use one of: {', '.join(Role)}.")
    with changing(app.home):
        actors = Actors.read(app.settings.actors)
        if actors.role_of(by) is not Role.OVERRIDER:
            raise RefusedError(
                f"{by!r} is {actors.role_of(by)} and may give nobody a role.", hint="Let an overrider do it, with --as."
            )
        if not has_key(app.settings.keys, by):
            raise RefusedError(f"The key of {by!r} is not here.", hint="Give it where it is, or as another with --as.")
        changed = actors.with_role(actor, role=Role(role))
        if not has_key(app.settings.keys, actor):
            make_key(app.settings.keys, actor)
        elif actor in actors.roles:  # else an earlier call was interrupted after the key
            raise ConflictError(f"Actor {actor!r} has a key already.", hint="Change the role in actors.yaml.")
        identity = key_id(app.settings.keys, actor)
        # In the ledger first: of a role that is in force it always tells, one that was not given yet is told of again.
        app.records.ledger.note("key added", actor=by, data={"actor": actor, "key": identity, "role": role})
        write_atomically(app.settings.actors, changed.dump())
    return identity
