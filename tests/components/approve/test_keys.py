from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from components.approve.keys import has_key, key_id, make_key, sign, verify
from components.core.errors import ConfigError, ConflictError, IntegrityError, RefusedError


def test_a_signature_fits_its_actor_and_message_only(tmp_path: Path) -> None:
    assert not has_key(tmp_path, "anna")
    assert make_key(tmp_path, "anna") == tmp_path / "anna.pem"
    make_key(tmp_path, "bert")
    assert has_key(tmp_path, "anna")
    signature = sign(tmp_path, actor="anna", message=b"yes")
    assert signature.startswith(key_id(tmp_path, "anna") + ":")
    verify(tmp_path, actor="anna", message=b"yes", signature=signature)
    for actor, message, changed in (
        ("anna", b"no", signature),
        ("bert", b"yes", signature),
        ("anna", b"yes", signature[:-4] + "AAA="),
        ("anna", b"yes", signature + "!"),
        ("anna", b"yes", ""),
    ):
        with pytest.raises(IntegrityError):
            verify(tmp_path, actor=actor, message=message, signature=changed)


def test_private_keys_are_for_the_owner_alone(tmp_path: Path) -> None:
    make_key(tmp_path / "keys", "anna")
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "keys" / "anna.pem").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in (tmp_path / "keys").iterdir()) == ["anna.pem", "anna.pub"]


def test_a_key_is_never_replaced(tmp_path: Path) -> None:
    make_key(tmp_path, "anna")
    before = key_id(tmp_path, "anna")
    with pytest.raises(ConflictError, match="has a key"):
        make_key(tmp_path, "anna")
    (tmp_path / "anna.pem").unlink()
    with pytest.raises(ConflictError, match="has a key"):
        make_key(tmp_path, "anna")
    assert key_id(tmp_path, "anna") == before


def test_an_interrupted_call_is_completed(tmp_path: Path) -> None:
    make_key(tmp_path, "anna")
    before = key_id(tmp_path, "anna")
    (tmp_path / "anna.pub").unlink()
    make_key(tmp_path, "anna")
    assert key_id(tmp_path, "anna") == before


def test_of_two_that_make_the_same_key_both_hold_one_pair(tmp_path: Path) -> None:
    def attempt(_: int) -> bool:
        try:
            make_key(tmp_path, "anna")
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert any(pool.map(attempt, range(8)))
    verify(tmp_path, actor="anna", message=b"x", signature=sign(tmp_path, actor="anna", message=b"x"))


def test_without_the_matching_private_key_nothing_is_signed(tmp_path: Path) -> None:
    make_key(tmp_path, "anna")
    with pytest.raises(RefusedError, match="'bert' is not in this workspace"):
        sign(tmp_path, actor="bert", message=b"x")
    make_key(tmp_path, "bert")
    (tmp_path / "bert.pem").write_bytes((tmp_path / "anna.pem").read_bytes())
    with pytest.raises(RefusedError, match="do not match"):
        sign(tmp_path, actor="bert", message=b"x")
    (tmp_path / "bert.pem").write_bytes(b"rubbish")
    with pytest.raises(RefusedError, match="not a key that can be read"):
        sign(tmp_path, actor="bert", message=b"x")
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    (tmp_path / "bert.pem").write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(RefusedError, match="not an Ed25519 key"):
        sign(tmp_path, actor="bert", message=b"x")
    (tmp_path / "anna.pub").write_bytes(b"rubbish")
    with pytest.raises(RefusedError, match="not a public key"):
        sign(tmp_path, actor="anna", message=b"x")


@pytest.mark.parametrize("actor", ["../anna", "Anna", "", "a/b", "system", "."])
def test_an_actor_is_no_path(tmp_path: Path, actor: str) -> None:
    with pytest.raises(ConfigError, match="actor"):
        make_key(tmp_path, actor)
    with pytest.raises(ConfigError, match="actor"):
        sign(tmp_path, actor=actor, message=b"x")
