"""Stand-ins of servers that Chorus needs, as programs that anyone can start.

    python -m tests.standins.qdrant 6333

They answer as the real ones do, refuse what these would refuse, and fail as they are told.
"""
