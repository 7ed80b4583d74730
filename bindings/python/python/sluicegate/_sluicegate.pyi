from collections.abc import Callable
from typing import Any, final

__all__ = ["ERROR_KINDS", "VERSION", "Host", "Stream", "Task"]

ERROR_KINDS: list[tuple[str, int]]
VERSION: str

_Called = tuple[bytes | None, Stream | None, str]

@final
class Host:
    def __new__(cls, options: str) -> Host: ...
    @property
    def closed(self) -> bool: ...
    def handle(self, request: str) -> str: ...
    def call(
        self,
        format: str,
        key: str | None,
        body: bytes,
        headers: list[tuple[str, str]],
        tags: list[str],
        client_ip: str | None,
    ) -> _Called: ...
    def call_then(
        self,
        format: str,
        key: str | None,
        body: bytes,
        headers: list[tuple[str, str]],
        tags: list[str],
        client_ip: str | None,
        done: Callable[[_Called | None, BaseException | None], Any],
    ) -> Task: ...
    def close(self) -> None: ...

@final
class Stream:
    def next(self) -> bytes | None: ...
    def next_then(self, done: Callable[[bytes | None, BaseException | None], Any]) -> Task: ...
    def close(self) -> None: ...

@final
class Task:
    def cancel(self) -> None: ...
