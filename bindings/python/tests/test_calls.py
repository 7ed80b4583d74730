"""Calls that the module sends itself, to a scripted upstream."""

import asyncio
import json
import threading
import time

import pytest
from conftest import CAPPED, KEY, configuration

import sluicegate
from sluicegate import Gateway


def text_of(events):
    return "".join(choice["delta"].get("content") or "" for event in events for choice in event.get("choices", []))


def test_an_answer(gateway, upstream, ask):
    answer = gateway.complete(model="chat", headers={"X-Request-Source": "tests"}, **ask)
    assert answer["object"] == "chat.completion" and answer["choices"][0]["message"]["content"]
    assert answer.facts["channel"] == "o" and answer.facts["attempts"] == 1
    assert json.loads(upstream.last()["body"])["model"] == "gpt-4o-mini"


def test_a_body_as_text_goes_as_it_is(gateway, upstream):
    body = '{"model": "chat", "messages": [{"role":"user","content":"好"}], "temperature":  1.50}'
    gateway.complete(body, key=KEY)
    assert '"temperature":  1.50' in upstream.last()["body"]
    with pytest.raises(sluicegate.InvalidRequestError, match="further fields"):
        gateway.complete(body, key=KEY, temperature=1)
    with pytest.raises(sluicegate.InvalidRequestError, match="otherwise"):
        gateway.stream(body, key=KEY)
    with pytest.raises(sluicegate.InvalidRequestError, match="written as JSON"):
        gateway.complete({"model": "chat", "messages": [object()]}, key=KEY)


def test_another_format(gateway, ask):
    answer = gateway.complete(format="anthropic_messages", model="chat", **ask)
    assert answer["type"] == "message" and answer["content"][0]["text"]
    with pytest.raises(sluicegate.InvalidRequestError, match="telegram"):
        gateway.complete(format="telegram", model="chat", **ask)


def test_an_answer_is_awaited(gateway, ask):
    async def main():
        answers = await asyncio.gather(*(gateway.acomplete(model="chat--delay-1000", **ask) for _ in range(20)))
        return [answer["choices"][0]["finish_reason"] for answer in answers]

    began = time.monotonic()
    assert asyncio.run(main()) == ["stop"] * 20
    # One after the other they would take 20 s.
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("model", ["chat", "chat--split-3", "claude", "chat--plain"])
def test_a_stream(gateway, ask, model):
    with gateway.stream(model=model, **ask) as stream:
        events = list(stream)
    assert text_of(events) or events[0]["choices"][0]["message"]["content"]
    assert stream.facts["channel"] in ("o", "a")


def test_a_stream_is_awaited(gateway, ask):
    async def main():
        async with gateway.astream(model="claude", format="anthropic_messages", **ask) as stream:
            return [event["type"] async for event in stream]

    kinds = asyncio.run(main())
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop"


def test_a_raw_stream(gateway, ask):
    text = b"".join(gateway.stream(model="chat", raw=True, **ask))
    assert text.startswith(b"data: {") and text.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize(
    "model, error",
    [
        ("chat--status-400", sluicegate.UpstreamRejectedError),
        ("chat--status-503", sluicegate.UpstreamOverloadedError),
        ("unreachable", sluicegate.UpstreamUnavailableError),
        ("nobodys", sluicegate.ModelNotFoundError),
    ],
)
def test_what_fails_raises(gateway, ask, model, error):
    async def consume():
        return [event async for event in gateway.astream(model=model, **ask)]

    with pytest.raises(error) as raised:
        gateway.complete(model=model, **ask)
    assert str(raised.value)
    with pytest.raises(error):
        gateway.stream(model=model, **ask)
    with pytest.raises(error):
        asyncio.run(gateway.acomplete(model=model, **ask))
    with pytest.raises(error):
        asyncio.run(consume())


@pytest.mark.parametrize(
    "model, error",
    [("chat--status-401", sluicegate.UpstreamAuthError), ("chat--status-429--retry-after-7", sluicegate.RateLimitedError)],
)
def test_what_benches_a_channel(gateway, ask, model, error):
    with pytest.raises(error):
        gateway.complete(model=model, **ask)
    with pytest.raises(sluicegate.UpstreamUnavailableError):
        gateway.complete(model="chat", **ask)


def test_refusals_raise(gateway, ask):
    with pytest.raises(sluicegate.UnauthenticatedError):
        gateway.complete(model="chat", **ask | {"key": "sk-nobody"})
    for _ in range(2):
        gateway.complete(model="chat", **ask | {"key": CAPPED})
    with pytest.raises(sluicegate.InsufficientQuotaError) as raised:
        gateway.complete(model="chat", **ask | {"key": CAPPED})
    assert raised.value.retry_after_ms is None or raised.value.retry_after_ms > 0


@pytest.mark.parametrize("format", ["openai_chat", "anthropic_messages"])
@pytest.mark.parametrize("model", ["chat--cut-4", "chat--error-4", "claude--cut-4", "claude--error-4"])
def test_a_stream_that_breaks_off_raises_behind_its_events(gateway, ask, format, model):
    stream = gateway.stream(model=model, format=format, **ask)
    events = []
    with pytest.raises(sluicegate.SluicegateError) as raised:
        events.extend(iter(lambda: next(stream, None), None))
    assert raised.value.kind.startswith("upstream_"), raised.value
    assert list(stream) == []


def test_closing_a_stream_early_settles_it(gateway, upstream, ask):
    with gateway.stream(model="chat--chunk-delay-20", **ask) as stream:
        first = next(stream)
    assert first["choices"] is not None
    assert list(stream) == []
    stream.close()
    gateway.complete(model="chat", **ask)


def test_a_cancelled_task_leaves_nothing_behind(upstream, ask):
    config = configuration(upstream.url)
    config["keys"][0]["limits"] = {"concurrency": 1}
    with Gateway(config) as gateway:

        async def main():
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(gateway.acomplete(model="chat--hang", **ask), 0.2)

        asyncio.run(main())
        until = time.monotonic() + 10
        while gateway.remaining(KEY)[0]["reserved"] and time.monotonic() < until:
            time.sleep(0.01)
        assert gateway.remaining(KEY)[0]["reserved"] == 0
        gateway.complete(model="chat", **ask)


def test_other_threads_run_meanwhile(gateway, ask):
    calls = [threading.Thread(target=gateway.complete, kwargs=ask | {"model": "chat--delay-1000"}) for _ in range(8)]
    began = time.monotonic()
    for call in calls:
        call.start()
    turns = 0
    while any(call.is_alive() for call in calls):
        turns += 1
        time.sleep(0.001)
    assert turns > 50, "this thread hardly ran"
    assert time.monotonic() - began < 6, "one call waited for the other"


def test_closing(upstream, ask):
    gateway = Gateway(configuration(upstream.url))
    stream = gateway.stream(model="chat--chunk-delay-20", **ask)
    next(stream)
    gateway.close()
    gateway.close()
    assert gateway.closed and list(stream) == []
    with pytest.raises(sluicegate.CancelledError, match="closed"):
        gateway.complete(model="chat", **ask)
    with pytest.raises(sluicegate.CancelledError, match="closed"):
        gateway.remaining(KEY)


def test_what_was_spent_outlives_the_process(upstream, ask, tmp_path):
    with Gateway(configuration(upstream.url), data_dir=tmp_path) as gateway:
        gateway.complete(model="chat", **ask | {"key": CAPPED})
    with Gateway(configuration(upstream.url), data_dir=tmp_path) as gateway:
        assert [limit["settled"] for limit in gateway.remaining(CAPPED)] == [1]
