"""Keys held open in the module: by name, a bounded number, and none let go of while it is in use."""

import threading
from collections import OrderedDict
from collections.abc import Callable


class OpenKey:
    """A key's handle. material: what it was opened from; users: how many threads work with it now."""

    __slots__ = ("handle", "material", "retired", "users")

    def __init__(self, handle: int, material: bytes) -> None:
        self.handle = handle
        self.material = material
        self.users = 0
        self.retired = False


class HandleCache:
    """The most recently used open keys. discard: called with a handle that nobody uses and nobody will find again."""

    def __init__(self, bound: int, discard: Callable[[int], None]) -> None:
        self._bound = max(bound, 1)
        self._discard = discard
        self._open: OrderedDict[str, OpenKey] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._open)

    def borrow(self, name: str, material: bytes, opened: Callable[[], int]) -> OpenKey:
        """Return the key of this name, opened where it is not yet. Give it back after use."""
        with self._lock:
            found = self._open.get(name)
            if found is not None and found.material == material:
                self._open.move_to_end(name)
                found.users += 1
                return found
        # Outside the lock: two threads may open the same key at once, and the later one's handle is then let go of.
        made = OpenKey(opened(), material)
        with self._lock:
            kept = self._open.get(name)
            if kept is None or kept.material != material:
                unused = self._retire(name)
                self._open[name] = kept = made
                kept.users += 1
                while len(self._open) > self._bound:
                    unused += self._retire(next(iter(self._open)))
            else:
                self._open.move_to_end(name)
                kept.users += 1
                unused = [made.handle]
        self._let_go(unused)
        return kept

    def give_back(self, key: OpenKey) -> None:
        """Tell that a borrowed key is no longer in use."""
        with self._lock:
            key.users -= 1
            finished = key.retired and not key.users
        if finished:
            self._discard(key.handle)

    def drop(self, name: str) -> None:
        """Forget a key: at once, or when its last user gives it back."""
        with self._lock:
            unused = self._retire(name)
        self._let_go(unused)

    def _retire(self, name: str) -> list[int]:
        key = self._open.pop(name, None)
        if key is None:
            return []
        key.retired = True
        return [] if key.users else [key.handle]

    def _let_go(self, handles: list[int]) -> None:
        for handle in handles:
            self._discard(handle)
