"""A key leaves the vault for the environment its policy names, wrapped for that one's key, and for nothing else."""

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import load_der_private_key

from kvstack.hsm.plain_key import of_oct, of_private
from kvstack.hsm.protocol import PublicKey
from kvstack.hsm.software import SoftwareKeys
from kvstack.terms.key import CURVES, KeySpecification
from kvstack.terms.release import WRAPPINGS
from kvstack.terms.release_policy import ReleasePolicy
from kvstack.vault.errors import BadParameter, Forbidden, NotFound, VaultError
from kvstack.vault.faults import TamperedValue
from kvstack.vault.release_rows import RELEASE_SIGNERS
from kvstack.vault.versions import KEY_VERSIONS
from tests.fakes.attestation import Authority, Environment, content, policy, text
from tests.vault.service.world import START, World

VAULT = "payments-dev"
NOW = START.timestamp()
EC256 = KeySpecification("EC", None, "P-256")
MET = {"x-ms-attestation-type": "sevsnpvm"}
AUTHORITY = Authority()
POLICY = ReleasePolicy(policy(AUTHORITY.url))
ENVIRONMENT = Environment()


@pytest.fixture
def trusting(dev: World) -> World:
    dev.service.trust_authority(dev.operator, AUTHORITY.url, AUTHORITY.jwks())
    return dev


def make(world: World, specification: KeySpecification = EC256, name: str = "k", **more: Any) -> Any:
    return world.service.create_key(
        world.operator,
        VAULT,
        name,
        specification=specification,
        **{"exportable": True, "release_policy": POLICY, **more},
    )


def release(world: World, token: str | None = None, **more: Any) -> bytes:
    token = AUTHORITY.token(ENVIRONMENT.claims(AUTHORITY.url, NOW, **MET)) if token is None else token
    caller = more.pop("caller", world.operator)
    return world.service.release_key(caller, VAULT, more.pop("name", "k"), target_attestation_token=token, **more)


def imported(private: bytes, specification: KeySpecification) -> PublicKey:
    return (
        of_oct(private) if specification.family == "oct" else of_private(load_der_private_key(private, None))
    ).public


SPECIFICATIONS = (
    KeySpecification("RSA", 2048),
    *(KeySpecification("EC", None, curve) for curve in CURVES),
    KeySpecification("oct", 256),
    KeySpecification("ML-DSA-44"),
)


@pytest.mark.parametrize("algorithm", WRAPPINGS)
@pytest.mark.parametrize("specification", SPECIFICATIONS, ids=str)
def test_a_key_is_released_to_whom_its_policy_names(
    trusting: World, specification: KeySpecification, algorithm: str
) -> None:
    made = make(trusting, specification)
    assert made.exportable
    assert "export" in made.operations
    private, answered = ENVIRONMENT.opened(release(trusting, algorithm=algorithm, nonce="once"))
    assert imported(private, specification) == made.public
    kid = "https://payments-dev.vault.localhost/keys/k"
    assert answered["request"] == {"api-version": "2026-04-01", "enc": algorithm, "kid": kid, "nonce": "once"}
    key = answered["response"]["key"]
    assert key["key"]["kid"] == f"{kid}/{made.version}"
    assert key["attributes"]["exportable"] is True
    assert content(key["release_policy"]["data"]) == POLICY.data
    (record, *_) = trusting.unlocked.audit.records(newest_first=True)
    assert (record.operation, record.result) == ("KeyRelease", "Success")
    assert record.details["authority"] == AUTHORITY.url
    assert (
        record.details["recipient"]
        == hashlib.sha256(ENVIRONMENT.key.public_key().public_numbers().n.to_bytes(256, "big")).hexdigest()
    )


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"])
def test_authorities_sign_by_every_allowed_algorithm(dev: World, algorithm: str) -> None:
    authority = Authority("https://other.example.com", algorithm)
    dev.service.trust_authority(dev.operator, authority.url, authority.jwks())
    made = make(dev, release_policy=ReleasePolicy(policy(authority.url)))
    token = authority.token(ENVIRONMENT.claims(authority.url, NOW, **MET))
    assert imported(ENVIRONMENT.opened(release(dev, token))[0], EC256) == made.public


