"""An index over the entries, of which one column was in no index before."""

from alembic import op

revision = "9003"
down_revision = "9002"
branch_labels = None
depends_on = None
servers = "go on"
index = ("entries_by_kind", "entries", ("kind", "position"))


def upgrade() -> None:
    """Make it, where it was not built beforehand."""
    name, table, columns = index
    op.create_index(name, table, list(columns), if_not_exists=True)
