"""What stands between the network and the page: only this machine's own page may ask, and it asks nobody else."""

from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

HOSTS = ("127.0.0.1", "localhost")
# The browser itself refuses what the page does not bring: nothing comes from elsewhere, nothing goes elsewhere, and no
# other page can show this one in a frame. The page's components are templates that are compiled in the browser.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' {sockets}; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}


class LocalOnly:
    """Refuses requests that another page or machine sends, and large ones, before anything of them is read.

    A foreign page reaches a server on this machine under a name that its owner points here (DNS rebinding), or by a
    request across origins: the headers Host and Origin tell.

    Args:
        app: the ASGI application that answers the others.
        most_bytes: of the body of a request.
    """

    def __init__(self, app: ASGIApp, most_bytes: int) -> None:
        self.app, self.most_bytes = app, most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        headers = Headers(scope=scope)
        refused = self._refusal(scope, headers)
        if refused is None:
            return await self.app(scope, receive, _with_policy(send, headers["host"]))
        if scope["type"] == "websocket":
            return await WebSocketClose(1008)(scope, receive, send)
        status, sentence = refused
        await PlainTextResponse(f"{sentence}\n", status)(scope, receive, send)

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        """Return the status and the sentence with which a request is refused, if it is."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if _name(f"//{host}") not in HOSTS:
            return 403, f"this page is at {' or '.join(HOSTS)}, not at {host!r}"
        if origin is not None and origin != f"http://{host}":
            return 403, f"a page of {origin} may not ask this one"
        if scope.get("method") in (None, "GET", "HEAD", "OPTIONS"):
            return None
        length = headers.get("content-length", "")
        if not length.isdecimal():
            return 411, "a request with a body must tell its length"
        if int(length) > self.most_bytes:
            return 413, f"a request may have {self.most_bytes} bytes, and this one has {length}"
        return None


def _name(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:  # brackets that are no address
        return None


def _with_policy(send: Send, host: str) -> Send:
    async def send_with_policy(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers: Any = MutableHeaders(scope=message)
            # Not every browser counts a socket to the same place as 'self'.
            headers.update({**_HEADERS, "content-security-policy": _POLICY.format(sockets=f"ws://{host}")})
        await send(message)

    return send_with_policy