STRANGER = Authority()
Claims = dict[str, Any]


def changed(**more: Any) -> Claims:
    whole = {**ENVIRONMENT.claims(AUTHORITY.url, NOW, **MET), **more}
    return {name: value for name, value in whole.items() if value is not None}


def with_keys(*keys: Any) -> Claims:
    return changed(**{"x-ms-runtime": {"keys": list(keys)}})


def tampered(part: int, change: Callable[[Claims], Claims]) -> str:
    parts = AUTHORITY.token(changed()).split(".")
    parts[part] = text(json.dumps(change(json.loads(content(parts[part])))).encode())
    return ".".join(parts)


def hmac_with_the_public_key() -> str:
    """The classic: an authority's public key taken for a secret."""
    import hmac

    signed = f"{text(json.dumps({'alg': 'HS256', 'kid': 'a'}).encode())}.{text(json.dumps(changed()).encode())}"
    return f"{signed}.{text(hmac.digest(AUTHORITY.jwks(), signed.encode(), 'sha256'))}"


def unsigned(algorithm: str) -> str:
    return f"{text(json.dumps({'alg': algorithm}).encode())}.{text(json.dumps(changed()).encode())}."


GOOD = AUTHORITY.token(changed())
JWK = ENVIRONMENT.jwk()
REFUSED = {
    "nothing": ("", "three parts"),
    "no JWS": ("eyJhbGciOiJSUzI1NiJ9", "three parts"),
    "five parts, as if encrypted": (GOOD + ".a.b", "three parts"),
    "longer than any token": ("a" * 70_000, "more than"),
    "alg none": (unsigned("none"), "algorithm"),
    "alg None": (unsigned("None"), "algorithm"),
    "alg HS256 under the public key": (hmac_with_the_public_key(), "algorithm"),
    "alg of no kind": (AUTHORITY.token(changed(), alg=["RS256"]), "algorithm"),
    "alg missing": (AUTHORITY.token(changed(), alg=None), "algorithm"),
    "alg of another key type": (AUTHORITY.token(changed(), alg="ES256"), "no key of its authority"),
    "alg of the same key, not what signed": (AUTHORITY.token(changed(), alg="PS256"), "signature"),
    "crit": (AUTHORITY.token(changed(), crit=["exp"]), "crit"),
    "another kid": (AUTHORITY.token(changed(), kid="b"), "kid"),
    "kid of no kind": (AUTHORITY.token(changed(), kid={"a": 1}), "kid"),
    "a stranger's signature": (STRANGER.token(changed()), "signature"),
    "a stranger's key in the header": (STRANGER.token(changed(), jwk=STRANGER.jwk()), "signature"),
    "no signature": (GOOD.rpartition(".")[0] + ".", "signature"),
    "half a signature": (GOOD[:-100], "signature"),
    "signature in another spelling": (GOOD + "==", "base64url"),
    "payload changed": (tampered(1, lambda claims: {**claims, "sub": "me"}), "signature"),
    "header changed": (tampered(0, lambda header: {**header, "typ": "x"}), "signature"),
    "header no JSON": ("YQ." + GOOD.partition(".")[2], "header"),
    "header no object": (AUTHORITY.raw(b"[]", b"{}"), "header"),
    "payload no JSON": (AUTHORITY.raw(b'{"alg":"RS256"}', b"{"), "payload"),
    "payload no object": (AUTHORITY.raw(b'{"alg":"RS256"}', b"7"), "payload"),
    "a claim twice": (AUTHORITY.raw(b'{"alg":"RS256"}', b'{"iss":"a","iss":"b"}'), "twice"),
    "alg twice": (AUTHORITY.raw(b'{"alg":"RS256","alg":"none"}', b"{}"), "twice"),
    "nested without end": (AUTHORITY.raw(b'{"alg":"RS256"}', b"[" * 40_000), "payload"),
    "not UTF-8": (AUTHORITY.raw(b'{"alg":"RS256"}', b"\xff"), "payload"),
    "no iss": (AUTHORITY.token(changed(iss=None)), "iss"),
    "iss of no kind": (AUTHORITY.token(changed(iss=["https://attest.example.com"])), "iss"),
    "iss nobody trusts": (AUTHORITY.token(changed(iss="https://evil.example.com")), "trusts"),
    "iss with a slash more": (AUTHORITY.token(changed(iss=AUTHORITY.url + "/")), "trusts"),
    "iss in capitals": (AUTHORITY.token(changed(iss=AUTHORITY.url.upper())), "trusts"),
    "expired": (AUTHORITY.token(changed(exp=int(NOW))), "expired"),
    "no exp": (AUTHORITY.token(changed(exp=None)), "exp"),
    "exp of no kind": (AUTHORITY.token(changed(exp="9999999999")), "exp"),
    "exp true": (AUTHORITY.token(changed(exp=True)), "exp"),
    "not yet valid": (AUTHORITY.token(changed(nbf=int(NOW) + 61)), "nbf"),
    "from the future": (AUTHORITY.token(changed(iat=int(NOW) + 61)), "iat"),
    "claim missing": (AUTHORITY.token(changed(**{"x-ms-attestation-type": None})), "not there"),
    "claim another": (AUTHORITY.token(changed(**{"x-ms-attestation-type": "sgx"})), "not as the policy asks"),
    "claim in a list": (AUTHORITY.token(changed(**{"x-ms-attestation-type": ["sevsnpvm"]})), "not as the policy asks"),
    "no runtime": (AUTHORITY.token(changed(**{"x-ms-runtime": None})), "x-ms-runtime"),
    "runtime of no kind": (AUTHORITY.token(changed(**{"x-ms-runtime": []})), "x-ms-runtime"),
    "no keys": (AUTHORITY.token(with_keys()), "RSA key for encryption"),
    "keys of no kind": (AUTHORITY.token(changed(**{"x-ms-runtime": {"keys": {}}})), "x-ms-runtime"),
    "a key that signs only": (AUTHORITY.token(with_keys({**JWK, "key_ops": ["sign"]})), "RSA key for encryption"),
    "a key without use": (AUTHORITY.token(with_keys({**JWK, "key_ops": None})), "RSA key for encryption"),
    "an EC key": (AUTHORITY.token(with_keys({**JWK, "kty": "EC"})), "RSA key for encryption"),
    "a private key": (AUTHORITY.token(with_keys({**JWK, "d": "AQAB"})), "private key"),
    "a short key": (AUTHORITY.token(with_keys(Environment(bits=1024).jwk())), "2048"),
    "a key without n": (AUTHORITY.token(with_keys({**JWK, "n": None})), "whole RSA key"),
    "an even modulus": (AUTHORITY.token(with_keys({**JWK, "n": text(b"\xff" * 255 + b"\xfe")})), "2048"),
    "exponent one": (AUTHORITY.token(with_keys({**JWK, "e": "AQ"})), "exponent"),
    "exponent of none": (AUTHORITY.token(with_keys({**JWK, "e": ""})), "exponent"),
}


