"""Whom network rules let in: addresses of both families, ranges, services that are trusted, and what is no address."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvstack.vault.caller import SYSTEM, Caller
from kvstack.vault.firewall import lets_in
from kvstack.vault.records import NetworkRules

RULES = ("203.0.113.0/24", "198.51.100.7", "2001:db8:1::/48", "2001:db8:2::7", "::ffff:192.0.2.0/120")


def caller(address: str | None, *, trusted: bool = False) -> Caller:
    return Caller("00000000-0000-4000-8000-00000000000a", address=address, trusted=trusted)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("203.0.113.0", True),
        ("203.0.113.255", True),
        ("203.0.114.0", False),
        ("203.0.112.255", False),
        ("198.51.100.7", True),
        ("198.51.100.8", False),
        # What a listener on both families sees of an IPv4 caller.
        ("::ffff:203.0.113.7", True),
        ("::FFFF:cb00:7107", True),
        ("::ffff:203.0.114.7", False),
        ("192.0.2.9", True),
        ("::ffff:192.0.2.9", True),
        ("192.0.3.9", False),
        # An IPv4 address within another kind of IPv6 address is not that IPv4 caller.
        ("::203.0.113.7", False),
        ("64:ff9b::203.0.113.7", False),
        ("2002:cb00:7107::1", False),
        ("2001:db8:1::", True),
        ("2001:DB8:1:ffff::9", True),
        ("2001:db8:2::7", True),
        ("2001:db8:2::8", False),
        ("2001:db8::1", False),
        ("::1", False),
        ("127.0.0.1", False),
        ("", False),
        ("x", False),
        ("203.0.113.7:443", False),
        ("203.0.113.07", False),
        ("203.0.113.7/24", False),
        ("203.0.113.7, 198.51.100.9", False),
        ("203.0.113", False),
        ("3405803783", False),
    ],
)
def test_an_address_is_let_in_where_a_rule_holds_it(address: str, expected: bool) -> None:
    assert lets_in(NetworkRules("deny", RULES), caller(address)) is expected
    assert lets_in(NetworkRules("allow", RULES), caller(address))
    assert not lets_in(NetworkRules("deny"), caller(address))


@pytest.mark.parametrize(("bypass", "expected"), [("trusted_services", True), ("none", False)])
def test_a_trusted_service_is_let_in_by_a_vault_that_trusts_those(bypass: str, expected: bool) -> None:
    rules = NetworkRules("deny", RULES, bypass)  # type: ignore[arg-type]  # one of two
    assert lets_in(rules, caller("192.0.3.9", trusted=True)) is expected
    assert lets_in(rules, caller("203.0.113.7", trusted=True))
    assert not lets_in(rules, caller("192.0.3.9"))


def test_there_is_no_network_within_the_machine() -> None:
    assert lets_in(NetworkRules("deny", (), "none"), caller(None))
    assert lets_in(NetworkRules("deny", (), "none"), SYSTEM)


addresses = st.ip_addresses(v=4)


@given(addresses, addresses, st.integers(0, 32))
def test_a_range_holds_what_shares_its_first_bits_however_it_is_written(
    address: ipaddress.IPv4Address, network: ipaddress.IPv4Address, bits: int
) -> None:
    expected = int(address) >> (32 - bits) == int(network) >> (32 - bits)
    for rule in (f"{network}/{bits}", f"::ffff:{network}/{96 + bits}"):
        for spelled in (f"{address}", f"::ffff:{address}"):
            assert lets_in(NetworkRules("deny", (rule,)), caller(spelled)) is expected
