"""The web server: the site, its routes, and which hosts and origins it serves.

Every handler of HTTP lives here; those of websockets are in `server.sockets`. Nothing here decides
what a thread or a run does.
"""

__all__ = [
    "asyncapi",
    "hosts",
    "page_routes",
    "page_types",
    "routes",
    "schemas",
    "shared_threads",
    "site",
    "static",
    "two_ways",
]
