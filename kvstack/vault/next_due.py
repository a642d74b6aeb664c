"""When there is something to do next, as far as the agenda knows: what a scheduler sleeps by. Looks only."""

from datetime import timedelta

from kvstack.vault import agenda
from kvstack.vault.engine import Engine


class NextDueOperations(Engine):
    """What a scheduler asks between two runs."""

    def next_due(self, within: timedelta) -> timedelta | None:
        """Return how long it is until the next thing is due that is not yet, None where that is longer than this.
        It says that there is work, never which: so it is no operation, and not audited. Raises StoreFault."""
        with self._store.transaction() as tx:
            now = self._clock.now()
            until = now + within
            vaults = self._current_registry(tx).vaults.values()
            dates = [vault.deletion.scheduled_purge for vault in vaults if vault.deletion is not None]
            dates += [entry.at for entry in agenda.entries(tx, until)] if agenda.begun(tx) else []
        return min((date - now for date in dates if now < date <= until), default=None)
