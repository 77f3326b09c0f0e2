"""Revisions that a release after this one may have: see `tests.support.next_release`."""
