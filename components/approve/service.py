"""Approve, reject, roll back: who may, on what, and the signature under it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from components.approve.actors import Actors
from components.approve.gate import gate_today
from components.approve.keys import sign, verify
from components.core.contracts import Decision, GateReport, ModelVersion, Role, now
from components.core.errors import ConfigError, ConflictError, RefusedError
from components.core.hashing import canonical_json

_MAY_DECIDE = {Role.ENGINEER, Role.OVERRIDER}


class ModelLookup(Protocol):
    """Finds model versions."""

    def get(self, line: str, version: int) -> ModelVersion:
        """One version; UnknownVersionError if there is none."""
        ...

    def champion(self, line: str) -> ModelVersion | None:
        """The line's champion."""
        ...

    def previous(self, line: str) -> ModelVersion | None:
        """What a rollback returns to."""
        ...


class DecisionStore(Protocol):
    """Carries decisions out, each whole or not at all."""

    def decide(self, decision: Decision, *, expected_champion: int | None) -> ModelVersion:
        """The version with its new status; ConflictError if the champion is not the expected one any more."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """What deciding needs.

    Attributes:
        keys_dir: Folder of the actors' keys.
    """

    models: ModelLookup
    decisions: DecisionStore
    actors: Actors
    keys_dir: Path


def approve(
    office: Office,
    *,
    line: str,
    version: int,
    actor: str,
    reason: str,
    override: bool = False,
    accept_unmeasured: bool = False,
) -> ModelVersion:
    """Make a candidate the champion. The decision records `override` and `accept_unmeasured` only where needed.

    Raises:
        RefusedError: Role, key, four-eyes rule or gate forbids it.
        ConfigError: The reason is empty.
        UnknownVersionError: There is no such version.
        ConflictError: It is not a candidate, or another decision came first.
    """
    _require_may(office, actor=actor)
    candidate = office.models.get(line, version)
    _require_candidate(candidate)
    if office.actors.four_eyes and candidate.trainer == actor:
        raise RefusedError(
            f"{actor!r} trained version {version} of {line!r} and may not approve it.",
            hint="actors.yaml demands four eyes: let another person decide.",
        )
    champion = office.models.champion(line)
    expected = champion.version if champion else None
    gate = gate_today(candidate, champion=expected)
    failed, unmeasured = _names(gate, status="failed"), _names(gate, status="unmeasured")
    if failed:
        _require_override(office, actor=actor, override=override, failed=failed)
    if unmeasured and not accept_unmeasured:
        mend = "Bring labelled test samples" if gate == candidate.gate else f"Give: linewright retrain {line}"
        raise RefusedError(f"Unmeasured: {unmeasured}.", hint=f"{mend}, or approve with --accept-unmeasured.")
    decision = _sign(
        office,
        line=line,
        version=version,
        action="approve",
        actor=actor,
        reason=reason,
        override=bool(failed),
        accept_unmeasured=bool(unmeasured),
    )
    return office.decisions.decide(decision, expected_champion=expected)


def reject(office: Office, *, line: str, version: int, actor: str, reason: str) -> ModelVersion:
    """Refuse a candidate for good.

    Raises:
        RefusedError: Role or key forbids it.
        ConfigError: The reason is empty.
        UnknownVersionError: There is no such version.
        ConflictError: It is not a candidate, or another decision came first.
    """
    _require_may(office, actor=actor)
    _require_candidate(office.models.get(line, version))
    champion = office.models.champion(line)
    decision = _sign(office, line=line, version=version, action="reject", actor=actor, reason=reason)
    return office.decisions.decide(decision, expected_champion=champion.version if champion else None)


def rollback(office: Office, *, line: str, actor: str, reason: str) -> ModelVersion:
    """Let champion and previous change places; return the new champion. Done twice it changes nothing.

    Raises:
        RefusedError: Role or key forbids it, or there is nothing to return to.
        ConfigError: The reason is empty.
        ConflictError: Another decision came first.
    """
    _require_may(office, actor=actor)
    champion, previous = office.models.champion(line), office.models.previous(line)
    if champion is None or previous is None:
        raise RefusedError(f"Line {line!r} has no previous champion.", hint="Only a second approval leaves one.")
    decision = _sign(office, line=line, version=previous.version, action="rollback", actor=actor, reason=reason)
    return office.decisions.decide(decision, expected_champion=champion.version)


def signed_message(decision: Decision) -> bytes:
    """The bytes that are signed: the decision's canonical JSON after a line that no other signed thing begins with."""
    record = decision.model_dump(mode="json", exclude={"signature"})
    return b"linewright decision 1\n" + canonical_json(record).encode()


def verify_decision(keys_dir: Path, *, decision: Decision) -> None:
    """Check a stored decision's signature.

    Raises:
        RefusedError: The actor's public key is not here.
        IntegrityError: The decision is not what its actor signed.
    """
    verify(keys_dir, actor=decision.actor, message=signed_message(decision), signature=decision.signature)


def _sign(
    office: Office,
    *,
    line: str,
    version: int,
    action: Literal["approve", "reject", "rollback"],
    actor: str,
    reason: str,
    override: bool = False,
    accept_unmeasured: bool = False,
) -> Decision:
    if not reason.strip():
        raise ConfigError("The reason is empty.", hint="Say why, for those who read it later: --reason TEXT")
    decision = Decision(
        line=line,
        version=version,
        action=action,
        actor=actor,
        reason=reason.strip(),
        time=now(),
        override=override,
        accept_unmeasured=accept_unmeasured,
    )
    signature = sign(office.keys_dir, actor=actor, message=signed_message(decision))
    return decision.model_copy(update={"signature": signature})


def _require_may(office: Office, *, actor: str) -> None:
    role = office.actors.role_of(actor)
    if role not in _MAY_DECIDE:
        raise RefusedError(f"{actor!r} is a {role} and may not decide.", hint="Roles are declared in actors.yaml.")


def _require_candidate(version: ModelVersion) -> None:
    if version.status != "candidate":
        raise ConflictError(
            f"Version {version.version} of {version.line!r} is {version.status}, not candidate.",
            hint=f"`linewright candidates {version.line}` lists what waits for a decision.",
        )


def _require_override(office: Office, *, actor: str, override: bool, failed: str) -> None:
    role = office.actors.role_of(actor)
    if role is not Role.OVERRIDER:
        raise RefusedError(f"Failed: {failed}. {actor!r} is {role}.", hint="An overrider may approve with --override.")
    if not override:
        raise RefusedError(
            f"Failed: {failed}.",
            hint="Retrain on other data or with another detector in the line's file, or approve with --override and say"
            " why.",
        )


def _names(gate: GateReport, *, status: str) -> str:
    found = [condition for condition in gate.conditions if condition.status == status]
    return "; ".join(f"{one.name} ({one.detail})" if one.detail else one.name for one in found)
