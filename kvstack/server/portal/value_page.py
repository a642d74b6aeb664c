"""The page that shows a secret's value: only on a form that asks for it, to who may get it, as a get in the audit."""

import base64

from kvstack.render.escape import plain
from kvstack.server.answer import Answer
from kvstack.server.portal.html import Content, element, exactly
from kvstack.server.portal.parts import link, state_chips, told
from kvstack.server.portal.vault_pages import around
from kvstack.server.portal.visit import Visit
from kvstack.terms.certificate import PKCS12
from kvstack.vault.records import SecretVersion


def value_page(visit: Visit, vault: str, name: str) -> Answer:
    """The value of one version. It is in this answer and nowhere else: in no address, no cache, no log."""
    found = visit.service.get_secret(visit.caller, vault, name, version=visit.sent("version") or None)
    text, words = _text(found)
    return visit.page(
        f"Value of {found.name}",
        element("p", "Version ", element("code", found.version), ". That you were shown it is in the audit."),
        [told("calm", one) for one in words],
        element("pre", exactly(text), class_="value", tabindex="0", role="region", aria_label="The value"),
        element("p", link("Hide it", "vaults", found.vault, "secrets", found.name), class_="deeds"),
        chips=state_chips(found, visit.now),
        around=around(found.vault, "secrets", item=found.name),
    )


def _text(one: SecretVersion) -> tuple[str, list[Content]]:
    """Return a value as text, and what has to be known about it."""
    value = one.value.reveal() if one.value is not None else b""
    if one.managed and one.content_type == PKCS12:
        return base64.b64encode(value).decode(), ["It is a PKCS #12 file, in base64, as the vault's clients get it."]
    if not value:
        return "", ["The value is empty."]
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return base64.b64encode(value).decode(), ["It is no text: this is its bytes in base64."]
    # What HTML cannot hold, and what is drawn as nothing, or moves what is around it.
    unseen = sum(plain(character) != character for character in text if character not in "\t\n\r")
    if "\0" in text:
        return base64.b64encode(value).decode(), ["It holds characters no page can show: this is its bytes in base64."]
    if unseen:
        return text, [f"It holds {unseen} characters that are not seen, or seen as others."]
    return text, []
