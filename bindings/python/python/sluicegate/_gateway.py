"""The gateway, in Python's manner."""

from __future__ import annotations

import json
import os
import weakref
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Literal, Union, overload

from ._answer import AsyncEventStream, Called, Completion, EventStream, call_native
from ._errors import InvalidRequestError, error_of
from ._sluicegate import Host, Task

Body = Union[Mapping[str, Any], str, bytes]
Json = dict[str, Any]


class Gateway:
    """One policy engine for LLM API traffic, without a server.

    ``config`` is a configuration as text or as a mapping, in any dialect; ``config_path`` names a file instead. Without
    ``database`` and ``data_dir`` everything stays in memory. ``environment`` stands in for the process's variables.
    ``manual_clock_ms`` starts a clock that only ``now_ms`` moves, for tests. ``demo`` adds a built-in model named ``mock`` when
    there is no other.

    Any thread may use a gateway, and so may any event loop; not a process that was forked after it was opened.
    """

    def __init__(
        self,
        config: str | Mapping[str, Any] | None = None,
        *,
        config_path: str | os.PathLike[str] | None = None,
        database: str | None = None,
        data_dir: str | os.PathLike[str] | None = None,
        master_key: str | None = None,
        environment: Mapping[str, str] | None = None,
        manual_clock_ms: int | None = None,
        demo: bool = False,
    ) -> None:
        options = {
            "config": json.dumps(dict(config)) if isinstance(config, Mapping) else config,
            "config_path": None if config_path is None else os.fspath(config_path),
            "database": database,
            "data_dir": None if data_dir is None else os.fspath(data_dir),
            "master_key": master_key,
            "environment": None if environment is None else dict(environment),
            "manual_clock_ms": manual_clock_ms,
            "demo": demo,
        }
        self._host = Host(json.dumps(options))
        self._streams: weakref.WeakSet[EventStream[Any] | AsyncEventStream[Any]] = weakref.WeakSet()
        # What isn't written yet is, also when the program ends without closing.
        self._finalizer = weakref.finalize(self, self._host.close)

    @classmethod
    def open(cls, path: str | os.PathLike[str], **options: Any) -> Gateway:
        """Opens a gateway for a configuration file."""
        return cls(config_path=path, **options)

    # Calls that Sluicegate sends.

    def complete(
        self,
        body: Body | None = None,
        *,
        key: str | None = None,
        format: str = "openai_chat",
        headers: Mapping[str, str] | None = None,
        tags: Iterable[str] = (),
        client_ip: str | None = None,
        **fields: Any,
    ) -> Completion:
        """Sends a request and waits for its whole answer. ``fields`` are fields of the request.

        Raises a :class:`SluicegateError`: the class tells which.
        """
        call = _call(body, fields, False, key, format, headers, tags, client_ip)
        return _completion(self._host.call(*call))

    async def acomplete(
        self,
        body: Body | None = None,
        *,
        key: str | None = None,
        format: str = "openai_chat",
        headers: Mapping[str, str] | None = None,
        tags: Iterable[str] = (),
        client_ip: str | None = None,
        **fields: Any,
    ) -> Completion:
        """The same, awaited. Cancelling it cancels the request."""
        call = _call(body, fields, False, key, format, headers, tags, client_ip)
        return _completion(await self._called(call))

    @overload
    def stream(
        self,
        body: Body | None = None,
        *,
        key: str | None = None,
        format: str = "openai_chat",
        raw: Literal[False] = False,
        headers: Mapping[str, str] | None = None,
        tags: Iterable[str] = (),
        client_ip: str | None = None,
        **fields: Any,
    ) -> EventStream[Json]: ...

    @overload
    def stream(
        self,
        body: Body | None = None,
        *,
        key: str | None = None,
        format: str = "openai_chat",
        raw: Literal[True],
        headers: Mapping[str, str] | None = None,
        tags: Iterable[str] = (),
        client_ip: str | None = None,
        **fields: Any,
    ) -> EventStream[bytes]: ...

    def stream(
        self,
        body: Body | None = None,
        *,
        key: str | None = None,
        format: str = "openai_chat",
        raw: bool = False,
        headers: Mapping[str, str] | None = None,
        tags: Iterable[str] = (),
        client_ip: str | None = None,
        **fields: Any,
    ) -> EventStream[Any]:
        """Sends a request and streams its answer: JSON events, or with ``raw`` the bytes of server-sent events.

        What fails before the first event raises here; after it, where the iteration has come to.
        """
        call = _call(body, fields, True, key, format, headers, tags, client_ip)
        stream: EventStream[Any] = EventStream(self._host.call(*call), raw)
        self._streams.add(stream)
        return stream

    @overload
    def astream(
        self,
        body: Body | None = None,
        *,
        key: str | None = None,
        format: str = "openai_chat",
        raw: Literal[False] = False,
        headers: Mapping[str, str] | None = None,
        tags: Iterable[str] = (),
        client_ip: str | None = None,
        **fields: Any,
    ) -> AsyncEventStream[Json]: ...

    @overload
    def astream(
        self,
        body: Body | None = None,
        *,
        key: str | None = None,
        format: str = "openai_chat",
        raw: Literal[True],
        headers: Mapping[str, str] | None = None,
        tags: Iterable[str] = (),
        client_ip: str | None = None,
        **fields: Any,
    ) -> AsyncEventStream[bytes]: ...

    def astream(
        self,
        body: Body | None = None,
        *,
        key: str | None = None,
        format: str = "openai_chat",
        raw: bool = False,
        headers: Mapping[str, str] | None = None,
        tags: Iterable[str] = (),
        client_ip: str | None = None,
        **fields: Any,
    ) -> AsyncEventStream[Any]:
        """The same for ``async for``. The request is sent when the iteration begins."""
        call = _call(body, fields, True, key, format, headers, tags, client_ip)
        stream: AsyncEventStream[Any] = AsyncEventStream(lambda: self._called(call), raw)
        self._streams.add(stream)
        return stream

    async def _called(self, call: _Call) -> Called:
        def start(done: Callable[[Any, BaseException | None], None]) -> Task:
            return self._host.call_then(*call, done)

        called: Called = await call_native(start)
        return called

    # Calls that the host sends itself.

    def decide(
        self,
        body: Body | None = None,
        *,
        key: str | None = None,
        call: Mapping[str, Any] | None = None,
        format: str | None = None,
        seed: int | None = None,
        client_ip: str | None = None,
        now_ms: int | None = None,
    ) -> Json:
        """May this call go ahead, and where? Asked by the request's body, or by the facts of the call.

        Answers with ``call``, its id, and ``step``: ``try`` (send this, then :meth:`report`), ``wait`` (then :meth:`next_step`) or
        ``failed``. A refusal by access, limits or policy is such an answer; see :func:`raise_for_failure`.
        """
        return self._ask("decide", _asked(body, key, call, format, seed, client_ip), now_ms)

    def explain(
        self,
        body: Body | None = None,
        *,
        key: str | None = None,
        call: Mapping[str, Any] | None = None,
        format: str | None = None,
        seed: int | None = None,
        client_ip: str | None = None,
        now_ms: int | None = None,
    ) -> Json:
        """Why would this call go where? Nothing is reserved, nothing sent. Answers with ``order`` and ``explanation``."""
        explained: Json = self._ask("explain", _asked(body, key, call, format, seed, client_ip), now_ms)["explained"]
        return explained

    def report(
        self,
        call: str,
        *,
        status: int | None = None,
        body: str | bytes | None = None,
        outcome: str | None = None,
        usage: Mapping[str, int] | None = None,
        delivered_tokens: int | None = None,
        retry_after_ms: int | None = None,
        now_ms: int | None = None,
    ) -> Json:
        """How an attempt went, and what next.

        Status and body are enough; ``outcome`` is for what has neither: ``unreachable``, ``timeout``, ``broken`` or
        ``client_gone``.
        """
        seen = {
            "status": status,
            "body": body.decode("utf-8", "replace") if isinstance(body, bytes) else body,
            "class": outcome,
            "usage": None if usage is None else dict(usage),
            "delivered_tokens": delivered_tokens,
            "retry_after_ms": retry_after_ms,
        }
        return self._ask("report", {"call": call, "outcome": seen}, now_ms)

    def next_step(self, call: str, *, now_ms: int | None = None) -> Json:
        """A wait is over: what now?"""
        return self._ask("next", {"call": call}, now_ms)

    def cancel(self, call: str, *, now_ms: int | None = None) -> Json:
        """The caller went away: the call is over."""
        return self._ask("cancel", {"call": call}, now_ms)

    def remaining(self, key: str, *, now_ms: int | None = None) -> list[Json]:
        """The limits of a key, with what is settled, reserved, held and left."""
        limits: list[Json] = self._ask("remaining", {"key": key}, now_ms)["remaining"]
        return limits

    def handle(self, request: Mapping[str, Any]) -> Json:
        """Any request of the envelope, as it is. Errors are answers with ``error``, not raised."""
        answer: Json = json.loads(self._host.handle(json.dumps(dict(request))))
        return answer

    def _ask(self, verb: str, ask: Json, now_ms: int | None) -> Json:
        request: Json = {"v": 1, verb: ask}
        if now_ms is not None:
            request["now_ms"] = now_ms
        answer = self.handle(request)
        if "error" in answer:
            raise error_of(answer["error"])
        return answer

    # The end.

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._host.closed

    def close(self) -> None:
        """Ends streams and calls under way, writes what is left, and closes the database. Closing twice is harmless."""
        for stream in list(self._streams):
            stream.close()
        self._finalizer()

    def __enter__(self) -> Gateway:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def raise_for_failure(answer: Mapping[str, Any]) -> None:
    """Raises the error of a decision or report whose step is ``failed``; does nothing for any other."""
    failed = answer.get("step", {}).get("failed")
    if failed is not None:
        raise error_of(failed["error"])


