"""Which algorithm works with which type of key, by trying every pair: software, and each module there is."""

from collections.abc import Mapping

from kvstack.hsm import public_half
from kvstack.hsm.protocol import HsmError, KeyProvider, KeyReference
from kvstack.terms.algorithm import ALGORITHMS, Algorithm
from kvstack.terms.key import KeySpecification
from tests.hsm import crosscheck
from tests.hsm.examples import HSM, SOFTWARE, key, title

HEADING = """\
# Algorithms and keys

Every pair of a key and an algorithm, tried: `yes` is a key that was made and used; `no` is an error that names the
mechanism the module lacks. The test that writes this page runs with all others (`tests/hsm/test_algorithm_matrix.py`).

Where a PKCS#11 module decides, the modules here are SoftHSM2, with wrapped keys and with token keys, and NSS softokn,
where only token keys are safe. `kvstack hsm info` tells for yours what it says of itself. SoftHSM makes authentication
codes only with keys at least as long as the hash (RFC 7518, 3.2), and never with an AES object of its token.
"""


def matrix(software: KeyProvider, modules: Mapping[str, KeyProvider]) -> str:
    """Return the page."""
    names = list(modules)
    lines = [
        HEADING,
        "| Key | Algorithm | software | " + " | ".join(names) + " |",
        "|---|---|---|" + "---|" * len(names),
    ]
    pairs = dict(zip(SOFTWARE, HSM, strict=False))
    made = {provider: _keys(modules[provider]) for provider in names}
    for specification in SOFTWARE:
        own = key(software, specification)
        for algorithm in ALGORITHMS.values():
            if algorithm.unfit(specification) is not None:
                continue
            cells = [_works(software, own, algorithm)]
            cells += [_cell(modules[name], made[name], pairs.get(specification), algorithm) for name in names]
            lines.append(f"| {title(specification)} | {algorithm.name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _keys(provider: KeyProvider) -> dict[KeySpecification, KeyReference]:
    found = {}
    for specification in HSM:
        try:
            found[specification] = key(provider, specification)
        except HsmError:
            continue
    return found


def _cell(
    provider: KeyProvider,
    made: dict[KeySpecification, KeyReference],
    specification: KeySpecification | None,
    algorithm: Algorithm,
) -> str:
    if specification is None:
        return ""
    return _works(provider, made[specification], algorithm) if specification in made else "no"


def _works(provider: KeyProvider, made: KeyReference, algorithm: Algorithm) -> str:
    try:
        if "sign" in algorithm.purposes:
            digest = crosscheck.digest(algorithm, b"message", made.material.public)
            worked = provider.verify(made, algorithm, digest, provider.sign(made, algorithm, digest))
        elif "encapsulate" in algorithm.purposes:
            secret, ciphertext = public_half.encapsulated(made.material.public, algorithm)
            worked = provider.decrypt(made, algorithm, ciphertext) == secret
        else:
            sealed = provider.encrypt(made, algorithm, bytes(32))
            opened = provider.decrypt(made, algorithm, sealed.ciphertext, iv=sealed.iv, tag=sealed.tag)
            worked = opened == bytes(32)
    except HsmError:
        return "no"
    assert worked, (made.specification, algorithm.name)
    return "yes"
