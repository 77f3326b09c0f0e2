"""The wire protocol as frozen pydantic values: requests, frames, and what stands inside them.

Shapes and bounds only. How bytes become these values is in `server.wire.codec`; how stored values
become views is in `machines.decisions.views`.
"""

__all__ = ["fields", "frames", "requests", "views"]
