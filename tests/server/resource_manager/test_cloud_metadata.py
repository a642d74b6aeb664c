"""What this cloud is, told to everybody: `az cloud register` and Terraform begin with it."""

import pytest

from tests.server.served import Served

PATH = "/metadata/endpoints"


def test_everybody_is_told_where_sign_in_resource_manager_and_vaults_are(managed: Served) -> None:
    answer = managed.ask("GET", f"{PATH}?api-version=2022-09-01", host=managed.management)
    assert answer.status == 200
    cloud = answer.json
    assert cloud["resourceManager"] == f"https://{managed.management}/"
    assert cloud["authentication"]["loginEndpoint"] == f"https://{managed.login}/"
    assert cloud["authentication"]["tenant"] == managed.tenant
    assert cloud["suffixes"] == {"keyVaultDns": managed.vaults, "mhsmDns": f"managedhsm.localhost:{managed.port}"}
    older = managed.ask("GET", f"{PATH}?api-version=2019-05-01", host=managed.management)
    assert older.json == [cloud]


def test_what_it_says_tokens_are_for_is_taken(managed: Served) -> None:
    cloud = managed.ask("GET", f"{PATH}?api-version=2022-09-01", host=managed.management).json
    (audience,) = cloud["authentication"]["audiences"]
    for resource in (audience, cloud["microsoftGraphResourceId"]):
        signed_in = managed.sign_in(
            client_id="6f0c7c0e-3a0e-4f0e-9b0c-2f3f5f0f1a11",
            client_secret=managed.secret(),
            scope=f"{resource}/.default",  # two slashes, as `az` writes it
        )
        token = signed_in.json["access_token"]
        listed = managed.ask("GET", "/subscriptions?api-version=2022-12-01", host=managed.management, token=token)
        assert listed.status == 200


@pytest.mark.parametrize(
    ("method", "query", "status", "code"),
    [
        ("GET", "", 400, "MissingApiVersionParameter"),
        ("GET", "?api-version=1999-01-01", 400, "InvalidApiVersionParameter"),
        ("DELETE", "?api-version=2022-09-01", 405, "MethodNotAllowed"),
    ],
)
def test_nothing_else_is_told_without_a_token(managed: Served, method: str, query: str, status: int, code: str) -> None:
    answer = managed.ask(method, PATH + query, host=managed.management)
    assert (answer.status, answer.code) == (status, code)
    assert managed.ask("GET", f"{PATH}/more{query}", host=managed.management).status == 401
    assert managed.ask("GET", PATH + query).status == 401  # at a vault's host
