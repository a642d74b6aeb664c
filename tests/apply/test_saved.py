"""A saved plan does exactly what it showed, or nothing."""

import stat
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from kvstack.apply.saved import SavedPlan, plan_of, read, require_current, save
from kvstack.render.json import document
from kvstack.terms.diagnostic import KvstackError
from tests.apply.stacks import ENVIRON, STACK, applied, opened
from tests.fakes.backend import MemoryBackend


def saved(folder: Path, backend: MemoryBackend, text: str = STACK, environ: dict[str, str] = ENVIRON) -> SavedPlan:
    save(opened(folder, backend, text, environ).plan(with_digest=True), folder / "plan")
    return read(folder / "plan")


def check(
    folder: Path, backend: MemoryBackend, kept: SavedPlan, text: str = STACK, environ: dict[str, str] = ENVIRON
) -> None:
    require_current(kept, opened(folder, backend, text, environ).plan(with_digest=True))


def test_a_plan_file_is_the_owners_and_holds_no_value(tmp_path: Path) -> None:
    kept = saved(tmp_path, MemoryBackend())
    assert stat.S_IMODE((tmp_path / "plan").stat().st_mode) == 0o600
    assert b"hunter2" not in (tmp_path / "plan").read_bytes()
    assert not (tmp_path / "plan.new").exists()
    assert kept.format == "kvstack-plan-1"


def test_a_plan_read_back_shows_the_same(tmp_path: Path) -> None:
    backend = MemoryBackend()
    made = opened(tmp_path, backend).plan(with_digest=True)
    save(made, tmp_path / "plan")
    assert document(plan_of(read(tmp_path / "plan"))) == document(made) | {
        key: value for key, value in document(plan_of(read(tmp_path / "plan"))).items() if key == "made_at"
    }


def test_a_plan_that_is_still_true_is_current(tmp_path: Path) -> None:
    backend = MemoryBackend()
    check(tmp_path, backend, saved(tmp_path, backend))
    applied(opened(tmp_path, backend))
    check(tmp_path, backend, saved(tmp_path, backend))


def _key(backend: MemoryBackend, **changes: object) -> None:
    key = backend.things["vaults/dev/keys/sign"]
    changed = msgspec.structs.replace(key.resource, **changes)
    backend.things["vaults/dev/keys/sign"] = msgspec.structs.replace(key, resource=changed)


@pytest.mark.parametrize(
    ("happened", "text", "environ", "expected"),
    [
        (lambda b: _key(b, enabled=False), STACK, ENVIRON, "what would happen to `dev/keys/sign`"),
        (lambda b: b.things.pop("vaults/dev/keys/wrap"), STACK, ENVIRON, "what would happen to `dev/keys/wrap`"),
        (
            lambda b: None,
            STACK.replace("sign: {type: EC}", "sign: {type: EC, enabled: false}", 1),
            ENVIRON,
            "declaration",
        ),
        (lambda b: None, STACK, {"DB": "another"}, "what would happen to `dev/secrets/db`"),
    ],
)
def test_a_plan_that_is_true_no_more_is_refused(
    tmp_path: Path, happened: Callable[[MemoryBackend], object], text: str, environ: dict[str, str], expected: str
) -> None:
    backend = MemoryBackend()
    applied(opened(tmp_path, backend))
    kept = saved(tmp_path, backend)
    happened(backend)
    with pytest.raises(KvstackError) as caught:
        check(tmp_path, backend, kept, text, environ)
    assert expected in str(caught.value)
    assert "stale" in str(caught.value)
    assert "kvstack plan" in str(caught.value)


def test_a_plan_is_refused_once_something_was_applied(tmp_path: Path) -> None:
    backend = MemoryBackend()
    kept = saved(tmp_path, backend)
    applied(opened(tmp_path, backend))
    with pytest.raises(KvstackError, match="something was applied since"):
        check(tmp_path, backend, kept)


def test_a_plan_for_another_state_is_refused(tmp_path: Path) -> None:
    backend = MemoryBackend()
    applied(opened(tmp_path, backend))
    kept = saved(tmp_path, backend)
    other = MemoryBackend()
    applied(opened(tmp_path / "other", other))
    with pytest.raises(KvstackError, match="another state"):
        check(tmp_path / "other", other, kept)


def test_a_value_compared_at_apply_may_make_just_that_version(tmp_path: Path) -> None:
    backend = MemoryBackend()
    applied(opened(tmp_path, backend))
    kept = saved(tmp_path, backend, environ={})
    assert kept.plan["compared_at_apply"] == ["dev/secrets/db"]
    check(tmp_path, backend, kept, environ={"DB": "another"})
    check(tmp_path, backend, kept)
    check(tmp_path, backend, kept, environ={})
    # And nothing else of that secret.
    secret = backend.things["vaults/dev/secrets/db"]
    backend.things["vaults/dev/secrets/db"] = msgspec.structs.replace(
        secret, resource=msgspec.structs.replace(secret.resource, content_type="x")
    )
    with pytest.raises(KvstackError, match="stale"):
        check(tmp_path, backend, kept, environ={"DB": "another"})


def test_a_first_value_that_was_not_there_may_be_there_at_apply(tmp_path: Path) -> None:
    backend = MemoryBackend()
    kept = saved(tmp_path, backend, environ={})
    check(tmp_path, backend, kept, environ={"DB": "whatever"})


def test_a_value_that_changes_between_plan_and_apply_is_not_set(tmp_path: Path) -> None:
    backend = MemoryBackend()
    applied(opened(tmp_path, backend))
    before = backend.things["vaults/dev/secrets/db"]
    environ = {"DB": "second"}
    stack = opened(tmp_path, backend, environ=environ)
    made = stack.plan()
    environ["DB"] = "third"
    (failed,) = applied(stack, made).failed
    assert "is not the one that was planned" in failed.diagnostics[0].summary
    assert backend.things["vaults/dev/secrets/db"] == before


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is no plan of kvstack"),
        (b"{}", "is no plan of kvstack"),
        (b"\xff", "is no plan of kvstack"),
        (b'{"format_version": "1.2", "terraform_version": "1.11.4"}', "is no plan of kvstack"),
        (b"[" * 100_000, "is no plan of kvstack"),
    ],
)
def test_what_is_no_plan_is_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "plan").write_bytes(content)
    with pytest.raises(KvstackError, match=expected):
        read(tmp_path / "plan")
    with pytest.raises(KvstackError, match="cannot be read"):
        read(tmp_path / "nowhere")