_Call = tuple[str, Union[str, None], bytes, "list[tuple[str, str]]", "list[str]", Union[str, None]]


def _call(
    body: Body | None,
    fields: Json,
    stream: bool,
    key: str | None,
    format: str,
    headers: Mapping[str, str] | None,
    tags: Iterable[str],
    client_ip: str | None,
) -> _Call:
    text = _text(body, fields, stream)
    return format, key, text, list((headers or {}).items()), list(tags), client_ip


def _text(body: Body | None, fields: Json, stream: bool) -> bytes:
    """The body to send. A mapping is made a text of; a text stays as it is, so it must say itself whether it streams."""
    if isinstance(body, (str, bytes)):
        if fields:
            raise InvalidRequestError("a body that is text takes no further fields; put them into it, or pass a mapping")
        text = body.encode() if isinstance(body, str) else body
        if _streams(text) != stream:
            remedy = "add `\"stream\": true` to it" if stream else "use `stream` or `astream` for it"
            raise InvalidRequestError(f"the body says whether to stream, and says otherwise; {remedy}")
        return text
    whole = {**(body or {}), **fields}
    if stream:
        whole["stream"] = True
    elif whole.get("stream"):
        raise InvalidRequestError("the body asks for a stream; use `stream` or `astream`, or leave it out")
    try:
        return json.dumps(whole, ensure_ascii=False).encode("utf-8")
    except (TypeError, ValueError) as why:
        raise InvalidRequestError(f"the body can't be written as JSON: {why}") from why


def _streams(text: bytes) -> bool:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        # Whoever serves it says what is wrong with it.
        return False
    return isinstance(body, dict) and body.get("stream") is True


def _completion(called: Called) -> Completion:
    body, _, facts = called
    return Completion(json.loads(body or b"{}"), json.loads(facts))


def _asked(
    body: Body | None,
    key: str | None,
    call: Mapping[str, Any] | None,
    format: str | None,
    seed: int | None,
    client_ip: str | None,
) -> Json:
    if isinstance(body, Mapping):
        body = json.dumps(dict(body), ensure_ascii=False)
    elif isinstance(body, bytes):
        try:
            body = body.decode("utf-8")
        except UnicodeDecodeError as why:
            raise InvalidRequestError(f"the body isn't UTF-8: {why}") from why
    facts = None if call is None else dict(call)
    return {"key": key, "call": facts, "format": format, "body": body, "seed": seed, "client_ip": client_ip}
