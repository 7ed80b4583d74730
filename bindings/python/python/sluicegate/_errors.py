"""One exception class for each kind of error that the engine knows, made from its own list."""

import json

from ._sluicegate import ERROR_KINDS


class SluicegateError(Exception):
    """Something that Sluicegate refused or couldn't do.

    ``kind`` and ``code`` are the same word and number in every language. ``retry_after_ms`` says when the same request may
    succeed; ``None``: not without a change. ``context`` has further facts, such as the limit that was hit.
    """

    kind = "internal"
    code = dict(ERROR_KINDS)["internal"]

    def __init__(self, message="", *, retry_after_ms=None, context=None):
        super().__init__(message)
        self.message = message
        self.retry_after_ms = retry_after_ms
        self.context = dict(context or {})

    def __reduce__(self):
        return (_again, (type(self), self.message, self.retry_after_ms, self.context))


def _again(cls, message, retry_after_ms, context):
    return cls(message, retry_after_ms=retry_after_ms, context=context)


def _class_of(kind, code):
    name = "".join(part.capitalize() for part in kind.split("_")) + "Error"
    body = {"__module__": "sluicegate", "__doc__": f"An error of the kind ``{kind}``.", "kind": kind, "code": code}
    return type(name, (SluicegateError,), body)


SluicegateError.__module__ = "sluicegate"
ERRORS = {kind: _class_of(kind, code) for kind, code in ERROR_KINDS}
globals().update({cls.__name__: cls for cls in ERRORS.values()})


def error_of(fault):
    """The exception for an error of the envelope."""
    cls = ERRORS.get(fault.get("kind"), SluicegateError)
    return cls(fault.get("message", ""), retry_after_ms=fault.get("retry_after_ms"), context=fault.get("context"))


def error_of_json(text):
    """The same, from its text: what the native half raises."""
    return error_of(json.loads(text))