@pytest.mark.parametrize(("token", "words"), REFUSED.values(), ids=REFUSED)
def test_every_other_token_is_refused_with_one_error_and_nothing_leaves(
    trusting: World, token: str, words: str
) -> None:
    make(trusting)
    with pytest.raises(Forbidden, match=words) as refusal:
        release(trusting, token)
    assert refusal.value.inner == "AttestationRefused"
    assert len(refusal.value.diagnostics) == 1
    (record, *_) = trusting.unlocked.audit.records(newest_first=True)
    assert (record.operation, record.result, record.status) == ("KeyRelease", "AttestationRefused", 403)
    assert release(trusting)


def test_a_clock_a_minute_behind_the_authoritys_is_borne_with(trusting: World) -> None:
    make(trusting)
    ahead = int(NOW) + 60
    assert release(trusting, AUTHORITY.token(changed(nbf=ahead, iat=ahead)))


def test_the_first_key_for_encryption_is_the_one(trusting: World) -> None:
    made, other = make(trusting), Environment("other")
    signing = {**Environment("signs").jwk(), "key_ops": ["sign"]}
    by_use = {name: value for name, value in JWK.items() if name != "key_ops"} | {"use": "enc"}
    token = AUTHORITY.token(with_keys(signing, by_use, other.jwk()))
    assert imported(ENVIRONMENT.opened(release(trusting, token))[0], EC256) == made.public


