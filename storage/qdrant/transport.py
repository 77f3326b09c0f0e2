"""Bounded HTTP as the library needs it: of a wait that a server asks for it reads whole seconds alone."""

import math

import httpx

from machines.models.retry_after import retry_after_ms
from storage.qdrant.bounded_http import BoundedTransport


class Transport(BoundedTransport):
    """A transport whose answers say `retry-after` in whole seconds, or not at all."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """As `BoundedTransport` says."""
        answer = super().handle_request(request)
        asked_ms = retry_after_ms(answer.headers)
        answer.headers.pop("retry-after", None)
        if asked_ms is not None:
            answer.headers["retry-after"] = str(math.ceil(asked_ms / 1000))
        return answer
