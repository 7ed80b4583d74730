"""The Anthropic SDK: to an Anthropic upstream (bytes pass) and to an OpenAI one (translated)."""

import asyncio
import json

import anthropic
import pytest
import rig

BOTH = pytest.mark.parametrize("model", ["claude", "chat"])
HELLO = {"max_tokens": 100, "system": "be brief", "messages": [{"role": "user", "content": "hello there"}]}
WEATHER = {
    "name": "weather",
    "description": "the weather in a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}},
}


@BOTH
def test_an_answer(claude, model):
    answer = claude.messages.create(model=model, **HELLO)
    assert [(b.type, b.text) for b in answer.content] == [("text", "echo: hello there")]
    assert (answer.role, answer.stop_reason, answer.stop_sequence) == ("assistant", "end_turn", None)
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (10, 3)
    assert answer.model == model
    assert answer._request_id


@BOTH
def test_a_stream(claude, model):
    with claude.messages.stream(model=model, **HELLO) as stream:
        kinds, text = [], ""
        for event in stream:
            kinds.append(event.type)
            if event.type == "content_block_delta":
                text += event.delta.text
        final = stream.get_final_message()
    assert text == "echo: hello there"
    raw = [k for k in kinds if k in RAW]
    assert raw[:2] == ["message_start", "content_block_start"]
    assert raw[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert raw.count("content_block_delta") == 3
    assert (final.stop_reason, final.usage.output_tokens) == ("end_turn", 3)
    assert final.content[0].text == "echo: hello there"


RAW = {"message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop"}


@BOTH
@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_loop(claude, model, parallel, stream):
    question = "weather in Köln" + (" in parallel" if parallel else "")
    messages = [{"role": "user", "content": question}]
    asked = {"model": model, "max_tokens": 100, "tools": [WEATHER]}
    if stream:
        with claude.messages.stream(messages=messages, **asked) as it:
            answer = it.get_final_message()
    else:
        answer = claude.messages.create(messages=messages, **asked)
    assert answer.stop_reason == "tool_use"
    calls = [b for b in answer.content if b.type == "tool_use"]
    assert [c.name for c in calls] == ["weather"] * (2 if parallel else 1)
    assert [c.input for c in calls] == [{"city": question, "days": n + 1} for n in range(len(calls))]
    assert len({c.id for c in calls}) == len(calls)
    messages.append({"role": "assistant", "content": [{"type": "tool_use", "id": c.id, "name": c.name, "input": c.input} for c in calls]})
    results = [{"type": "tool_result", "tool_use_id": c.id, "content": f"{20 + n} degrees"} for n, c in enumerate(calls)]
    messages.append({"role": "user", "content": results})
    answer = claude.messages.create(messages=messages, **asked)
    assert answer.content[0].text == "tools said: 20 degrees" + ("; 21 degrees" if parallel else "")
    assert answer.stop_reason == "end_turn"


@BOTH
def test_a_demanded_tool(claude, model):
    other = {"name": "other", "input_schema": {"type": "object", "properties": {}}}
    answer = claude.messages.create(model=model, tools=[WEATHER, other], tool_choice={"type": "tool", "name": "other"}, **HELLO)
    assert [(b.type, b.name, b.input) for b in answer.content] == [("tool_use", "other", {})]


@BOTH
@pytest.mark.parametrize("stream", [False, True])
def test_the_ceiling(claude, model, stream):
    asked = HELLO | {"max_tokens": 2}
    if stream:
        with claude.messages.stream(model=model, **asked) as it:
            answer = it.get_final_message()
    else:
        answer = claude.messages.create(model=model, **asked)
    assert answer.stop_reason == "max_tokens"
    assert answer.usage.output_tokens == 2


@pytest.mark.parametrize("model", ["claude--split-3", "chat--split-3"])
def test_frames_that_are_torn_anywhere(claude, model):
    messages = [{"role": "user", "content": "Grüße 你好 🦀 end"}]
    with claude.messages.stream(model=model, max_tokens=100, messages=messages) as stream:
        assert "".join(stream.text_stream) == "echo: Grüße 你好 🦀 end"


@pytest.mark.parametrize("stream", [False, True])
def test_thinking_passes_with_its_signature(claude, stream):
    asked = {"model": "claude", "max_tokens": 2000, "thinking": {"type": "enabled", "budget_tokens": 1024}, "messages": HELLO["messages"]}
    if stream:
        with claude.messages.stream(**asked) as it:
            answer = it.get_final_message()
    else:
        answer = claude.messages.create(**asked)
    assert [b.type for b in answer.content] == ["thinking", "text"]
    assert answer.content[0].thinking == "let me think about that"
    # The upstream refuses a signature that isn't the one it made.
    turns = [*asked["messages"], {"role": "assistant", "content": answer.content}, {"role": "user", "content": "and now?"}]
    assert claude.messages.create(**asked | {"messages": turns}).content[-1].text == "echo: and now?"


def test_the_async_client(gateway, key):
    async def many():
        async with anthropic.AsyncAnthropic(base_url=gateway.url, api_key=key, max_retries=0, timeout=rig.CALL_LIMIT_S) as client:
            calls = [
                client.messages.create(model=m, max_tokens=9, messages=[{"role": "user", "content": f"number {i}"}])
                for i, m in enumerate(["chat", "claude"] * 8)
            ]
            return [a.content[0].text for a in await asyncio.gather(*calls)]

    assert asyncio.run(many()) == [f"echo: number {i}" for i in range(16)]


def test_bytes_pass_untouched(gateway, key, upstream):
    body = b'{"max_tokens":7,"model":"claude","messages":[{"role":"user","content":[{"text":"caf\\u00e9","type":"text"}]}],"top_p":1.0,"metadata":{"user_id" : "u"}}'
    answer = gateway.call("POST", "/v1/messages", body, headers={"x-api-key": key, "anthropic-version": "2023-06-01"})
    assert answer.status == 200, answer.text
    assert upstream.last()["body"].encode() == body.replace(b'"claude"', b'"claude-sonnet-4-5"')


def test_credentials_stay_apart(claude, key, upstream):
    claude.messages.create(model="claude", **HELLO)
    seen = upstream.last()
    headers = {name.lower(): value for name, value in seen["headers"]}
    assert rig.UPSTREAM_KEY in (headers.get("x-api-key"), headers.get("authorization", "").removeprefix("Bearer "))
    assert headers["anthropic-version"]
    assert key not in json.dumps(seen)


def test_the_key_in_either_header(gateway, key, upstream):
    """Versions 0 and 1 of the SDK send `x-api-key`, version 2 sends a bearer."""
    for headers in [{"x-api-key": key}, {"authorization": f"Bearer {key}"}]:
        for version in ["2023-06-01", "2026-10-21"]:
            answer = gateway.call("POST", "/v1/messages", HELLO | {"model": "claude"}, headers=headers | {"anthropic-version": version})
            assert answer.status == 200, answer.text
            assert answer.json()["content"][0]["text"] == "echo: hello there"
