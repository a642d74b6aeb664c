"""Whatever comes in is answered in Azure's shape, and never by a failure of the server."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kvstack.server.data_plane.plane import ROUTES
from tests.server.served import OTHER, READER, SHOP, Answered, Served

V = "api-version=2026-04-01"


@pytest.fixture(scope="module")
def token(served: Served) -> str:
    return served.token()


def in_azures_shape(answer: Answered) -> None:
    assert answer.status < 500, answer
    if answer.status >= 400:
        error = json.loads(answer.body)["error"]
        assert error["code"]
        assert error["message"]
        assert "Traceback" not in error["message"]
    assert answer.headers["x-ms-request-id"]


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "POST", "DELETE"])
@pytest.mark.parametrize(
    "path", ["/secrets/x?api-version=7.4", "/nothing", "/secrets", "/", "/secrets/x?api-version=0"]
)
def test_before_anything_else_one_has_to_say_who_one_is(served: Served, method: str, path: str) -> None:
    answer = served.ask(method, path, json_body={"value": 1} if method in ("PUT", "PATCH", "POST") else None)
    assert (answer.status, answer.code) == (401, "Unauthorized")
    assert answer.headers["www-authenticate"] == (
        f'Bearer authorization="https://{served.login}/{served.tenant}", resource="https://{served.vaults}"'
    )
    assert answer.headers["x-ms-keyvault-region"] == "local"
    assert answer.headers["x-ms-keyvault-service-version"]
    assert "addr=127.0.0.1" in answer.headers["x-ms-keyvault-network-info"]


@pytest.mark.parametrize("given", ["Bearer", "Bearer ", "Bearer x", "Bearer a.b.c", "Basic eDp5", "", "bearer\tx.y.z"])
def test_what_is_no_token_gets_the_challenge_again(served: Served, given: str) -> None:
    answer = served.ask("GET", f"/secrets/greeting?{V}", headers={"Authorization": given})
    assert answer.status == 401
    assert 'resource="' in answer.headers["www-authenticate"]


def test_a_token_with_a_changed_end_is_refused(served: Served, token: str) -> None:
    head, payload, signature = token.split(".")
    for changed in (f"{head}.{payload}.", f"{head}.{payload}.{signature[::-1]}", f"{head}.{payload[:-2]}.{signature}"):
        assert served.ask("GET", f"/secrets/greeting?{V}", token=changed).status == 401


@pytest.mark.parametrize("version", ["", "6.0", "7.00", "2099-01-01", "2016-10-01", "7.4\n", "<script>", "x" * 500])
def test_a_version_that_is_not_there_gets_azures_error(served: Served, token: str, version: str) -> None:
    answer = served.ask("GET", f"/secrets/greeting?api-version={quote(version)}", token=token)
    assert (answer.status, answer.code) == (400, "BadParameter")
    assert b"<script>" not in answer.body or answer.headers["content-type"].startswith("application/json")


def test_a_version_has_to_be_named(served: Served, token: str) -> None:
    assert served.ask("GET", "/secrets/greeting", token=token).code == "BadParameter"


def test_an_operation_is_not_there_before_its_version(served: Served, token: str) -> None:
    answer = served.ask("POST", "/keys/k/rotate?api-version=7.0", token=token)
    assert (answer.status, answer.code) == (400, "BadParameter")
    assert "7.3" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/secrets/a/b/c/d",
        "/secrets/../secrets/greeting",
        "/secrets/%67reeting",
        "/secrets/greeting%2f..%2fother",
        "/secrets/%2e%2e/%2e%2e/etc/passwd",
        "/secrets/%252e%252e",
        "//secrets/greeting",
        "/secrets\\greeting",
        "/" + "a" * 4000,
    ],
)
def test_a_path_that_is_an_attempt_at_something_else_leads_nowhere(served: Served, token: str, path: str) -> None:
    answer = served.ask("GET", f"{path}?{V}", token=token)
    in_azures_shape(answer)
    assert answer.status in (400, 403, 404)
    assert b"hello" not in answer.body


@pytest.mark.parametrize("name", ["a_b", "a.b", "a b", "ä", "a" * 128, "a\0", "a;b", "a'b", "ａ"])
def test_a_name_no_vault_takes_is_a_bad_parameter(served: Served, token: str, name: str) -> None:
    answer = served.ask("PUT", f"/secrets/{quote(name)}?{V}", token=token, json_body={"value": "v"})
    in_azures_shape(answer)
    assert answer.status in (400, 404)


def test_a_method_that_a_path_does_not_take_is_told_with_those_it_does(served: Served, token: str) -> None:
    answer = served.ask("POST", f"/deletedsecrets/x?{V}", token=token)
    assert (answer.status, answer.code) == (405, "MethodNotAllowed")
    assert answer.headers["allow"] == "DELETE, GET"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b'{"value": null}',
        b'{"value": 1}',
        b'{"value": ["x"]}',
        b'{"value": "a", "value": "b"}',
        b'{"value": "a", "attributes": {"exp": NaN}}',
        b'{"value": "a", "attributes": {"exp": Infinity}}',
        b'{"value": "a", "attributes": {"exp": 1e400}}',
        b'{"value": "a", "attributes": {"exp": 99999999999999999999}}',
        b'{"value": "a", "attributes": {"exp": -1, "nbf": 5}}',
        b'{"value": "a", "attributes": {"exp": "tomorrow"}}',
        b'{"value": "a", "attributes": {"enabled": "yes"}}',
        b'{"value": "a", "tags": {"t": 1}}',
        b'{"value": "a", "tags": []}',
        b'{"value": "\\ud800"}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        json.dumps({"value": "v" * 30_000}).encode(),
        json.dumps({"value": "v", "contentType": "c" * 300}).encode(),
        json.dumps({"value": "v", "tags": {str(n): "" for n in range(16)}}).encode(),
    ],
)
def test_a_body_that_is_wrong_is_a_bad_parameter_that_repeats_nothing_of_it(
    served: Served, token: str, body: bytes
) -> None:
    answer = served.ask(
        "PUT", f"/secrets/bad-body?{V}", token=token, body=body, headers={"Content-Type": "application/json"}
    )
    in_azures_shape(answer)
    assert (answer.status, answer.code) == (400, "BadParameter"), answer


def test_a_body_of_another_type_is_not_read(served: Served, token: str) -> None:
    for kind in ("text/plain", "", "application/xml", "application/jsonx"):
        answer = served.ask(
            "PUT", f"/secrets/x?{V}", token=token, body=b'{"value":"v"}', headers={"Content-Type": kind}
        )
        assert (answer.status, answer.code) == (415, "UnsupportedMediaType")


@pytest.mark.parametrize("declared", ["Content-Length: 2000000", "Transfer-Encoding: chunked"])
def test_a_body_that_is_too_long_is_not_taken(served: Served, token: str, declared: str) -> None:
    head = (
        f"PUT /secrets/x?{V} HTTP/1.1\r\nHost: {SHOP}.{served.vaults}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nConnection: close\r\n{declared}\r\n\r\n"
    ).encode()
    chunk = b"10000\r\n" + b"v" * 0x10000 + b"\r\n"
    answer = served.raw(head + (chunk * 17 if "chunked" in declared else b""))
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"RequestEntityTooLarge" in answer


@pytest.mark.parametrize(("name", "value"), [("maxresults", "0"), ("maxresults", "26"), ("maxresults", "-1")])
def test_a_page_has_one_to_twenty_five_things(served: Served, token: str, name: str, value: str) -> None:
    assert served.ask("GET", f"/secrets?{V}&{name}={value}", token=token).code == "BadParameter"


@pytest.mark.parametrize("value", ["x", "%", "ä", "////", "A" * 3000, "gA", "'"])
def test_a_made_up_place_in_a_list_is_a_place_or_a_bad_parameter(served: Served, token: str, value: str) -> None:
    in_azures_shape(served.ask("GET", f"/secrets?{V}&$skiptoken={quote(value)}", token=token))


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "shop.vault.localhost.evil.example",
        "vault.localhost",
        "",
        "a.b.vault.localhost",
        "shop.vault.azure.net",
    ],
)
def test_a_host_that_is_not_here_has_nothing(served: Served, token: str, host: str) -> None:
    answer = served.raw(
        f"GET /secrets/greeting?{V} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
        "Connection: close\r\n\r\n".encode()
    )
    assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400")), answer
    assert b"hello" not in answer


def test_two_hosts_in_one_request_are_refused(served: Served, token: str) -> None:
    answer = served.raw(
        f"GET /secrets/greeting?{V} HTTP/1.1\r\nHost: {OTHER}.{served.vaults}\r\nHost: {SHOP}.{served.vaults}\r\n"
        f"Authorization: Bearer {token}\r\nConnection: close\r\n\r\n".encode()
    )
    assert answer.startswith(b"HTTP/1.1 400"), answer
    assert b"hello" not in answer


@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: 13\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 13\r\nContent-Length: 14\r\n",
        "Content-Length: +13\r\n",
        "Content-Length: -1\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
    ],
)
def test_a_request_whose_length_can_be_read_two_ways_smuggles_nothing(served: Served, token: str, framing: str) -> None:
    inner = (
        f"GET /secrets/greeting?{V} HTTP/1.1\r\nHost: {SHOP}.{served.vaults}\r\nAuthorization: Bearer {token}\r\n\r\n"
    )
    answer = served.raw(
        f"PUT /secrets/x?{V} HTTP/1.1\r\nHost: {SHOP}.{served.vaults}\r\nConnection: close\r\n{framing}\r\n"
        f"0\r\n\r\n{inner}".encode()
    )
    assert answer.count(b"HTTP/1.1 ") <= 1, answer
    assert b"hello" not in answer


def test_what_a_client_calls_its_request_cannot_break_out_of_a_header(served: Served, token: str) -> None:
    answer = served.ask(
        "GET", f"/secrets/greeting?{V}", token=token, headers={"x-ms-client-request-id": "caf\xe9" + "x" * 300}
    )
    echoed = answer.headers["x-ms-client-request-id"]
    assert echoed == "caf?" + "x" * 96


@pytest.mark.slow
def test_a_client_that_is_slow_to_say_what_it_wants_is_not_waited_for(served: Served) -> None:
    with served.connected("shop.vault.localhost") as connection:
        connection.sendall(b"GET /secrets HTTP/1.1\r\nHost: shop.vault.localhost\r\nX: ")
        connection.settimeout(25)
        assert connection.recv(100)[:12] in (b"", b"HTTP/1.1 408")


def test_no_right_is_no_answer_for_anybody_elses_vault(served: Served) -> None:
    reader = served.token(READER)
    for vault in (OTHER, "nowhere"):
        answer = served.ask("GET", f"/secrets/greeting?{V}", host=f"{vault}.{served.vaults}", token=reader)
        assert (answer.status, answer.code, answer.inner) == (403, "Forbidden", "ForbiddenByRbac")
        assert answer.json["error"]["message"] == "denied."


words = st.sampled_from(
    [
        *sorted({part for one in ROUTES.operations for part in one.path if part != "{}"}),
        *("greeting", "x", "", "0" * 32, "..", "versions", "ä", "%00", "pending"),
    ]
)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_FIELDS = """value alg digest kty key_size crv attributes tags key count target enc iv lifetimeActions release_policy
key_ops contentType"""
fields = st.sampled_from(_FIELDS.split())


@pytest.mark.slow
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS"]),
    path=st.lists(words, max_size=5),
    query=st.dictionaries(st.sampled_from(["api-version", "maxresults", "$skiptoken", "x"]), st.text(max_size=10)),
    known=st.booleans(),
    body=st.dictionaries(fields, values, max_size=5) | values,
)
def test_no_request_makes_the_server_fail(
    served: Served, token: str, method: str, path: list[str], query: dict[str, str], known: bool, body: Any
) -> None:
    if known:
        query = query | {"api-version": "7.6"}
    named = "&".join(f"{quote(name)}={quote(value, errors='replace')}" for name, value in query.items())
    answer = served.ask(
        method,
        "/" + "/".join(quote(part, safe="%") for part in path) + (f"?{named}" if named else ""),
        token=token,
        body=json.dumps(body).encode("utf-8", "surrogatepass") if method in ("PUT", "POST", "PATCH") else None,
        headers={"Content-Type": "application/json"},
    )
    if method == "HEAD":
        assert answer.status < 500
    else:
        in_azures_shape(answer)
