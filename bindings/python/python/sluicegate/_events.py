"""Server-sent events, out of bytes that come in any pieces."""

from __future__ import annotations

import json
from typing import Any

from ._errors import ERRORS, SluicegateError, error_of

# Anthropic's words for what has a kind of its own here; OpenAI's errors carry the kind as their code.
_KINDS = {
    "authentication_error": "unauthenticated",
    "invalid_api_key": "unauthenticated",
    "invalid_request_error": "upstream_rejected",
    "not_found_error": "not_found",
    "overloaded_error": "upstream_overloaded",
    "permission_error": "forbidden",
    "rate_limit_error": "rate_limited",
    "rate_limit_exceeded": "rate_limited",
    "request_too_large": "payload_too_large",
    "timeout_error": "upstream_timeout",
}


class Events:
    """Reads events: feed it bytes, and take what has become whole."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[dict[str, Any]]:
        """The events that are whole now. Raises the error that an event tells of."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        events: list[dict[str, Any]] = []
        for line in lines:
            if not line.startswith(b"data:"):
                continue
            data = line[5:].strip()
            if data == b"[DONE]":
                continue
            event = json.loads(data)
            error = error_in(event)
            if error is not None:
                # What came before it is the caller's; it is raised when they ask for more.
                if events:
                    self._rest = line + b"\n" + self._rest
                    return events
                raise error
            events.append(event)
        return events


def error_in(event: Any) -> SluicegateError | None:
    """The error with which a stream broke off, if the event is one."""
    said = event.get("error") if isinstance(event, dict) else None
    if not isinstance(said, dict):
        return None
    words = [said.get("code"), said.get("type")]
    known = [kind for word in words for kind in (word, _KINDS.get(str(word))) if kind in ERRORS]
    context = {name: value for name, value in said.items() if name not in ("message", "type", "code") and value is not None}
    return error_of(
        {"kind": known[0] if known else "upstream_unavailable", "message": said.get("message", ""), "context": context}
    )
