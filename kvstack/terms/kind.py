"""A resource type as people say it."""

_SPELLED = {"hsm": "HSM", "managed": "Managed"}


def kind_words(kind: str) -> str:
    """Return `role assignment` for `role_assignment`, `Managed HSM` for `managed_hsm`."""
    return " ".join(_SPELLED.get(word, word) for word in kind.split("_"))