def test_without_kid_the_only_key_that_fits_is_taken_and_of_two_none(dev: World) -> None:
    one, two = Authority(kid="1"), Authority(kid="2")
    make(dev)
    dev.service.trust_authority(dev.operator, one.url, one.jwks())
    assert release(dev, one.token(changed(), kid=None))
    dev.service.trust_authority(dev.operator, one.url, json.dumps({"keys": [one.jwk(), two.jwk()]}).encode())
    with pytest.raises(Forbidden, match="by which key"):
        release(dev, one.token(changed(), kid=None))
    assert release(dev, two.token(changed()))


def test_an_authority_that_is_trusted_no_longer_releases_nothing(trusting: World) -> None:
    make(trusting)
    (row,) = trusting.service.list_authorities(trusting.operator)
    assert (row.url, [key.kid for key in row.keys]) == (AUTHORITY.url, ["a"])
    trusting.service.remove_authority(trusting.operator, AUTHORITY.url)
    with pytest.raises(Forbidden, match="nobody trusts"):
        release(trusting)
    with pytest.raises(NotFound, match="trusts no authority"):
        trusting.service.remove_authority(trusting.operator, AUTHORITY.url)
    operations = [record.operation for record in trusting.unlocked.audit.records()]
    assert {"AttestationAuthorityTrust", "AttestationAuthorityRemove"} <= set(operations)


def test_a_trusted_authority_that_the_policy_does_not_name_releases_nothing(trusting: World) -> None:
    other = Authority("https://other.example.com")
    trusting.service.trust_authority(trusting.operator, other.url, other.jwks())
    make(trusting)
    with pytest.raises(Forbidden, match="does not name its authority"):
        release(trusting, other.token(ENVIRONMENT.claims(other.url, NOW, **MET)))


ROLES = (
    ("Key Vault Crypto Service Release User", True),
    ("Key Vault Crypto User", False),
    ("Key Vault Reader", False),
)


@pytest.mark.parametrize(("role", "allowed"), ROLES)
def test_it_takes_the_right_to_release(trusting: World, role: str, allowed: bool) -> None:
    make(trusting)
    caller = trusting.person(role)
    if allowed:
        assert release(trusting, caller=caller)
    else:
        with pytest.raises(Forbidden) as refusal:
            release(trusting, caller=caller)
        assert refusal.value.inner == "ForbiddenByRbac"


@pytest.mark.parametrize("role", ["Contributor", "Key Vault Administrator", "Key Vault Contributor"])
def test_who_may_not_hand_out_access_trusts_nobody(dev: World, role: str) -> None:
    caller = dev.person(role)
    with pytest.raises(Forbidden):
        dev.service.trust_authority(caller, AUTHORITY.url, AUTHORITY.jwks())
    with pytest.raises(Forbidden):
        dev.service.remove_authority(caller, AUTHORITY.url)
    assert dev.service.list_authorities(dev.operator) == ()


