"""Bounds that are part of the contract: the same for every server, so no setting moves them.

Only numbers live here. What an operator may move (rates, queues, deadlines) is a setting of the
server. Lengths of text count Unicode code points.
"""

MAX_FRAME_BYTES = 393_216
"""Bytes of one frame from a client; more closes the socket with 1009. It holds every prompt within
`MAX_CONTENT_LENGTH` as any JSON encoder writes it: an escaped character above U+FFFF has 12 bytes."""

MAX_SERVER_FRAME_BYTES = 262_144
"""Bytes of one frame from the server: pages end before it, and what is longer is cut."""

MAX_CONTENT_LENGTH = 32_000
"""Code points of one prompt; more is `too_large`."""

MAX_NAME_LENGTH = 80
"""Code points of a person's or a thread's name, once stripped."""

MAX_INSTRUCTIONS_LENGTH = 4_000
"""Code points of a thread's instructions; entries that change the thread repeat them."""

MAX_MODEL_NAME_LENGTH = 200
"""Code points of a model's name."""

MAX_MODELS = 100
"""Models that an operator may let threads choose from; every `hello` names them."""

MAX_CO_AUTHORS = 256
"""Co-authors of one thread, with those who become one if what waits is approved."""

MAX_OPEN_REMOVALS = 2
"""Votes on removals that may be open in one thread: each names up to all co-authors."""

MAX_OPEN_BRANCHES = 16
"""Branches that may be open in one thread: each keeps a run with all its texts."""

MAX_BRANCH_VOTES = 2
"""Branches that may be voted on in one thread at a time: each names all co-authors."""

MAX_GENERATIONS = 64
"""Forks from which a run descends: a fork of a first run is of generation 1."""

MAX_OPEN_LINKS = 20
"""Invite links that may be open in one thread."""

DEFAULT_LINK_HOURS = 168
"""Hours until an invite link expires, where its maker asks for no number."""

MAX_LINK_HOURS = 720
"""Hours until an invite link expires, at most."""

MAX_MENTIONS = 200
"""Mentions of one message that count; co-authors of one name are mentioned together."""

MAX_REASON_LENGTH = 1_000
"""Code points of the reason that comes with a rejection."""

MAX_QUERY_LENGTH = 2_000
"""Code points of a search query."""

MAX_REQUEST_ID_LENGTH = 64
"""Characters of a client's request id."""

MAX_CURSOR_LENGTH = 512
"""Characters of the opaque place at which a list goes on."""

MAX_TOKEN_LENGTH = 256
"""Characters of a session token, and of the secret of an invite link."""

DEFAULT_PAGE = 50
"""Messages or threads in a page, where the client asks for no number."""

MAX_PAGE = 200
"""Messages or threads in one page."""

MAX_INBOX_COUNT = 100
"""What waits and what is not read is counted up to here; among mentions the newest so many count."""

MAX_HIDDEN_MESSAGES = 1_000
"""Messages of one thread that a user can hide."""

MAX_EXCERPT_LENGTH = 200
"""Code points of a message that an inbox shows."""

MAX_RUNS_SHOWN = 100
"""Runs of a thread that `thread_messages` shows; only a queue without a bound has more."""

MAX_WAY = 500
"""Edges of each run that `comparison` tells, from the beginning."""

DEFAULT_EVENTS_PAGE = 200
"""Journal entries in a page of `events`, where the client asks for no number."""

MAX_EVENTS_PAGE = 1_000
"""Journal entries in one page of `events`."""

MAX_EVENTS_PAGE_BYTES = MAX_SERVER_FRAME_BYTES
"""Bytes of entries that are read for a page of `events`."""

MAX_CATCH_UP = 1_000
"""Entries that `get_thread` sends after `after_seq`; more is `conflict`."""

DEFAULT_SEARCH_RESULTS = 10
"""Results of a search, where the client asks for no number."""

MAX_SEARCH_RESULTS = 80
"""Results of one search."""

MAX_PEOPLE = 200
"""Users whom `list_people` names, of the caller's threads that changed last."""

MAX_SHARED_THREADS_NAMED = 3
"""Names of shared threads that `list_people` tells of each."""

MAX_SEQ = 2**63 - 1
"""The largest number that a journal can give an entry; also bounds every index."""

PROTOCOL_VERSION = 1
"""Version of the wire protocol, as `hello` tells it."""

SUBPROTOCOL = "chorus.v1"
"""The websocket subprotocol that stands for `PROTOCOL_VERSION`."""
