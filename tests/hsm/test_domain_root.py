"""A domain's roots are in every token or in none, and nothing of the secret stays in the process that made them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from kvstack.hsm import domain_root, security_domain, shamir
from kvstack.hsm.configuration import HsmConfiguration, write_configuration
from kvstack.hsm.domain_root import awaiting_domain, establish, join, roots_of
from kvstack.hsm.protocol import HsmError, HsmUnavailable
from kvstack.hsm.security_domain import derived, from_document, restored
from kvstack.hsm.token import InitialisedToken
from tests.hsm import domain_dump
from tests.hsm.conftest import requires_nss, requires_softhsm
from tests.hsm.pools import NOW, custodians, keys, pool_tokens, private_pem, public_pem, with_domain
from tests.hsm.traces import traces

pytestmark = requires_softhsm
ROOT = Path(__file__).parents[2]
PEOPLE = ("alice", "bob", "carol")


@pytest.fixture
def tokens(tmp_path: Path, token: HsmConfiguration) -> list[HsmConfiguration]:
    return pool_tokens(tmp_path / "pool", token, 2)


def lose(token: HsmConfiguration) -> None:
    """Take a token's files away."""
    for path in Path(token.tokens).iterdir():
        if path.name.replace("-", "").endswith(token.token_serial):
            shutil.rmtree(path)


def test_every_token_has_the_root_and_it_is_the_domain_s(tokens: list[HsmConfiguration]) -> None:
    domain, _ = with_domain(tokens)
    assert [roots_of(one) for one in tokens] == [{domain.id}, {domain.id}]


def test_where_one_token_cannot_be_reached_none_has_a_root(tokens: list[HsmConfiguration]) -> None:
    domain, _ = with_domain([tokens[0]])
    there = awaiting_domain(tokens[0])
    lose(tokens[1])
    with pytest.raises(HsmUnavailable, match="`prod-2` is missing"):
        establish([there, tokens[1]], custodians(*PEOPLE), quorum=2, name="prod", now=NOW)
    with pytest.raises(HsmUnavailable, match="`prod-2` is missing"):
        join([there, tokens[1]], domain, keys("alice", "bob"))
    assert roots_of(there) == frozenset()


def test_what_does_not_restore_the_secret_gives_no_token_a_root(tokens: list[HsmConfiguration]) -> None:
    domain, _ = with_domain([tokens[0]])
    for people in (("alice",), ("alice", "dave")):
        with pytest.raises(HsmError, match="needs the keys of 2"):
            join([tokens[1]], domain, keys(*people))
    with pytest.raises(HsmError, match="does not open"):
        join([tokens[1]], msgspec.structs.replace(domain, name="another"), keys("alice", "bob"))
    assert roots_of(tokens[1]) == frozenset()


def test_custodians_that_make_no_sense_leave_the_root_that_is_there(tokens: list[HsmConfiguration]) -> None:
    domain, _ = with_domain(tokens)
    with pytest.raises(HsmError, match="3 to 10 custodians"):
        establish(tokens, custodians("alice", "bob"), quorum=2, name="prod", now=NOW)
    assert roots_of(tokens[0]) == {domain.id}


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="memory is read through /proc")
def test_nothing_of_the_secret_stays_in_objects_memory_or_files(tmp_path: Path, tokens: list[HsmConfiguration]) -> None:
    """The same search finds the secret where the program keeps it: so it searches."""
    for number, one in enumerate(tokens):
        write_configuration(one, tmp_path / f"token-{number}.json")
    for name in PEOPLE:
        (tmp_path / f"{name}.public").write_bytes(public_pem(name))
        (tmp_path / f"{name}.private").write_bytes(private_pem(name))
    left = {what: _left(tmp_path, what) for what in ("establish", "join", "keep")}
    nothing = {"objects": set[str](), "memory": set[str](), "files": set[str]()}
    kept = {"objects": {"secret"}, "memory": {"secret"}, "files": set[str]()}
    assert left == {"establish": nothing, "join": nothing, "keep": kept}


def _left(folder: Path, what: str) -> dict[str, set[str]]:
    """Run the program, and return what of the secret is found where."""
    command = [sys.executable, domain_dump.__file__, str(folder), what]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
    dumps = {kind: (folder / kind).read_bytes() for kind in ("objects", "memory")}
    for kind, content in dumps.items():
        assert len(content) > 100_000
        (folder / kind).unlink()
    dumps["files"] = b"\n".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    secret = restored(from_document((folder / "domain").read_bytes()), keys("alice", "bob"))
    wanted = {
        "secret": bytes(secret),
        "wrapping root": bytes(derived(secret, "wrapping root")),
        "release root": bytes(derived(secret, "release root")),
    }
    return {
        kind: {name for name, value in wanted.items() if any(one in content for one in traces(value))}
        for kind, content in dumps.items()
    }


class Kept(bytearray):
    """Memory that is looked at after its owner has let go of it."""

    made: ClassVar[list["Kept"]] = []

    def __init__(self, content: int | Iterable[int] = 0) -> None:
        super().__init__(content)
        self.made.append(self)


@pytest.mark.parametrize("token", [False], indirect=True, ids=["here"])
def test_every_buffer_that_held_the_secret_is_overwritten(
    tokens: list[HsmConfiguration], monkeypatch: pytest.MonkeyPatch
) -> None:
    domain, _ = with_domain(tokens)
    for module in (domain_root, security_domain):
        monkeypatch.setattr(module, "bytearray", Kept, raising=False)
    drawn: list[bytes] = []

    def split(whole: bytearray, *rest: Any) -> Any:
        drawn.append(bytes(whole))
        return shamir.shares(whole, *rest)

    monkeypatch.setattr(security_domain, "shares", split)
    Kept.made.clear()
    establish(tokens, custodians(*PEOPLE), quorum=2, name="prod", now=NOW)
    assert any(drawn[0])
    # The secret, both roots, and the document's key.
    assert [bytes(one) for one in Kept.made] == [bytes(32)] * 4
    whole = restored(domain, keys("alice", "bob"))
    monkeypatch.setattr(domain_root, "restored", lambda *_: whole)
    Kept.made.clear()
    join(tokens, domain, keys("alice", "bob"))
    assert [bytes(one) for one in (whole, *Kept.made)] == [bytes(32)] * 3


@requires_nss
def test_where_one_module_refuses_its_root_the_others_give_theirs_back(
    tokens: list[HsmConfiguration], nss: InitialisedToken
) -> None:
    """It is refused once the others have it."""
    domain, _ = with_domain([tokens[1]])
    with pytest.raises(HsmError, match="takes no root from outside"):
        establish([tokens[0], nss.configuration], custodians(*PEOPLE), quorum=2, name="prod", now=NOW)
    assert roots_of(tokens[0]) == frozenset()
    with pytest.raises(HsmError, match="takes no root from outside"):
        join([tokens[0], nss.configuration], domain, keys("alice", "bob"))
    assert roots_of(tokens[0]) == frozenset()


@requires_nss
def test_a_module_that_cannot_wrap_safely_is_told_the_reason(nss: InitialisedToken) -> None:
    with pytest.raises(HsmError, match="cannot be part of a security domain: it cannot wrap keys safely"):
        awaiting_domain(nss.configuration)
