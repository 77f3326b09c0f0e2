"""Sessions: sign-in and tokens, the requests of who is signed in, and the quotas they count against.

A session knows its socket by the protocols in `ports`, and never imports aiohttp. What a
request does to a thread is carried out in `server.threads`.
"""

__all__ = [
    "accounts",
    "admission",
    "commands",
    "comparisons",
    "elsewhere",
    "explanations",
    "heat",
    "links",
    "lists",
    "pages",
    "past",
    "ports",
    "quotas",
    "reads",
    "registry",
    "requests",
    "session",
    "shared_rate",
    "signatures",
    "watch",
]
