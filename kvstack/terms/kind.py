"""A resource type as people say it."""

_SPELLED = {"hsm": "HSM", "managed": "Managed", "identity": "managed identity"}


def kind_words(kind: str) -> str:
    """Return `role assignment` for `role_assignment`, `Managed HSM` for `managed_hsm`."""
    return " ".join(_SPELLED.get(word, word) for word in kind.split("_"))


def with_article(words: str) -> str:
    """Return `an issuer` for `issuer`, `a key` for `key`."""
    return f"an {words}" if words[:1] in "aeio" else f"a {words}"
