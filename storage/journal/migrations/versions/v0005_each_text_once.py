"""Each text stands once: entries refer to the message or the event that holds it.

A journal of years takes minutes, so this only notes that it is to be done; `migrations.go_on` does it,
some rows at a time, each time durably. A version that does not know the new form refuses the journal from
here on.
"""

from alembic import op

from storage.journal.migrations.each_text_once import begin

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None
servers = "stop"


def upgrade() -> None:
    """Note what is to be done."""
    begin(op.get_bind())
