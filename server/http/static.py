"""Small files that are kept in memory and revalidated by ETag: the page, drawings and documents."""

from collections.abc import Mapping
from hashlib import sha256

from aiohttp import web


class StaticFile:
    """A small file in memory, that a browser asks for again only to hear that it is the same."""

    def __init__(
        self, body: bytes, content_type: str, headers: Mapping[str, str] | None = None
    ) -> None:
        self._body = body
        self._content_type = content_type
        self._headers = {"Cache-Control": "no-cache", **(headers or {})}
        self._etag = sha256(body).hexdigest()[:32]

    async def serve(self, request: web.Request) -> web.Response:
        """The handler of its route."""
        known = request.if_none_match or ()
        if any(etag.value in {self._etag, "*"} for etag in known):
            response = web.Response(status=304, headers=self._headers)
        else:
            response = web.Response(
                body=self._body,
                content_type=self._content_type,
                charset="utf-8",
                headers=self._headers,
            )
        response.etag = self._etag
        return response
