"""Saving what is whole of a damaged SQLite journal, offline.

The file is read page by page and row by row; what is whole goes into a new journal. A running
server uses none of this, and nothing is invented in place of what is lost.
"""

__all__ = ["damaged_rows", "recover", "sqlite_pages"]