def test_a_key_that_is_not_exportable_stays(trusting: World) -> None:
    make(trusting, exportable=False, release_policy=None)
    with pytest.raises(Forbidden, match="not exportable"):
        release(trusting)


def test_a_disabled_key_and_one_without_export_stay(trusting: World) -> None:
    make(trusting)
    trusting.service.update_key(trusting.operator, VAULT, "k", operations={"sign"})
    with pytest.raises(Forbidden, match="may not export"):
        release(trusting)
    trusting.service.update_key(trusting.operator, VAULT, "k", operations={"export"}, enabled=False)
    with pytest.raises(Forbidden) as refusal:
        release(trusting)
    assert refusal.value.inner == "KeyDisabled"


@pytest.mark.parametrize("when", [{"expires": START - timedelta(days=1)}, {"not_before": START + timedelta(days=1)}])
def test_outside_its_dates_a_key_is_released_all_the_same(trusting: World, when: Any) -> None:
    make(trusting, **when)
    assert release(trusting)


FIXED = {
    "exportable without a policy": ({"release_policy": None}, "AKV.SKR.1004"),
    "a policy without exportable": ({"exportable": False}, "AKV.SKR.1005"),
    "no JSON": ({"release_policy": ReleasePolicy(b"{")}, None),
    "no authority": ({"release_policy": ReleasePolicy(b'{"anyOf":[]}')}, None),
    "another content type": ({"release_policy": msgspec.structs.replace(POLICY, content_type="text/plain")}, None),
}


@pytest.mark.parametrize(("wrong", "inner"), FIXED.values(), ids=FIXED)
def test_what_no_vault_takes_makes_no_key(dev: World, wrong: Any, inner: str | None) -> None:
    with pytest.raises(BadParameter) as refusal:
        make(dev, **wrong)
    assert refusal.value.inner == inner
    assert dev.service.list_keys(dev.operator, VAULT) == ()


def test_exportable_is_decided_by_the_first_version(dev: World) -> None:
    make(dev)
    cases: tuple[tuple[str, Any], ...] = (("k", {"exportable": False, "release_policy": None}), ("plain", {}))
    for name, wrong in cases:
        if name == "plain":
            make(dev, name=name, exportable=False, release_policy=None)
        with pytest.raises(BadParameter) as refusal:
            make(dev, name=name, **wrong)
        assert refusal.value.inner == "AKV.SKR.1003"


def test_new_versions_keep_what_is_not_said(trusting: World) -> None:
    first = make(trusting)
    again = trusting.service.create_key(trusting.operator, VAULT, "k", specification=EC256)
    rotated = trusting.service.rotate_key(trusting.operator, VAULT, "k")
    for made in (again, rotated):
        assert (made.exportable, made.release_policy, made.operations) == (True, POLICY, first.operations)
        private, _ = ENVIRONMENT.opened(release(trusting, version=made.version))
        assert imported(private, EC256) == made.public
    private, answered = ENVIRONMENT.opened(release(trusting, version=first.version))
    assert imported(private, EC256) == first.public
    assert answered["request"]["kid"].endswith(first.version)


