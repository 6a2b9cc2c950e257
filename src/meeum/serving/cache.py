"""The planes that were asked for last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from meeum.serving.planes import Asked, Plane

MOST_BYTES = 128 * 2**20


class Cache:
    """Planes up to `most_bytes` together; the one that was not asked for longest goes first."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._kept: OrderedDict[Asked, Plane] = OrderedDict()
        self._lock = Lock()
        self._projecting = Lock()  # a maximum takes long: an impatient reader must not start it twice

    def get(self, asked: Asked, make: Callable[[], Plane]) -> Plane:
        """The plane kept for a request, else a new one."""
        if asked.axis != "max":
            return self._find(asked) or self._keep(asked, make())
        with self._projecting:
            return self._find(asked) or self._keep(asked, make())

    @property
    def bytes(self) -> int:
        return sum(plane.values.nbytes for plane in self._kept.values())

    def _find(self, asked: Asked) -> Plane | None:
        with self._lock:
            found = self._kept.get(asked)
            if found:
                self._kept.move_to_end(asked)
            return found

    def _keep(self, asked: Asked, plane: Plane) -> Plane:
        with self._lock:
            self._kept[asked] = plane
            while self.bytes > self._most:
                self._kept.popitem(last=False)
        return plane
