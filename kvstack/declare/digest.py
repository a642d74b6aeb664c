"""What tells one declaration from another, so that a plan made of the one is not applied to the other."""

import hashlib

import msgspec

from kvstack.declare.graph import Desired


def digest(desired: Desired) -> str:
    """Return the SHA-256 of everything in a declaration that planning looks at, in hex."""
    encoder = msgspec.json.Encoder(order="deterministic")
    running = hashlib.sha256()
    running.update(
        encoder.encode(
            {
                "owner": desired.owner,
                "moves": [(move.source, move.target) for move in desired.moves],
                "removals": list(desired.removals.values()),
                "imports": sorted(desired.imports),
                "principals": dict(desired.principals),
                "rules": desired.rules,
            }
        )
    )
    for address, node in desired.nodes.items():
        running.update(encoder.encode([address, node.resource.kind, node.identity, node.resource]))
    return running.hexdigest()
