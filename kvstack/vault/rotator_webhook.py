"""A rotator that is a webhook: the call posted to it over TLS, signed, by the rules events are posted by."""

from collections.abc import Callable
from datetime import datetime

from kvstack.vault.event_configuration import EventConfiguration
from kvstack.vault.rotation_attempt import Answer
from kvstack.vault.rotator_call import MOST_BYTES, RotatorCall, answered
from kvstack.vault.webhook import Webhook

REFUSED = 422  # trying the same again makes no sense
_CONNECT_SECONDS = 5.0


class RotatorWebhook:
    """An address. key: what signs; now: for the signature's time; random: draws random bytes; seconds: for one call."""

    def __init__(
        self,
        url: str,
        configuration: EventConfiguration,
        key: bytes,
        *,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
        seconds: float,
    ) -> None:
        self._url = url
        self._configuration = configuration
        self._key = key
        self._now = now
        self._random = random
        self._seconds = (min(_CONNECT_SECONDS, seconds), seconds, seconds)

    def ask(self, call: RotatorCall) -> Answer:
        """Post it once. Of what is answered only a value is kept."""
        webhook = Webhook(
            self._url,
            self._configuration,
            self._key,
            now=self._now,
            random=self._random,
            seconds=self._seconds,
            most=MOST_BYTES,
        )
        try:
            status, failure, content, wait = webhook.exchange(
                f"{call.id}.{call.phase}", call.document, "application/json"
            )
        finally:
            webhook.close()
        if failure:
            return Answer("refused" if status == REFUSED else "failed", failure, wait=wait or 0.0)
        if len(content) > MOST_BYTES:
            return Answer("failed", f"answered more than {MOST_BYTES} bytes")
        return answered(call, content)
