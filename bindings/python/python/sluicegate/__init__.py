"""Sluicegate: one policy engine for LLM API traffic.

It decides who may call what, where a call goes, what happens when an upstream fails and what it may cost. A
:class:`Gateway` sends calls itself (:meth:`~Gateway.complete`, :meth:`~Gateway.stream` and their async twins) or decides for
programs with an HTTP client of their own (:meth:`~Gateway.decide`, :meth:`~Gateway.report`).
"""

from ._answer import AsyncEventStream, Completion, EventStream
from ._errors import (
    CancelledError,
    ConfigInvalidError,
    ConflictError,
    ContextLengthExceededError,
    ForbiddenError,
    GuardrailDeniedError,
    InsufficientQuotaError,
    InternalError,
    InvalidRequestError,
    ModelNotFoundError,
    NotFoundError,
    NotSupportedError,
    PayloadTooLargeError,
    PolicyDeniedError,
    RateLimitedError,
    SluicegateError,
    StoreUnavailableError,
    UnauthenticatedError,
    UpstreamAuthError,
    UpstreamOverloadedError,
    UpstreamRejectedError,
    UpstreamTimeoutError,
    UpstreamUnavailableError,
)
from ._gateway import Gateway, raise_for_failure
from ._sluicegate import ERROR_KINDS
from ._sluicegate import VERSION as __version__

__all__ = [
    "AsyncEventStream",
    "CancelledError",
    "Completion",
    "ConfigInvalidError",
    "ConflictError",
    "ContextLengthExceededError",
    "ERROR_KINDS",
    "EventStream",
    "ForbiddenError",
    "GuardrailDeniedError",
    "Gateway",
    "InsufficientQuotaError",
    "InternalError",
    "InvalidRequestError",
    "ModelNotFoundError",
    "NotFoundError",
    "NotSupportedError",
    "PayloadTooLargeError",
    "PolicyDeniedError",
    "RateLimitedError",
    "SluicegateError",
    "StoreUnavailableError",
    "UnauthenticatedError",
    "UpstreamAuthError",
    "UpstreamOverloadedError",
    "UpstreamRejectedError",
    "UpstreamTimeoutError",
    "UpstreamUnavailableError",
    "__version__",
    "raise_for_failure",
]
