"""What servers tell each other in passing: text while it is written, and who looks at a thread.

`port` carries texts from server to server with no promise that they come; `redis` does so through
Redis, `storage.journal.postgres.passing` through the database. `messages` are the texts, and `interests`
knows which server wants to be told of which thread. What is lost here stands in an entry later, or is
told again; nothing waits for it.
"""

__all__ = ["interests", "messages", "port", "redis"]
