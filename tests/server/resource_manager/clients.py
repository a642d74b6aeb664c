"""Azure's clients for resource manager, unmodified: told where it is, and what their token is for."""

from typing import Any

from tests.server.served import APP, Served


def management(served: Served, kind: Any, who: str = APP, **more: Any) -> Any:
    """Return a client of a server. kind: its class; nearly everything in its models may be None, so that mypy is of no
    help with them."""
    return kind(
        served.credential(who),
        served.subscription,
        base_url=f"https://{served.management}",
        credential_scopes=[f"https://{served.management}/.default"],
        **served.transport,
        **more,
    )
