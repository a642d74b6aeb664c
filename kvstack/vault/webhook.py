"""One webhook: asked whether it wants events, then posted them, each signed, over one connection.

Signed as Standard Webhooks has it (webhook-id, webhook-timestamp, webhook-signature); the handshake is that of the
CloudEvents HTTP WebHook specification, or Event Grid's validation event.
"""

import http.client
from collections.abc import Callable
from datetime import datetime

import msgspec

from kvstack.terms.signature import signature_headers
from kvstack.vault.delivery_policy import TAKEN, Answer, asked_to_wait
from kvstack.vault.event_configuration import EventConfiguration
from kvstack.vault.outward import MOST_BYTES, SECONDS, Outward, why
from kvstack.vault.public_address import Resolver, system_resolver

_EVENT_TYPE = "application/cloudevents+json; charset=utf-8"


class Webhook:
    """A receiver, with the connection to it. key: what signs, None for nothing; random: draws random bytes; resolver:
    says what its name means; most: bytes of an answer that are read."""

    def __init__(
        self,
        url: str,
        configuration: EventConfiguration,
        key: bytes | None,
        *,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
        seconds: tuple[float, float, float] = SECONDS,
        resolver: Resolver = system_resolver,
        most: int = MOST_BYTES,
    ) -> None:
        self._outward = Outward(url, configuration, seconds=seconds, resolver=resolver, most=most)
        self._configuration = configuration
        self._key = key
        self._now = now
        self._random = random

    def close(self) -> None:
        """Let go of the connection."""
        self._outward.close()

    def post(self, identifier: str, event: bytes) -> Answer:
        """Post one event."""
        status, failure, _, wait = self.exchange(identifier, event, _EVENT_TYPE)
        if not failure:
            return TAKEN
        if status == 410:  # HTTP's own word: the receiver is gone for good
            return Answer("gone", "answered 410: it wants no events any more")
        return Answer("later", failure, wait)

    def exchange(self, identifier: str, body: bytes, kind: str) -> tuple[int, str, bytes, float | None]:
        """Post something. kind: its media type. Returns the status, 0 where there was no answer; why it was not taken,
        empty where it was; the beginning of what was answered; and the seconds it asks to be left alone for."""
        headers = {"Content-Type": kind, **self._signed(identifier, body)}
        try:
            status, answered, content = self._outward.ask("POST", headers, body)
        except (OSError, http.client.HTTPException) as error:
            return 0, why(error), b"", None
        if 200 <= status < 300:
            return status, "", content, None
        wait = asked_to_wait(answered.get("retry-after", ""), self._now()) if status in (429, 503) else None
        redirect = ", and redirects are not followed" if 300 <= status < 400 else ""
        return status, f"answered {status}{redirect}", content, wait

    def validated(self) -> Answer:
        """Ask whether it wants events of ours: nobody is to be flooded who did not say so."""
        origin = self._configuration.origin
        try:
            status, answered, _ = self._outward.ask("OPTIONS", {"WebHook-Request-Origin": origin}, b"")
            allowed = answered.get("webhook-allowed-origin", "").strip().lower()
            if 200 <= status < 300 and allowed in ("*", origin.lower()):
                return TAKEN
            return self._validated_by_code()
        except (OSError, http.client.HTTPException) as error:
            return Answer("later", why(error))

    def _validated_by_code(self) -> Answer:
        code, identifier = self._random(16).hex(), self._random(16).hex()
        event = {
            "id": identifier,
            "topic": "",
            "subject": "",
            "data": {"validationCode": code},
            "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
            "eventTime": self._now().isoformat(),
            "metadataVersion": "1",
            "dataVersion": "2",
        }
        body = msgspec.json.encode([event])
        headers = {
            "Content-Type": "application/json",
            "aeg-event-type": "SubscriptionValidation",
            **self._signed(identifier, body),
        }
        status, answered, content = self._outward.ask("POST", headers, body)
        if 200 <= status < 300 and _says(content, code):
            return TAKEN
        wait = asked_to_wait(answered.get("retry-after", ""), self._now()) if status in (429, 503) else None
        return Answer("later", f"did not say that it wants events (answered {status})", wait)

    def _signed(self, identifier: str, body: bytes) -> dict[str, str]:
        if self._key is None:
            return {}
        return signature_headers(self._key, identifier, self._now(), body)


def _says(content: bytes, code: str) -> bool:
    """Tell whether a body answers Event Grid's validation."""
    from hmac import compare_digest

    try:
        answered = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
        said = msgspec.json.decode(answered["validationResponse"], type=str)
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError):
        return False
    return compare_digest(said.encode(), code.encode())
