"""Images shown in the browser: planes on demand, for this machine alone. Needs no torch."""

from meeum.serving.exhibit import Choice, Exhibit, files, run
from meeum.serving.server import Server, listen

__all__ = ["Choice", "Exhibit", "Server", "files", "listen", "run"]
