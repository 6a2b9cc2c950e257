"""The web server: the viewer's page and planes of the images, to this machine alone."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from urllib.parse import urlsplit

from meeum.errors import MeeumError, UsageError
from meeum.serving.asking import asked
from meeum.serving.cache import Cache
from meeum.serving.exhibit import Exhibit
from meeum.serving.planes import plane

HOST = "127.0.0.1"
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
LAST = {"Connection": "close"}
PATIENCE = 30.0  # seconds for a request to arrive


class Server(ThreadingHTTPServer):
    """Listens on the loopback interface only."""

    daemon_threads = True

    def __init__(self, exhibit: Exhibit, port: int) -> None:
        self.exhibit, self.cache, self.reading = exhibit, Cache(), Lock()
        super().__init__((HOST, port), _Handler)

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.server_port}/"

    @property
    def hosts(self) -> tuple[str, ...]:
        """What a browser on this machine calls it; another name leads here only by a forged address (DNS rebinding)."""
        return f"{HOST}:{self.server_port}", f"localhost:{self.server_port}"


def listen(exhibit: Exhibit, *, port: int = 0) -> Server:
    """A server that is ready for `serve_forever`; port 0 is any free one."""
    try:
        return Server(exhibit, port)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"--port {port}: cannot be listened on ({why}); leave it out to take a free one") from None


class _Handler(BaseHTTPRequestHandler):
    """GET / (the page), /plane?... and the run's own pages; no word of a request ever becomes a path of a file."""

    server: Server
    server_version, sys_version = "meeum", ""
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE

    def parse_request(self) -> bool:
        """Refuse all that is not a GET by a known name, before anything else."""
        if not super().parse_request():
            return False
        if self.command != "GET":
            self._say(
                HTTPStatus.METHOD_NOT_ALLOWED, "only GET is answered", more={"Allow": "GET", "Connection": "close"}
            )
        elif self.headers.get("Host", "") not in self.server.hosts:
            self._say(HTTPStatus.FORBIDDEN, f"ask for {self.server.address}", more={"Connection": "close"})
        else:
            return True
        self.close_connection = True
        return False

    def do_GET(self) -> None:
        try:
            self._answer()
        except UsageError as error:
            self._say(HTTPStatus.BAD_REQUEST, str(error))
        except MeeumError as error:
            self._say(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
        except (BrokenPipeError, ConnectionResetError):  # the reader has gone on to another plane
            self.close_connection = True

    def _answer(self) -> None:
        address = urlsplit(self.path)
        if address.path == "/plane":
            self._send_plane(address.query)
            return
        page = self.server.exhibit.page(address.path)
        if page is None:
            self._say(HTTPStatus.NOT_FOUND, "there is / and /plane?image=noisy&axis=z&index=0")
        else:
            self._send(HTTPStatus.OK, page, "text/html; charset=utf-8")

    def _send_plane(self, query: str) -> None:
        images = self.server.exhibit.images()
        wanted = asked(query, images)
        found = self.server.cache.get(wanted, lambda: plane(images[wanted.image], wanted, self.server.reading))
        rows, columns = found.values.shape
        sizes = {"X-Rows": str(rows), "X-Columns": str(columns), "X-Step": str(found.step)}
        self._send(HTTPStatus.OK, found.values.astype("<f4").tobytes(), "application/octet-stream", more=sizes)

    def _say(self, status: HTTPStatus, words: str, *, more: Mapping[str, str] | None = None) -> None:
        self._send(status, f"{words}\n".encode(), "text/plain; charset=utf-8", more=more)

    def _send(self, status: HTTPStatus, body: bytes, kind: str, *, more: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        fixed = {"Content-Type": kind, "Content-Length": str(len(body))}
        for name, value in {**fixed, **HEADERS, **(more or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: each plane would be a line."""
