"""What every request has in common: its id, its type, and whether it may be sent again."""

from hashlib import sha256
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from machines.models.wire.fields import RequestIdText
from machines.models.wire.request_data import RequestData


class Request(BaseModel):
    """A client frame; each subclass adds its `type` and the shape of its `data`."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="ignore",
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )

    reply: ClassVar[str] = "accepted"
    """Type of the frame that answers it, where it is not `error`."""
    mutating: ClassVar[bool] = False
    """Whether it may be sent again with the same id, and is then carried out once."""

    id: RequestIdText
    type: str
    data: RequestData


class MutatingRequest(Request):
    """A request that is remembered by its id."""

    mutating: ClassVar[bool] = True

    def fingerprint(self) -> str:
        """Hex of what two sendings of one request share: another one under its id is `conflict`.

        It is taken of the checked values, so spelling (the order of keys, a default that is
        written out) makes no other request.
        """
        return sha256(self.model_dump_json(exclude={"id"}).encode()).hexdigest()