def test_a_policy_changes_until_it_is_immutable(trusting: World) -> None:
    make(trusting)
    update = trusting.service.update_key
    stricter = ReleasePolicy(policy(AUTHORITY.url, {"claim": "svn", "greaterOrEquals": 3}))
    assert update(trusting.operator, VAULT, "k", release_policy=stricter).release_policy == stricter
    with pytest.raises(Forbidden, match="`svn` is not there"):
        release(trusting)
    version = trusting.service.get_key(trusting.operator, VAULT, "k").version
    with pytest.raises(BadParameter) as of_version:
        update(trusting.operator, VAULT, "k", version=version, release_policy=POLICY)
    assert of_version.value.inner == "AKV.SKR.1016"
    final = msgspec.structs.replace(stricter, immutable=True)
    update(trusting.operator, VAULT, "k", release_policy=final)
    for other in (stricter, msgspec.structs.replace(POLICY, immutable=True)):
        with pytest.raises(BadParameter) as refusal:
            update(trusting.operator, VAULT, "k", release_policy=other)
        assert refusal.value.inner == "AKV.SKR.1020"
        with pytest.raises(BadParameter, match="immutable"):
            make(trusting, release_policy=other)
    assert update(trusting.operator, VAULT, "k", release_policy=final, tags={"a": "b"}).release_policy == final
    assert trusting.service.rotate_key(trusting.operator, VAULT, "k").release_policy == final
    trusting.service.create_key(trusting.operator, VAULT, "plain", specification=EC256)
    with pytest.raises(BadParameter) as plain:
        update(trusting.operator, VAULT, "plain", release_policy=POLICY)
    assert plain.value.inner == "AKV.SKR.1005"


def test_a_backup_brings_policy_and_exportable_back(trusting: World) -> None:
    made = make(trusting, release_policy=msgspec.structs.replace(POLICY, immutable=True))
    trusting.service.rotate_key(trusting.operator, VAULT, "k")
    blob = trusting.service.backup_key(trusting.operator, VAULT, "k")
    trusting.service.delete_key(trusting.operator, VAULT, "k")
    trusting.service.purge_key(trusting.operator, VAULT, "k")
    restored = trusting.service.restore_key(trusting.operator, VAULT, blob)
    assert (restored.exportable, restored.release_policy) == (True, made.release_policy)
    private, _ = ENVIRONMENT.opened(release(trusting, version=made.version))
    assert imported(private, EC256) == made.public


def test_an_imported_key_comes_out_as_it_went_in(trusting: World) -> None:
    original = SoftwareKeys().generate(EC256)
    with of_private(load_der_private_key(original.blob, None)) as plain:
        made = trusting.service.import_key(trusting.operator, VAULT, "k", plain, exportable=True, release_policy=POLICY)
    assert "export" in made.operations
    assert imported(ENVIRONMENT.opened(release(trusting))[0], EC256) == original.public


def test_the_signers_certificate_is_the_vaults_and_stays(trusting: World) -> None:
    made = trusting.service.release_certificate(trusting.operator, VAULT)
    make(trusting)
    for _ in range(2):
        header = json.loads(content(release(trusting).decode().partition(".")[0]))
        assert header["x5t#S256"] == text(hashlib.sha256(made).digest())
    trusting.service.create_vault(trusting.operator, "other-dev")
    assert trusting.service.release_certificate(trusting.operator, "other-dev") != made


def test_the_signer_goes_with_its_vault(trusting: World) -> None:
    trusting.service.release_certificate(trusting.operator, VAULT)
    with trusting.unlocked.store.transaction() as tx:
        assert len(RELEASE_SIGNERS.scan(tx)) == 1
    trusting.service.delete_vault(trusting.operator, VAULT)
    trusting.service.purge_vault(trusting.operator, VAULT)
    with trusting.unlocked.store.transaction() as tx:
        assert RELEASE_SIGNERS.scan(tx) == []


@pytest.mark.parametrize("wrong", [{"algorithm": "RSA-OAEP"}, {"algorithm": ""}, {"nonce": "x" * 1025}])
def test_what_release_does_not_take(trusting: World, wrong: Any) -> None:
    make(trusting)
    with pytest.raises(BadParameter):
        release(trusting, **wrong)


def test_whoever_takes_the_policy_away_meanwhile_is_in_time(trusting: World) -> None:
    make(trusting)
    signed = trusting.service._signed

    def slow(*arguments: Any) -> bytes:
        trusting.service.remove_authority(trusting.operator, AUTHORITY.url)
        return signed(*arguments)

    trusting.service._signed = slow  # type: ignore[method-assign, assignment]
    with pytest.raises(Forbidden, match="nobody trusts"):
        release(trusting)


