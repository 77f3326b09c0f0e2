"""Frozen pydantic values that every floor shares. Values only: no machine, no IO."""
