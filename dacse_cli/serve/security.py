"""Access control for all requests, and the headers of every response.

The server listens on the loopback address, which every program and every web page open in a browser on this
machine can reach. So each request must contain the token and name this server in `Host` (a foreign name that
resolves to 127.0.0.1 is refused); a request from a web page must come from our own page (`Origin`).
"""

from __future__ import annotations

import hmac
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dacse_cli.serve.problems import ApiError

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
HTTP_PORT = 80


class Gate:
    """ASGI middleware around `app`. `policy` is the Content-Security-Policy of all responses."""

    def __init__(self, app: ASGIApp, *, port: int, token: str, policy: str) -> None:
        self._app, self._token = app, token.encode()
        # browsers leave the port out where it is that of http
        ports = ("", f":{port}") if port == HTTP_PORT else (f":{port}",)
        self._hosts = {name + shown for name in LOOPBACK for shown in ports}
        self._headers = {
            "Content-Security-Policy": policy,
            "Cache-Control": "no-store",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request or pass it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
            await send(message)

        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send_with_headers)
        else:
            response = JSONResponse(refusal.to_json(), refusal.status)
            await response(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> ApiError | None:
        headers = Headers(scope=scope)
        if headers.getlist("host") == [] or any(host not in self._hosts for host in headers.getlist("host")):
            return ApiError(421, "wrong_host", "this server answers only under its own address")
        if any(origin not in self._origins() for origin in headers.getlist("origin")):
            return ApiError(403, "foreign_origin", "other web pages may not use this server")
        if not self._knows_token(headers, scope["query_string"]):
            return ApiError(401, "wrong_token", "open the address that `dacse serve` printed, with its token")
        return None

    def _origins(self) -> set[str]:
        return {f"http://{host}" for host in self._hosts}

    def _knows_token(self, headers: Headers, query: bytes) -> bool:
        """`Authorization: Bearer TOKEN`, or `?token=TOKEN` for addresses that are clicked."""
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            given = parse_qs(query.decode("latin-1")).get("token", [""])[0]
        return hmac.compare_digest(given.strip().encode(), self._token)
