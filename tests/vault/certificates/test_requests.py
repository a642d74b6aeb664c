"""A request that somebody else signs is pending until its chain is merged or it is given up; nothing half gets in."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kvstack.terms.certificate import CertificateKey, Trigger
from kvstack.terms.diagnostic import KvstackError
from kvstack.vault.errors import BadParameter, Conflict, NotFound
from tests.vault.certificates.policies import EC, Outside, leaf, pem
from tests.vault.service.world import START, World

UNKNOWN = leaf(issuer="Unknown")


def _ordered(world: World, key: CertificateKey = EC) -> bytes:
    world.service.create_certificate(world.operator, "app", "web", policy=leaf(issuer="Unknown", key=key))
    return world.service.get_pending_certificate(world.operator, "app", "web").csr


def test_the_request_says_what_the_policy_says_and_is_signed_by_its_key(world: World) -> None:
    request = x509.load_der_x509_csr(_ordered(world))
    assert request.is_signature_valid
    assert request.subject.rfc4514_string() == "CN=pay.example.com"
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["pay.example.com"]


def test_until_it_is_merged_there_is_no_certificate(world: World) -> None:
    _ordered(world)
    with pytest.raises(Conflict, match="is pending"):
        world.service.get_certificate(world.operator, "app", "web")
    with pytest.raises(NotFound):
        world.service.get_secret(world.operator, "app", "web")
    with pytest.raises(Conflict) as refused:
        world.service.create_certificate(world.operator, "app", "web", policy=UNKNOWN)
    assert refused.value.inner == "PendingCertificate"
    assert world.service.list_certificates(world.operator, "app") == ()
    (item,) = world.service.list_certificates(world.operator, "app", include_pending=True)
    assert item.pending


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (0,), (1, 0)])
def test_a_chain_is_merged_in_any_order(world: World, order: tuple[int, ...]) -> None:
    root = Outside("Outer Root", START)
    sub = Outside("Outer Sub", START, above=root)
    signed = sub.sign(_ordered(world))
    held = (signed, sub.certificate, root.certificate)
    made = world.service.merge_certificate(world.operator, "app", "web", pem(*(held[index] for index in order)))
    found = world.service.get_certificate(world.operator, "app", "web")
    assert found.der == signed.public_bytes(Encoding.DER)
    assert found.chain == tuple(one.public_bytes(Encoding.DER) for one in held[1:] if held.index(one) in order)
    assert made.expires == signed.not_valid_after_utc
    assert not made.pending
    with pytest.raises(NotFound):
        world.service.get_pending_certificate(world.operator, "app", "web")
    # The key of the request is the certificate's.
    key = world.service.get_key(world.operator, "app", "web").public
    assert key.x == signed.public_key().public_numbers().x.to_bytes(32, "big")  # type: ignore[union-attr]


def test_what_is_no_chain_for_the_request_is_refused_and_it_stays_pending(world: World) -> None:
    csr = _ordered(world)
    root = Outside("Outer Root", START)
    stranger = Outside("Stranger", START)
    expired = Outside("Expired", START - timedelta(days=400), days=30)
    no_authority = Outside("No Authority", START, ca=False)
    other = world.service.create_certificate(world.operator, "app", "other", policy=UNKNOWN)
    other_csr = world.service.get_pending_certificate(world.operator, "app", other.name).csr
    for content, words in (
        (b"", "damaged"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "damaged"),
        (root.pem, "none of the certificates is for this key"),
        (pem(root.sign(other_csr)), "none of the certificates is for this key"),
        (pem(root.sign(csr), stranger.certificate), "is not above"),
        (pem(expired.sign(csr, days=1000), expired.certificate), "has expired"),
        (pem(root.sign(csr, days=0)), "has expired"),
        (pem(no_authority.sign(csr), no_authority.certificate), "is no certificate authority"),
        (b"x" * 300_000, "at most"),
    ):
        with pytest.raises(BadParameter, match=words):
            world.service.merge_certificate(world.operator, "app", "web", content)
    assert world.service.get_pending_certificate(world.operator, "app", "web").csr == csr
    assert world.service.list_keys(world.operator, "app") == ()


def test_a_request_given_up_is_gone_and_what_was_before_stays(world: World) -> None:
    csr = _ordered(world)
    assert world.service.cancel_pending_certificate(world.operator, "app", "web") is None
    assert world.service.list_certificates(world.operator, "app", include_pending=True) == ()
    assert _ordered(world) != csr
    root = Outside("Outer Root", START)
    signed = root.sign(world.service.get_pending_certificate(world.operator, "app", "web").csr)
    first = world.service.merge_certificate(world.operator, "app", "web", pem(signed))
    assert world.service.renew_certificate(world.operator, "app", "web").pending
    left = world.service.cancel_pending_certificate(world.operator, "app", "web")
    assert left is not None
    assert (left.version, left.pending) == (first.version, False)
    assert world.service.get_secret(world.operator, "app", "web").version == first.version


def test_a_kept_key_survives_a_renewal_given_up(world: World) -> None:
    csr = _ordered(world, CertificateKey("EC", reuse=True))
    world.service.merge_certificate(world.operator, "app", "web", pem(Outside("Outer", START).sign(csr)))
    world.service.renew_certificate(world.operator, "app", "web")
    again = world.service.get_pending_certificate(world.operator, "app", "web").csr
    keys = [x509.load_der_x509_csr(one).public_key() for one in (csr, again)]
    assert keys[0] == keys[1]
    world.service.cancel_pending_certificate(world.operator, "app", "web")
    assert world.service.sign(world.operator, "app", "web", algorithm="ES256", digest=bytes(32)).value


def test_a_pending_request_is_deleted_and_recovered_like_anything_else(world: World) -> None:
    csr = _ordered(world)
    world.service.delete_certificate(world.operator, "app", "web")
    with pytest.raises(NotFound):
        world.service.get_pending_certificate(world.operator, "app", "web")
    world.service.recover_certificate(world.operator, "app", "web")
    assert world.service.get_pending_certificate(world.operator, "app", "web").csr == csr
    world.service.delete_certificate(world.operator, "app", "web")
    world.service.purge_certificate(world.operator, "app", "web")
    assert _ordered(world) != csr


def test_a_policy_changed_meanwhile_is_about_the_next_version(world: World) -> None:
    csr = _ordered(world)
    changed = leaf(issuer="Unknown", notify=Trigger(days_before_expiry=10))
    world.service.set_certificate_policy(world.operator, "app", "web", changed)
    world.service.update_certificate(world.operator, "app", "web", tags={"a": "b"})
    merged = world.service.merge_certificate(world.operator, "app", "web", pem(Outside("Outer", START).sign(csr)))
    assert merged.policy.notify == Trigger(days_before_expiry=10)
    assert merged.tags == {"a": "b"}


@given(content=st.one_of(st.binary(max_size=400), st.integers(0, 1 << 30)))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_merged_is_one_error_and_nothing_kept(world: World, content: bytes | int) -> None:
    if not world.service.list_certificates(world.operator, "app", include_pending=True):
        _ordered(world)
    if isinstance(content, int):
        csr = world.service.get_pending_certificate(world.operator, "app", "web").csr
        der = bytearray(Outside("Outer", START).sign(csr).public_bytes(Encoding.DER))
        der[content % len(der)] ^= 1 + (content >> 16) % 255
        content = bytes(der)
    refused = _refusal(lambda: world.service.merge_certificate(world.operator, "app", "web", content))
    if refused is not None:
        assert len(refused.diagnostics) == 1
        assert world.service.list_keys(world.operator, "app") == ()
    else:
        # A changed byte in what nothing checks here (a signature by somebody unknown) is still a certificate for us.
        world.service.delete_certificate(world.operator, "app", "web")
        world.service.purge_certificate(world.operator, "app", "web")


def _refusal(work: Callable[[], object]) -> KvstackError | None:
    try:
        work()
    except KvstackError as error:
        return error
    return None
