"""Public threads as plain pages, for anyone who has the address: no session, no script, read only.

A page has the approved messages alone, rendered as the page of the users shows them. A thread that is
private, or not there, or spelt wrong, is one and the same 404.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from html import escape
from re import fullmatch
from typing import Final

from aiohttp import web

from machines.models.domain import Role
from machines.models.ids import UUID_PATTERN, PublicKey, ThreadId
from machines.models.limits import DEFAULT_PAGE
from machines.models.message import Message, MessageStatus
from machines.models.thread import Thread, ThreadStatus, Visibility
from server.concurrency.rate_limit import RateLimiter
from server.wire.bounds import fitting
from server.wire.markdown import render_markdown
from server.wire.renderer import Renderer
from storage.journal.port import Journal

PATH: Final = "/t/{thread_id}"

PAGES_PER_MINUTE: Final = 60
"""Of one address."""

MAX_CHARACTERS: Final = 200_000
"""Code points of the messages of a page; it ends before, and with at least one message."""

_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    ),
    "X-Robots-Tag": "noindex, nofollow",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class _Page:
    """What is shown of a thread."""

    thread: Thread
    messages: tuple[Message, ...]
    """Approved ones, oldest first."""
    names: dict[PublicKey, str]
    older: int | None
    """Index before which the page of older messages ends; None where there are none."""


class SharedThreads:
    """Serves `PATH`.

    Args:
        address_of: who asks, as other limits count addresses.
        clock: seconds that never step back.
    """

    def __init__(
        self,
        journal: Journal,
        renderer: Renderer,
        address_of: Callable[[web.Request], str],
        clock: Callable[[], float],
    ) -> None:
        self._journal = journal
        self._renderer = renderer
        self._address_of = address_of
        self._limiter: RateLimiter[str] = RateLimiter(
            PAGES_PER_MINUTE / 60, PAGES_PER_MINUTE, clock
        )

    async def show(self, request: web.Request) -> web.Response:
        """The handler of the route."""
        wait = self._limiter.try_take(self._address_of(request))
        if wait is not None:
            body = _document("Too many pages", "<p>Too many pages; wait a moment.</p>")
            answer = _answer(body, status=429)
            answer.headers["Retry-After"] = str(math.ceil(wait / 1_000))
            return answer
        page = await self._page(request.match_info["thread_id"], request.query.get("before"))
        if page is None:
            body = _document("Not found", "<p>There is no such public thread.</p>")
            return _answer(body, status=404)
        return _answer(await self._renderer.do(partial(_page_of, page)))

    async def _page(self, thread_id: str, before: str | None) -> _Page | None:
        if not fullmatch(UUID_PATTERN, thread_id):
            return None
        if before is not None and not fullmatch("[0-9]{1,18}", before):
            return None
        thread = await self._journal.thread(ThreadId(thread_id))
        if thread is None or thread.visibility is not Visibility.PUBLIC:
            return None
        found = await self._journal.snapshot(
            thread.id, limit=DEFAULT_PAGE, before_index=None if before is None else int(before)
        )
        if found is None:
            return None
        view, page = found
        newest = page.messages[::-1]
        newest = newest[: fitting((len(each.content) for each in newest), MAX_CHARACTERS)]
        shown = tuple(each for each in newest[::-1] if each.status is MessageStatus.APPROVED)
        names = await self._journal.names({each.author for each in shown if each.author})
        has_older = page.has_more or len(newest) < len(page.messages)
        return _Page(view.thread, shown, names, newest[-1].index if has_older else None)


def _answer(body: str, *, status: int = 200) -> web.Response:
    return web.Response(text=body, status=status, content_type="text/html", headers=_HEADERS)


def _page_of(page: _Page) -> str:
    """The HTML of a page. Renders Markdown."""
    thread = page.thread
    about = "Read only" if thread.status is ThreadStatus.ACTIVE else "Read only, archived"
    older = (
        f'<p><a href="?before={page.older}">Earlier messages</a></p>'
        if page.older is not None
        else ""
    )
    is_empty = not page.messages and page.older is None
    empty = "<p>Nothing was said here yet.</p>" if is_empty else ""
    return _document(
        escape(thread.name),
        f'<p class="row"><span class="chip">{about}</span>'
        f' <a href="../#/t/{thread.id}">Sign in to take part</a></p>'
        f"{older}{empty}{''.join(_article(each, page.names) for each in page.messages)}",
    )


def _article(message: Message, names: dict[PublicKey, str]) -> str:
    if message.role is Role.CHORUS or message.author is None:
        who, said = "Chorus", render_markdown(message.content)
    else:
        key = message.author
        who = names.get(key) or f"{key[:4]}…{key[-4:]}"
        said = f'<p class="typed">{escape(message.content)}</p>'
    when = message.created_at
    return (
        f'<article id="m{message.index}"><h2><bdi>{escape(who)}</bdi> '
        f'<time datetime="{when.isoformat()}">{when:%Y-%m-%d %H:%M} UTC</time></h2>'
        f'<div class="said">{said}</div></article>'
    )


def _document(title: str, main: str) -> str:
    """A whole page; `title` and `main` are HTML."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{title} — Chorus</title>"
        '<link rel="icon" href="../page/icon.svg" type="image/svg+xml">'
        '<link rel="stylesheet" href="../page/base.css">'
        '<link rel="stylesheet" href="../page/messages.css">'
        '<link rel="stylesheet" href="../page/shared.css">'
        f'</head><body><main class="shared"><h1>{title}</h1>{main}</main></body></html>\n'
    )
