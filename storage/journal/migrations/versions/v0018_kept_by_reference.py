"""Forks name the runs that made what they keep: no table changes.

A server of the version before reads such a fork as one that kept nothing.
"""

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None
servers = "stop"


def upgrade() -> None:
    """Change nothing: forks that hold copies are read as they are."""
