"""Masking: no secret survives in what is shown, whichever way a program spelled it."""

import base64
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kvstack.terms.masking import MASK, masked

SPELLINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda it: it,
    "json": lambda it: json.dumps(it.decode()).encode(),
    "json, as it is": lambda it: json.dumps(it.decode(), ensure_ascii=False).encode(),
    "repr": lambda it: repr(it.decode()).encode(),
    "bytes": lambda it: repr(it).encode(),
    "url": lambda it: quote(it, safe="").encode(),
    "path": lambda it: quote(it).encode(),
    "form": lambda it: quote_plus(it).encode(),
    "base64": base64.b64encode,
    "basic": lambda it: base64.b64encode(b"user:" + it),
    "urlsafe": base64.urlsafe_b64encode,
    "within": lambda it: base64.b64encode(b"ab" + it + b"cd"),
    "hex": lambda it: it.hex().encode(),
    "HEX": lambda it: it.hex().upper().encode(),
}


@given(
    secret=st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Zl", "Zp", "Zs"]), min_size=8),
    spelling=st.sampled_from(sorted(SPELLINGS)),
)
def test_a_secret_is_masked_in_every_spelling(secret: str, spelling: str) -> None:
    spelled = SPELLINGS[spelling](secret.encode())
    assume(len(spelled) < 200)
    shown = masked(b"before <" + spelled + b"> after", [b"another one", secret.encode()])
    assert MASK in shown
    assert secret not in shown
    if spelling in ("basic", "within"):
        assert shown == f"before <{MASK}> after"
    else:
        assert spelled.decode(errors="replace") not in shown


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ('{"username": "app_b", "password": "hunter22"}', "cannot log in with hunter22"),
        ('{"a": [{"b": ["deep-one"]}]}', "deep-one"),
        ('{"pin": 12345678}', "12345678"),
        ("postgresql://app:hunt%2Fer22@db/app", "password hunt/er22"),
        ("postgresql://app:hunt%2Fer22@db/app", "password hunt%2Fer22"),
        ("host=db user=app password=hunter22", "got hunter22"),
        ("host=db password='hunt er22' user=app", "got hunt er22"),
        ("Server=db;Pwd=hunter22;", "hunter22"),
        ("-----BEGIN-----\nMIIabcdef\n-----END-----", "at MIIabcdef"),
        ("hunter22\n", "hunter22"),
    ],
)
def test_its_parts_are_secrets_too(secret: str, text: str) -> None:
    shown = masked(text.encode(), [secret.encode()])
    assert MASK in shown
    for part in ("hunt", "er22", "deep", "5678", "MII"):
        assert part not in shown


def test_whom_a_document_of_credentials_is_for_may_be_told() -> None:
    document = b'{"user": "app_b", "host": "db", "port": 5432, "password": "hunter22"}'
    assert masked(b"app_b may not log in to db:5432 with hunter22", [document]) == (
        "app_b may not log in to db:5432 with ****"
    )


def test_one_that_is_a_part_of_another_leaves_no_rest_of_it() -> None:
    assert masked(b"x abcdef y", [b"abc", b"abcdef"]) == "x **** y"


def test_it_is_one_line_that_can_be_shown() -> None:
    assert masked(b"a\x1b[31m red \x07\xff\n\tb", []) == "a [31m red \ufffd b"
    assert len(masked(b"x" * 1000, [])) == 300
