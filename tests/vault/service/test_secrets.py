"""Secrets: versions, attributes, values, and what is refused."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from kvstack.terms.duration import duration
from kvstack.terms.generator import Generator
from kvstack.terms.rotation import RotationPolicy
from kvstack.terms.secret import SecretValue
from kvstack.vault.errors import BadParameter, Conflict, Forbidden, NotFound
from kvstack.vault.records import SecretVersion
from tests.vault.service.world import START, World

VAULT = "payments-dev"


def revealed(found: SecretVersion) -> bytes:
    assert found.value is not None
    return found.value.reveal()


def test_setting_again_makes_a_new_version_and_the_old_one_stays(dev: World) -> None:
    first = dev.service.set_secret(dev.operator, VAULT, "Db-Password", SecretValue("one"), tags={"a": "b"})
    dev.clock.advance(timedelta(hours=1))
    second = dev.service.set_secret(dev.operator, VAULT, "DB-PASSWORD", SecretValue("two"), content_type="text/plain")
    assert first.version != second.version
    assert first.value is None
    current = dev.service.get_secret(dev.operator, VAULT, "db-password")
    assert (revealed(current), current.name, current.version) == (b"two", "Db-Password", second.version)
    assert (current.content_type, current.tags) == ("text/plain", {})
    before = dev.service.get_secret(dev.operator, VAULT, "db-password", version=first.version)
    assert (revealed(before), before.tags) == (b"one", {"a": "b"})
    (item,) = dev.service.list_secrets(dev.operator, VAULT)
    assert (item.name, item.version, item.versions, item.fingerprint) == (
        "Db-Password",
        second.version,
        2,
        second.fingerprint,
    )
    assert (item.created, item.version_created) == (START, START + timedelta(hours=1))
    versions = dev.service.list_secret_versions(dev.operator, VAULT, "db-password")
    assert [one.version for one in versions] == [first.version, second.version]
    assert all(one.value is None for one in versions)


def test_the_same_value_has_the_same_fingerprint_in_its_place_only(dev: World) -> None:
    value = SecretValue("same")
    made = dev.service.set_secret(dev.operator, VAULT, "a", value)
    again = dev.service.set_secret(dev.operator, VAULT, "A", value)
    other = dev.service.set_secret(dev.operator, VAULT, "b", value)
    assert made.fingerprint == again.fingerprint != other.fingerprint
    assert dev.service.fingerprint(dev.operator, VAULT.upper(), "A", value) == made.fingerprint
    assert dev.service.fingerprint(dev.operator, VAULT, "a", SecretValue("else")) != made.fingerprint


def test_a_fingerprint_is_told_for_a_vault_that_is_not_there_yet(dev: World) -> None:
    value = SecretValue("v")
    before = dev.service.fingerprint(dev.operator, "later", "s", value)
    dev.service.create_vault(dev.operator, "Later")
    assert dev.service.set_secret(dev.operator, "later", "s", value).fingerprint == before


def test_a_fingerprint_takes_the_right_to_set(dev: World) -> None:
    only = dev.person("Key Vault Secrets Officer", at=dev.scope(VAULT, "secrets/a"))
    reader = dev.person("Key Vault Secrets User")
    value = SecretValue("v")
    dev.service.fingerprint(only, VAULT, "a", value)
    for caller, name in ((only, "b"), (reader, "a")):
        with pytest.raises(Forbidden):
            dev.service.fingerprints(caller, ((VAULT, name, value),))


def test_attributes_are_changed_one_by_one_and_dates_can_be_taken_away(dev: World) -> None:
    expires = START + timedelta(days=9)
    dev.service.set_secret(
        dev.operator, VAULT, "s", SecretValue("v"), expires=expires, not_before=START, tags={"a": "1"}
    )
    dev.clock.advance(timedelta(hours=1))
    changed = dev.service.update_secret(dev.operator, VAULT, "s", content_type="text/plain")
    assert (changed.expires, changed.not_before, changed.tags) == (expires, START, {"a": "1"})
    assert (changed.created, changed.updated) == (START, START + timedelta(hours=1))
    changed = dev.service.update_secret(dev.operator, VAULT, "s", expires=None, tags={})
    assert (changed.expires, changed.not_before, changed.tags) == (None, START, {})
    (item,) = dev.service.list_secrets(dev.operator, VAULT)
    assert (item.expires, item.content_type, item.versions) == (None, "text/plain", 1)


def test_changing_an_older_version_leaves_the_newest_alone(dev: World) -> None:
    first = dev.service.set_secret(dev.operator, VAULT, "s", SecretValue("one"))
    dev.service.set_secret(dev.operator, VAULT, "s", SecretValue("two"))
    dev.service.update_secret(dev.operator, VAULT, "s", version=first.version, enabled=False)
    assert revealed(dev.service.get_secret(dev.operator, VAULT, "s")) == b"two"
    assert dev.service.list_secrets(dev.operator, VAULT)[0].enabled
    with pytest.raises(Forbidden, match="disabled") as refused:
        dev.service.get_secret(dev.operator, VAULT, "s", version=first.version)
    assert refused.value.inner == "SecretDisabled"
    assert not dev.service.get_secret_properties(dev.operator, VAULT, "s", version=first.version).enabled


@pytest.mark.parametrize("window", [{"expires": START - timedelta(days=1)}, {"not_before": START + timedelta(days=1)}])
def test_a_secret_outside_its_dates_can_still_be_read(dev: World, window: dict[str, Any]) -> None:
    dev.service.set_secret(dev.operator, VAULT, "s", SecretValue("v"), **window)
    assert revealed(dev.service.get_secret(dev.operator, VAULT, "s")) == b"v"


def test_dates_are_kept_in_utc(dev: World) -> None:
    local = datetime(2026, 6, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    made = dev.service.set_secret(dev.operator, VAULT, "s", SecretValue("v"), expires=local)
    assert made.expires == datetime(2026, 6, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "under_score"}, "cannot name a key, secret"),
        ({"name": ""}, "cannot name a key, secret"),
        ({"name": "x" * 128}, "cannot name a key, secret"),
        ({"value": SecretValue(b"x" * 25601)}, "25601 bytes"),
        ({"content_type": "x" * 256}, "255 characters"),
        ({"tags": {str(n): "" for n in range(16)}}, "16 tags"),
        ({"tags": {"x" * 513: ""}}, "1-512 characters"),
        ({"not_before": START, "expires": START}, "not after not_before"),
        ({"expires": datetime(2026, 6, 1)}, "no time zone"),  # noqa: DTZ001
        ({"rotation": RotationPolicy(every=duration("P6D"))}, "least of 7 days"),
    ],
)
def test_what_no_vault_would_take_is_refused(dev: World, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(BadParameter, match=words):
        dev.service.set_secret(dev.operator, VAULT, **{"name": "s", "value": SecretValue("v"), **arguments})
    assert dev.service.list_secrets(dev.operator, VAULT) == ()


@pytest.mark.parametrize("value", [b"", b"x" * 25600, bytes(range(256))])
def test_a_value_of_any_bytes_up_to_the_limit_comes_back_as_it_was(dev: World, value: bytes) -> None:
    dev.service.set_secret(dev.operator, VAULT, "s", SecretValue(value))
    assert revealed(dev.service.get_secret(dev.operator, VAULT, "s")) == value


def test_what_is_not_there_is_told_with_near_names_to_who_may_list(dev: World) -> None:
    dev.service.set_secret(dev.operator, VAULT, "db-password", SecretValue("v"))
    with pytest.raises(NotFound) as refused:
        dev.service.get_secret(dev.operator, VAULT, "db-pasword")
    assert (refused.value.code, refused.value.status) == ("SecretNotFound", 404)
    assert "Did you mean `db-password`?" in str(refused.value)
    only = dev.person("Key Vault Secrets User", at=dev.scope(VAULT, "secrets/db-pasword"))
    with pytest.raises(NotFound) as refused:
        dev.service.get_secret(only, VAULT, "db-pasword")
    assert "db-password" not in str(refused.value)
    with pytest.raises(NotFound, match="no version of the secret `db-password/0000"):
        dev.service.get_secret(dev.operator, VAULT, "db-password", version="0" * 32)
    assert dev.service.list_secret_versions(dev.operator, VAULT, "nothing") == ()


def test_deleted_secrets_keep_their_name_and_come_back_whole(dev: World) -> None:
    policy = RotationPolicy(every=duration("P30D"))
    first = dev.service.set_secret(dev.operator, VAULT, "s", SecretValue("one"), rotation=policy, generator=Generator())
    dev.service.set_secret(dev.operator, VAULT, "s", SecretValue("two"))
    before = dev.service.list_secrets(dev.operator, VAULT)
    deleted = dev.service.delete_secret(dev.operator, VAULT, "S")
    assert deleted.deletion is not None
    assert deleted.deletion.scheduled_purge == START + timedelta(days=90)
    assert dev.service.list_secrets(dev.operator, VAULT) == ()
    assert dev.service.list_deleted_secrets(dev.operator, VAULT) == (deleted,)
    assert dev.service.get_deleted_secret(dev.operator, VAULT, "s") == deleted
    assert dev.service.list_secret_versions(dev.operator, VAULT, "s") == ()
    with pytest.raises(Conflict) as refused:
        dev.service.set_secret(dev.operator, VAULT, "s", SecretValue("three"))
    assert refused.value.inner == "ObjectIsDeletedButRecoverable"
    for call in (dev.service.get_secret, dev.service.update_secret, dev.service.delete_secret):
        with pytest.raises(NotFound, match="soft-deleted"):
            call(dev.operator, VAULT, "s")
    dev.service.recover_secret(dev.operator, VAULT, "s")
    assert dev.service.list_secrets(dev.operator, VAULT) == before
    assert before[0].rotation == policy
    assert revealed(dev.service.get_secret(dev.operator, VAULT, "s", version=first.version)) == b"one"


def test_a_purged_secret_is_gone_and_its_name_free(dev: World) -> None:
    first = dev.service.set_secret(dev.operator, VAULT, "s", SecretValue("one"))
    with pytest.raises(NotFound, match="no soft-deleted secret"):
        dev.service.purge_secret(dev.operator, VAULT, "s")
    dev.service.delete_secret(dev.operator, VAULT, "s")
    dev.service.purge_secret(dev.operator, VAULT, "s")
    dev.service.set_secret(dev.operator, VAULT, "S", SecretValue("new"))
    (item,) = dev.service.list_secrets(dev.operator, VAULT)
    assert (item.name, item.versions) == ("S", 1)
    with pytest.raises(NotFound):
        dev.service.get_secret(dev.operator, VAULT, "s", version=first.version)


def test_rotation_policies_are_kept_with_the_secret(dev: World) -> None:
    policy = RotationPolicy(every=duration("P30D"))
    dev.service.set_secret(dev.operator, VAULT, "s", SecretValue("v"))
    assert dev.service.get_rotation_policy(dev.operator, VAULT, "secrets", "s") is None
    with pytest.raises(BadParameter, match="only a secret whose value is generated"):
        dev.service.set_rotation_policy(dev.operator, VAULT, "secrets", "s", policy)
    dev.service.set_rotation_policy(dev.operator, VAULT, "secrets", "s", policy, generator=Generator(length=20))
    dev.service.set_secret(dev.operator, VAULT, "s", SecretValue("w"), by_rotation=True)
    assert dev.service.get_rotation_policy(dev.operator, VAULT, "secrets", "S") == policy
    assert dev.service.list_secrets(dev.operator, VAULT)[0].by_rotation
    dev.service.set_rotation_policy(dev.operator, VAULT, "secrets", "s", None)
    assert dev.service.list_secrets(dev.operator, VAULT)[0].rotation is None
    with pytest.raises(BadParameter, match="least of 7 days"):
        dev.service.set_rotation_policy(dev.operator, VAULT, "secrets", "s", RotationPolicy(every=duration("P1D")))