def test_a_row_that_says_another_version_is_refused(trusting: World) -> None:
    """What a version's blob is bound to does not depend on whether it is exportable."""
    first = make(trusting)
    make(trusting)
    with trusting.unlocked.store.transaction() as tx:
        home = trusting.service._current_registry(tx).vault(VAULT)
        assert home is not None
        (one, two) = sorted(KEY_VERSIONS.scan(tx, vault_id=home.id, folded="k"), key=lambda row: row.number)
        KEY_VERSIONS.put(tx, msgspec.structs.replace(two, sealed=one.sealed))
    with pytest.raises(TamperedValue):
        release(trusting)
    assert release(trusting, version=first.version)


def test_rows_from_before_have_no_policy(dev: World) -> None:
    from kvstack.vault.items import KEYS
    from kvstack.vault.records import Key

    dev.service.create_key(dev.operator, VAULT, "k", specification=EC256)
    with dev.unlocked.store.transaction() as tx:
        (row,) = KEYS.scan(tx)
    body = msgspec.to_builtins(row)
    assert not {"exportable", "release_policy"} & set(body)
    assert not msgspec.convert(body, Key).exportable


JWKS_REFUSED = {
    "no JSON": (b"{", "JSON"),
    "no set": (b"[]", "JSON Web Key Set"),
    "no keys": (b'{"keys":[]}', "no key that signs"),
    "too long": (b" " * (300 << 10), "at most"),
    "only for encryption": (json.dumps({"keys": [{**AUTHORITY.jwk(), "use": "enc"}]}).encode(), "no key that signs"),
    "a private key": (json.dumps({"keys": [{**AUTHORITY.jwk(), "d": "AQAB"}]}).encode(), "private"),
    "a secret": (json.dumps({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}).encode(), "symmetric"),
    "two of one kid": (json.dumps({"keys": [AUTHORITY.jwk(), Authority().jwk()]}).encode(), "same `kid`"),
    "a short RSA key": (json.dumps({"keys": [{**AUTHORITY.jwk(), "n": text(b"\xff" * 128)}]}).encode(), "2048"),
    "an even RSA key": (json.dumps({"keys": [{**AUTHORITY.jwk(), "n": text(b"\xfe" * 256)}]}).encode(), "RSA key"),
    "alg HS256": (json.dumps({"keys": [{**AUTHORITY.jwk(), "alg": "HS256"}]}).encode(), "alg"),
    "alg none": (json.dumps({"keys": [{**AUTHORITY.jwk(), "alg": "none"}]}).encode(), "alg"),
    "no numbers": (b'{"keys":[{"kty":"RSA"}]}', "neither"),
    "another curve": (b'{"keys":[{"kty":"EC","crv":"P-256K","x":"AA","y":"AA"}]}', "curve"),
    "no point": (
        json.dumps({"keys": [{**Authority(algorithm="ES256").jwk(), "x": text(bytes(32))}]}).encode(),
        "point",
    ),
    "x5c no certificate": (b'{"keys":[{"kty":"RSA","x5c":["AAAA"]}]}', "x5c"),
    "a name twice": (b'{"keys":[],"keys":[]}', "twice"),
}


@pytest.mark.parametrize(("jwks", "words"), JWKS_REFUSED.values(), ids=JWKS_REFUSED)
def test_what_is_no_authoritys_key_set_is_refused(dev: World, jwks: bytes, words: str) -> None:
    with pytest.raises(BadParameter, match=words):
        dev.service.trust_authority(dev.operator, AUTHORITY.url, jwks)
    assert dev.service.list_authorities(dev.operator) == ()


@pytest.mark.parametrize("url", ["", " ", "https://a b", "a\nb", "x" * 2049])
def test_what_is_no_authority_is_refused(dev: World, url: str) -> None:
    with pytest.raises(VaultError):
        dev.service.trust_authority(dev.operator, url, AUTHORITY.jwks())
