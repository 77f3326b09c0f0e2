"""Websockets: a reader, a worker and an outbox for each connection.

Bytes come in and go out here, bounded in both directions. What a frame means is decided in
`server.sessions`.
"""

__all__ = ["budget", "flood_guard", "flusher", "outbox", "pacing", "queued", "websocket"]
