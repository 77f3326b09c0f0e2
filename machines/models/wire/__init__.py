"""The wire protocol as frozen pydantic values: requests, frames, and what stands inside them.

A class is named for its place on the wire: `SubmitPromptRequest` is a client's frame and
`SubmitPromptData` its `data`, `StepCompletedData` is the `data` of a server's frame such as
`ChorusResponseFrame`, and a `MessageView` stands inside. Names without such an ending belong to the
values that the machines work on.

Shapes and bounds only. How bytes become these values is in `server.wire.codec`; how stored values
become views is in `machines.decisions.views`.
"""

__all__ = [
    "branch_data",
    "close_codes",
    "comparison",
    "envelope",
    "explained",
    "fields",
    "frames",
    "membership_requests",
    "request_base",
    "request_data",
    "requests",
    "run_frames",
    "views",
]
