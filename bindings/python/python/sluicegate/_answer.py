"""What calls give back: whole answers, and streams of events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from types import TracebackType
from typing import Any, Generic, TypeVar, Union, cast

from ._events import Events
from ._sluicegate import Stream, Task

T = TypeVar("T")
Event = TypeVar("Event", bound=Union[bytes, "dict[str, Any]"])
Called = tuple["bytes | None", "Stream | None", str]


class Completion(dict[str, Any]):
    """A whole answer: the JSON object in the caller's format, and what the gateway has to say about it.

    ``facts`` holds ``call``, ``attempts``, ``channel``, ``upstream_model``, ``downgraded``, ``upstream_request_id``,
    ``spend_nano_usd``, ``unpriced``, ``ceiling``, ``remaining`` and ``losses``.
    """

    facts: dict[str, Any]

    def __init__(self, body: dict[str, Any], facts: dict[str, Any]) -> None:
        super().__init__(body)
        self.facts = facts


class _Opened(Generic[Event]):
    """What streams have in common: bytes in, events out."""

    def __init__(self, raw: bool) -> None:
        self.facts: dict[str, Any] = {}
        self._raw = raw
        self._events = Events()
        self._ready: list[dict[str, Any]] = []
        self._native: Stream | None = None
        self._over = False

    def _opened(self, called: Called) -> None:
        body, stream, facts = called
        self.facts = json.loads(facts)
        if stream is None:
            # The answer came whole all the same: it is the only piece.
            self._over = True
            self._ready = [json.loads(body or b"{}")]
        self._native = stream

    def _take(self, chunk: bytes) -> Event | None:
        """The next event after this chunk, if one is whole."""
        if self._raw:
            return cast("Event", chunk)
        self._feed(chunk)
        return self._next_ready()

    def _next_ready(self) -> Event | None:
        if not self._ready and not self._raw:
            # An error that came behind what was taken already.
            self._feed(b"")
        return cast("Event", self._ready.pop(0)) if self._ready else None

    def _feed(self, chunk: bytes) -> None:
        try:
            self._ready += self._events.feed(chunk)
        except BaseException:
            # Nothing comes after an error.
            self._over, self._events = True, Events()
            raise


class EventStream(_Opened[Event], Iterator[Event]):
    """A streamed answer: iterate over it, and close it (or leave its ``with``) to stop early.

    Events are JSON objects in the caller's format; with ``raw``, bytes as a server would send them. An answer that breaks
    off raises. ``facts`` are as of the first event.
    """

    def __init__(self, called: Called, raw: bool) -> None:
        super().__init__(raw)
        self._opened(called)

    def __iter__(self) -> EventStream[Event]:
        return self

    def __next__(self) -> Event:
        event = self._next_ready()
        while event is None:
            chunk = self._native.next() if self._native is not None and not self._over else None
            if chunk is None:
                self._over = True
                raise StopIteration
            event = self._take(chunk)
        return event

    def close(self) -> None:
        """Stops. What was delivered is settled. Closing twice is harmless."""
        self._over, self._ready = True, []
        if self._native is not None:
            self._native.close()

    def __enter__(self) -> EventStream[Event]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class AsyncEventStream(_Opened[Event], AsyncIterator[Event]):
    """A streamed answer for ``async for``: the same as :class:`EventStream`. The call begins with the first event."""

    def __init__(self, begin: Callable[[], Awaitable[Called]], raw: bool) -> None:
        super().__init__(raw)
        self._begin: Callable[[], Awaitable[Called]] | None = begin

    def __aiter__(self) -> AsyncEventStream[Event]:
        return self

    async def __anext__(self) -> Event:
        if self._begin is not None:
            begin, self._begin = self._begin, None
            self._opened(await begin())
        event = self._next_ready()
        while event is None:
            native = self._native
            chunk = await call_native(native.next_then) if native is not None and not self._over else None
            if chunk is None:
                self._over = True
                raise StopAsyncIteration
            event = self._take(chunk)
        return event

    async def aclose(self) -> None:
        """Stops. What was delivered is settled. Closing twice is harmless."""
        self.close()

    def close(self) -> None:
        """The same, from where nothing can be awaited."""
        self._begin, self._over, self._ready = None, True, []
        if self._native is not None:
            self._native.close()

    async def __aenter__(self) -> AsyncEventStream[Event]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.aclose()


async def call_native(start: Callable[[Callable[[Any, BaseException | None], None]], Task]) -> Any:
    """Awaits what the native half does on its own runtime. A cancelled task is cancelled there, too."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def settle(value: Any, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)

    def done(value: Any, error: BaseException | None) -> None:
        try:
            loop.call_soon_threadsafe(settle, value, error)
        except RuntimeError:
            # The loop is closed: nobody waits any more.
            pass

    task = start(done)
    try:
        return await future
    except asyncio.CancelledError:
        task.cancel()
        raise
