"""Signing keys of actors: Ed25519 (RFC 8032), `keys/<actor>.pem` private and `keys/<actor>.pub` public.

Whoever may read a private key can sign as its actor: the files are for the owner alone.
"""

import base64
import binascii
import os
import tempfile
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from components.approve.actors import check_actor
from components.core.errors import ConflictError, IntegrityError, RefusedError
from components.core.hashing import sha256_bytes


def has_key(keys_dir: Path, actor: str) -> bool:
    """Whether both of the actor's keys are here."""
    return all(path.is_file() for path in _paths(keys_dir, actor=check_actor(actor)))


def make_key(keys_dir: Path, actor: str) -> Path:
    """Make the actor's key pair; return the private key's path. An earlier call that was interrupted is completed.

    Raises:
        ConfigError: The actor's name breaks the slug rule.
        ConflictError: The actor has a key; it is never replaced, for old signatures need it.
    """
    private_path, public_path = _paths(keys_dir, actor=check_actor(actor))
    if public_path.exists():
        raise ConflictError(f"Actor {actor!r} has a key: {public_path}.", hint="Use it, or choose another name.")
    keys_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not private_path.exists():
        made = Ed25519PrivateKey.generate()
        pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _write_new(private_path, content=pem, mode=0o600)
    public = _load_private(private_path).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    _write_new(public_path, content=pem, mode=0o644)
    return private_path


def key_id(keys_dir: Path, actor: str) -> str:
    """Hex SHA-256 of the actor's public key (its 32 raw bytes).

    Raises:
        RefusedError: There is no public key of the actor, or it cannot be read.
    """
    return _id(_load_public(_paths(keys_dir, actor=check_actor(actor))[1]))


def sign(keys_dir: Path, *, actor: str, message: bytes) -> str:
    """`<key id>:<base64 of the signature>` over `message`, by the actor's private key.

    Raises:
        RefusedError: The private key is not here, cannot be read, or does not match the public one.
    """
    private_path, public_path = _paths(keys_dir, actor=check_actor(actor))
    private, public = _load_private(private_path), _load_public(public_path)
    if _id(private.public_key()) != _id(public):
        raise RefusedError(f"{private_path} and {public_path} do not match.", hint="Restore the right pair.")
    return f"{_id(public)}:{base64.b64encode(private.sign(message)).decode()}"


def verify(keys_dir: Path, *, actor: str, message: bytes, signature: str) -> None:
    """Check that the actor's key made `signature` over exactly `message`.

    Raises:
        RefusedError: There is no public key of the actor, or it cannot be read.
        IntegrityError: Another key signed, or the message or the signature was changed.
    """
    public = _load_public(_paths(keys_dir, actor=check_actor(actor))[1])
    signer, _, encoded = signature.partition(":")
    if signer != _id(public):
        raise IntegrityError(f"Key {signer[:12]!r} signed, which is not {actor!r}'s.", hint="Do not trust the record.")
    try:
        public.verify(base64.b64decode(encoded, validate=True), message)
    except (InvalidSignature, binascii.Error) as error:
        raise IntegrityError(f"The signature of {actor!r} does not fit.", hint="Do not trust the record.") from error


def _paths(keys_dir: Path, *, actor: str) -> tuple[Path, Path]:
    return keys_dir / f"{actor}.pem", keys_dir / f"{actor}.pub"


def _id(public: Ed25519PublicKey) -> str:
    return sha256_bytes(public.public_bytes(Encoding.Raw, PublicFormat.Raw))


def _load_private(path: Path) -> Ed25519PrivateKey:
    hint = f"Sign as an actor whose key is here, or make one: linewright key add {path.stem}"
    try:
        found = load_pem_private_key(path.read_bytes(), password=None)
    except FileNotFoundError as error:
        raise RefusedError(f"The key of {path.stem!r} is not in this workspace.", hint=hint) from error
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise RefusedError(f"{path} is not a key that can be read: {error}.", hint=hint) from error
    if not isinstance(found, Ed25519PrivateKey):
        raise RefusedError(f"{path} is not an Ed25519 key.", hint=hint)
    return found


def _load_public(path: Path) -> Ed25519PublicKey:
    hint = f"Put {path.stem}'s public key there."
    try:
        found = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise RefusedError(f"{path} is not a public key that can be read: {error}.", hint=hint) from error
    if not isinstance(found, Ed25519PublicKey):
        raise RefusedError(f"{path} is not an Ed25519 key.", hint=hint)
    return found


def _write_new(path: Path, *, content: bytes, mode: int) -> None:
    """Make the file whole or not at all; never replace one."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            os.fchmod(stream.fileno(), mode)
            stream.flush()
            os.fsync(stream.fileno())
        # A link, unlike a rename, fails where another process was first.
        os.link(temporary, path)
    except FileExistsError as error:
        raise ConflictError(f"{path} is there already.", hint="Use it, or choose another name.") from error
    finally:
        Path(temporary).unlink(missing_ok=True)
