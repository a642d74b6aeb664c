"""Which host a request is for: what is none of the server's is nobody's."""

import pytest

from kvstack.server.names import Host, ServerNames

NAMES = ServerNames("kv.example.com")


@pytest.mark.parametrize(
    ("header", "kind", "name"),
    [
        (b"shop.vault.kv.example.com", "vault", "shop"),
        (b"SHOP.Vault.KV.example.COM:8443", "vault", "shop"),
        (b"pool.managedhsm.kv.example.com:443", "managedhsm", "pool"),
        (b"login.kv.example.com", "login", ""),
        (b"localhost:8443", "local", ""),
        (b"127.0.0.1", "local", ""),
    ],
)
def test_a_host_is_told_in_any_case_and_at_any_port(header: bytes, kind: str, name: str) -> None:
    host = NAMES.host(header)
    assert host is not None
    assert (host.kind, host.name) == (kind, name)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"vault.kv.example.com",
        b"a.b.vault.kv.example.com",
        b"shop.vault.kv.example.com.evil.org",
        b"shop.vault.kv.example.com@evil.org",
        b"shop.vault.kv.example.com:80:80",
        b"shop.vault.kv.example.com:port",
        b"shop.vault.kv.example.com ",
        b"sh_op.vault.kv.example.com",
        b"-shop.vault.kv.example.com",
        b"shop.vault.kv.example.com/",
        "shöp.vault.kv.example.com".encode(),
        b"xshop.vaultxkv.example.com",
        b"vault.azure.net",
    ],
)
def test_a_host_that_is_made_up_is_nobodys(header: bytes) -> None:
    assert NAMES.host(header) is None


def test_the_resource_has_the_clients_port_and_the_audience_has_none() -> None:
    host = NAMES.host(b"shop.vault.kv.example.com:9")
    assert host == Host(
        "vault",
        "shop.vault.kv.example.com:9",
        "shop",
        "https://vault.kv.example.com:9",
        "https://vault.kv.example.com",
    )


@pytest.mark.parametrize(
    ("resource", "audience"),
    [
        ("https://vault.kv.example.com:8443", "https://vault.kv.example.com"),
        ("https://Vault.kv.example.com/", "https://vault.kv.example.com"),
        ("https://managedhsm.kv.example.com", "https://managedhsm.kv.example.com"),
        ("http://vault.kv.example.com", None),
        ("https://vault.azure.net", None),
        ("https://shop.vault.kv.example.com", None),
        ("", None),
    ],
)
def test_a_token_is_given_only_for_what_is_here(resource: str, audience: str | None) -> None:
    assert NAMES.audience(resource) == audience
