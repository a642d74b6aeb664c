"""Whatever a file holds, it is a declaration or a list of problems: with places in the file, without a secret."""

import re
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from kvstack.declare.declaration import Declaration, declaration
from kvstack.declare.digest import digest
from kvstack.terms.diagnostic import KvstackError
from tests.declare.documents import CANARY, PLAIN, Document, as_yaml, mutations, written
from tests.declare.stacks import VALID

STIRRED = [
    *(
        b"",
        b"\t",
        b"\n",
        b": ",
        b"- ",
        b"{",
        b"[",
        b"]",
        b"}",
        b"*a",
        b"&a",
        b"!x ",
        b"|",
        b"'",
        b'"',
        b"#",
        b"\xff",
        b"\0",
    ),
    *(b"? ", b"---\n", b"...", b"%", b"@", b"`"),
]


def outcome(text: bytes) -> Declaration | KvstackError:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "kvstack.yaml").write_bytes(text)
        try:
            return declaration(Path(folder))
        except KvstackError as error:
            return error


def check(text: bytes) -> None:
    found = outcome(text)
    if isinstance(found, Declaration):
        digest(found.desired)  # everything in it can be encoded
        assert all(warning.severity == "warning" for warning in found.warnings)
        return
    # YAML ends a line at each of these; bytes that are no text are counted by `\\n` alone.
    lines = re.split("\r\n|[\r\n\x85\u2028\u2029]", text.decode("utf-8-sig", errors="replace"))
    assert found.diagnostics
    assert any(diagnostic.severity == "error" for diagnostic in found.diagnostics)
    for diagnostic in found.diagnostics:
        assert CANARY not in str(diagnostic)
        assert len(str(diagnostic)) < 2000
        place = diagnostic.place
        assert place is not None, diagnostic
        assert place.file == "kvstack.yaml"
        assert 1 <= place.line <= len(lines) + 1
        if place.line <= len(lines):
            # Where a carriage return stands, columns may be counted from the beginning of the text.
            longest = len(text) if b"\r" in text else len(lines[place.line - 1])
            assert 1 <= place.column <= max(longest, 1 if "UTF-8" not in diagnostic.summary else len(text)) + 1
        assert "not what it should be:" not in diagnostic.summary  # types and schema always agree


@given(mutations(written()))
def test_a_declaration_gone_wrong_is_told_in_its_file(document: Document) -> None:
    check(as_yaml(document).encode())


@given(mutations(PLAIN))
def test_a_declaration_without_references_gone_wrong_is_told_in_its_file(document: Document) -> None:
    check(as_yaml(document).encode())


@given(st.data())
def test_text_cut_and_stirred_is_told_in_its_file(data: st.DataObject) -> None:
    text = VALID.encode()
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 200)))
        stirred = [*STIRRED, text[start:end] * 2]
        part = data.draw(st.sampled_from(stirred))
        text = text[:start] + part + text[end:]
    check(text)


@given(st.binary(max_size=200))
def test_bytes_are_told(content: bytes) -> None:
    check(content)


@given(st.text(alphabet=st.sampled_from(list("abc:-[]{},&*!|>'\"%@`#? \n\t\r\x85\u2028\ufeff0.~<é")), max_size=60))
def test_text_of_yamls_own_characters_is_told(content: str) -> None:
    check(content.encode())
