"""Whatever bytes come as a backup or as a certificate file: one error and an unchanged database, or what they say."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.key import KeySpecification
from kvstack.terms.secret import SecretValue
from kvstack.vault.backup import _MAGIC
from kvstack.vault.items import CERTIFICATE, KEY, SECRET, Kind
from tests.vault.certificates.policies import Outside
from tests.vault.service.world import START, World

KINDS: tuple[Kind[Any], ...] = (KEY, SECRET, CERTIFICATE)
PASSWORD = SecretValue("tr0ub4dor&3")
PLACES = st.integers(0, 1 << 20)
# What is written over a place, put in there, cut out, said twice.
PIECES = st.binary(max_size=24) | st.sampled_from(
    [b"\0" * 9, b"\xff" * 9, b"\x84\xa4name", b"\xc0", b"\xdf\xff\xff\xff\xff"]
)


def rows(folder: Path) -> dict[str, list[Any]]:
    """Everything in the database but the record of who asked for what."""
    (database,) = folder.rglob("vault.db")
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as opened:
        tables = [name for (name,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        kept = [name for name in tables if name not in ("audit", "audit_taken_in", "ledger")]
        return {name: opened.execute(f'SELECT * FROM "{name}" ORDER BY 1').fetchall() for name in kept}


def changed(data: st.DataObject, whole: bytes) -> bytes:
    """A few pieces of it changed."""
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(PLACES) % (len(whole) + 1)
        end = start + data.draw(st.integers(0, 40))
        piece = data.draw(PIECES)
        whole = data.draw(
            st.sampled_from(
                [
                    whole[:start] + piece + whole[start + len(piece) :],
                    whole[:start] + piece + whole[start:],
                    whole[:start] + whole[end:],
                    whole[:end] + whole[start:],
                    whole[:start],
                ]
            )
        )
    return whole


def refused(folder: Path, work: Callable[[], object]) -> KvstackError | None:
    """What the bytes are answered with, None where they are taken; a refusal leaves the database as it was."""
    before = rows(folder)
    found = None
    try:
        work()
    except KvstackError as error:
        found = error
    if found is not None:
        assert len(found.diagnostics) == 1
        assert rows(folder) == before
    return found


@pytest.fixture
def blobs(world: World) -> dict[str, bytes]:
    """A backup of each kind, of what has two versions; and an empty vault to restore into."""
    service, operator = world.service, world.operator
    for value in (b"first", b"\0second\xff"):
        service.set_secret(operator, "app", "s", SecretValue(value), tags={"a": "b"})
    service.create_key(operator, "app", "k", specification=KeySpecification("EC", None, "P-256"))
    service.rotate_key(operator, "app", "k")
    service.create_vault(operator, "empty")
    return {
        KEY.word: service.backup_key(operator, "app", "k"),
        SECRET.word: service.backup_secret(operator, "app", "s"),
        CERTIFICATE.word: service.backup_certificate(operator, "trust", "root"),
    }


def restore(world: World, kind: Kind[Any]) -> Callable[[bytes], object]:
    """What restores this kind into the empty vault."""
    method = getattr(world.service, f"restore_{kind.word}")
    return lambda blob: method(world.operator, "empty", blob)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.word))
@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_backup_with_pieces_changed_is_refused(
    world: World, blobs: dict[str, bytes], tmp_path: Path, kind: Kind[Any], data: st.DataObject
) -> None:
    whole = blobs[kind.word]
    blob = changed(data, whole)
    if blob != whole:
        assert refused(tmp_path, lambda: restore(world, kind)(blob)) is not None


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.word))
@given(content=st.binary(max_size=200))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_no_backup(
    world: World, blobs: dict[str, bytes], tmp_path: Path, kind: Kind[Any], content: bytes
) -> None:
    for beginning in (b"", _MAGIC):
        assert refused(tmp_path, lambda start=beginning: restore(world, kind)(start + content)) is not None  # type: ignore[misc]


@pytest.mark.parametrize("of", KINDS, ids=lambda kind: str(kind.word))
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.word))
def test_a_backup_is_taken_as_what_it_is_only(
    world: World, blobs: dict[str, bytes], tmp_path: Path, kind: Kind[Any], of: Kind[Any]
) -> None:
    assert (refused(tmp_path, lambda: restore(world, kind)(blobs[of.word])) is None) == (kind is of)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.word))
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_whole_envelope_around_anything_is_refused_or_taken(
    world: World, blobs: dict[str, bytes], tmp_path: Path, kind: Kind[Any], data: st.DataObject
) -> None:
    """As a store of another version, or somebody with its keys, could have made it."""
    service = world.service
    content = changed(data, service._opened(kind, blobs[kind.word]))
    blob = _MAGIC + service._barrier.seal_outside(service._backup_context(kind), content)
    if refused(tmp_path, lambda: restore(world, kind)(blob)) is None:
        for item in getattr(service, f"list_{kind.collection}")(world.operator, "empty"):
            getattr(service, f"delete_{kind.word}")(world.operator, "empty", item.name)
            getattr(service, f"purge_{kind.word}")(world.operator, "empty", item.name)


class Files:
    """One certificate from outside with its chain, as blocks of PEM and as PFX."""

    def __init__(self) -> None:
        root = Outside("Outer Root", START)
        sub = Outside("Outer Sub", START, above=root)
        own, other = Outside("www.example.org", START, above=sub, ca=False), Outside("Else", START)
        forms = (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL)
        how = BestAvailableEncryption(PASSWORD.reveal())
        keys = [own.key.private_bytes(Encoding.PEM, form, NoEncryption()) for form in forms]
        keys += [own.key.private_bytes(Encoding.PEM, form, how) for form in forms]
        keys += [other.key.private_bytes(Encoding.PEM, forms[0], NoEncryption())]
        certificates = [one.certificate.public_bytes(Encoding.PEM) for one in (own, sub, root, other)]
        broken = [
            keys[0].replace(b"-----END", b"-----EN"),
            certificates[0][:-60],
            certificates[1].replace(b"M", b"N", 9),
        ]
        junk = [
            b"",
            b"Bag Attributes\n    friendlyName: www\n",
            b"-----BEGIN X-----\nAA==\n-----END X-----\n",
            b"\xff\xfe\0",
        ]
        self.blocks = keys + certificates + broken + junk
        above = [sub.certificate, root.certificate]
        self.pfx = [
            pkcs12.serialize_key_and_certificates(b"www", own.key, own.certificate, above, way)
            for way in (NoEncryption(), how)
        ]


FILES = Files()


@given(blocks=st.lists(st.sampled_from(FILES.blocks), max_size=7), password=st.sampled_from([None, PASSWORD]))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_blocks_of_pem_are_one_error_or_a_certificate(
    world: World, tmp_path: Path, blocks: list[bytes], password: SecretValue | None
) -> None:
    _taken_or_not(world, tmp_path, b"".join(blocks), password)


@given(data=st.data(), which=st.integers(0, 1), password=st.sampled_from([None, PASSWORD]))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_pfx_with_pieces_changed_is_one_error_or_a_certificate(
    world: World, tmp_path: Path, data: st.DataObject, which: int, password: SecretValue | None
) -> None:
    _taken_or_not(world, tmp_path, changed(data, FILES.pfx[which]), password)


def _taken_or_not(world: World, folder: Path, content: bytes, password: SecretValue | None) -> None:
    def taken() -> None:
        world.service.import_certificate(world.operator, "app", "www", content, password=password)

    if refused(folder, taken) is None:
        digest = bytes(32)
        assert world.service.sign(world.operator, "app", "www", algorithm="ES256", digest=digest).value
