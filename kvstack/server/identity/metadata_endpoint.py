"""An address of this machine that stands for an identity, as the operator writes it."""

import msgspec

from kvstack.terms.diagnostic import KvstackError


class MetadataEndpoint(msgspec.Struct, frozen=True):
    """One address and who is known by it. identity: the name or the object id of a principal."""

    identity: str
    address: str
    port: int


def metadata_endpoint(text: str) -> MetadataEndpoint:
    """Return what `IDENTITY=ADDRESS:PORT` says. Raises KvstackError for an address others could reach."""
    import ipaddress

    identity, equals, place = text.rpartition("=")
    host, colon, port = place.rpartition(":")
    if not equals or not identity or not colon or not port.isascii() or not port.isdigit() or int(port[:6]) > 65535:
        raise KvstackError(f"`--imds {text}` is not IDENTITY=ADDRESS:PORT", "Write it as `batch=127.0.0.2:8180`.")
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise KvstackError(f"`--imds {text}`: `{host}` is no IP address", "Write `batch=127.0.0.2:8180`.") from None
    if not address.is_loopback:
        raise KvstackError(
            f"`--imds {text}`: {address} is no loopback address, and whoever reaches it would be `{identity}`",
            "Take one of this machine's own: 127.0.0.1 to 127.255.255.254, or [::1].",
        )
    return MetadataEndpoint(identity, str(address), int(port))
