"""The OpenAI SDK: to an OpenAI upstream (bytes pass) and to an Anthropic one (translated)."""

import asyncio
import json

import openai
import pytest
import rig

BOTH = pytest.mark.parametrize("model", ["chat", "claude"])
HELLO = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello there"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "the weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}},
    },
}


@BOTH
def test_an_answer(open_ai, model):
    answer = open_ai.chat.completions.create(model=model, messages=HELLO)
    choice = answer.choices[0]
    assert choice.message.content == "echo: hello there"
    assert choice.message.role == "assistant"
    assert choice.finish_reason == "stop"
    # Four words, and three for each message.
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (10, 3, 13)
    assert answer.model == model
    assert answer._request_id


@BOTH
def test_a_stream(open_ai, model):
    chunks = list(open_ai.chat.completions.create(model=model, messages=HELLO, stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "echo: hello there"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices == []
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (10, 3)
    assert len({c.id for c in chunks}) == 1
    # A chunk a word: the pieces came through one by one.
    assert sum(1 for c in chunks if c.choices and c.choices[0].delta.content) == 3


@BOTH
def test_a_stream_shows_usage_only_when_asked(open_ai, model):
    chunks = list(open_ai.chat.completions.create(model=model, messages=HELLO, stream=True))
    assert all(c.choices for c in chunks)
    assert all(c.usage is None for c in chunks)


@BOTH
@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_loop(open_ai, model, parallel, stream):
    question = "weather in Köln" + (" in parallel" if parallel else "")
    messages = [{"role": "user", "content": question}]
    calls, finish = ask_tools(open_ai, model, messages, stream)
    assert finish == "tool_calls"
    assert [name for _, name, _ in calls] == ["weather"] * (2 if parallel else 1)
    for days, (_, _, arguments) in enumerate(calls, 1):
        assert json.loads(arguments) == {"city": question, "days": days}
    assert len({id for id, _, _ in calls}) == len(calls)
    wanted = [{"id": i, "type": "function", "function": {"name": n, "arguments": a}} for i, n, a in calls]
    messages.append({"role": "assistant", "content": None, "tool_calls": wanted})
    for n, (id, _, _) in enumerate(calls):
        messages.append({"role": "tool", "tool_call_id": id, "content": f"{20 + n} degrees"})
    answer = open_ai.chat.completions.create(model=model, messages=messages, tools=[WEATHER])
    expected = "tools said: 20 degrees" + ("; 21 degrees" if parallel else "")
    assert answer.choices[0].message.content == expected
    assert answer.choices[0].finish_reason == "stop"


def ask_tools(client, model, messages, stream):
    """The calls as (id, name, arguments), and why the answer ended."""
    asked = {"model": model, "messages": messages, "tools": [WEATHER], "tool_choice": "auto"}
    if not stream:
        choice = client.chat.completions.create(**asked).choices[0]
        return [(c.id, c.function.name, c.function.arguments) for c in choice.message.tool_calls], choice.finish_reason
    calls, finish = {}, None
    for chunk in client.chat.completions.create(**asked, stream=True):
        for part in chunk.choices[0].delta.tool_calls or []:
            call = calls.setdefault(part.index, ["", "", ""])
            call[0] += part.id or ""
            call[1] += part.function.name or ""
            call[2] += part.function.arguments or ""
        finish = chunk.choices[0].finish_reason or finish
    assert sorted(calls) == list(range(len(calls)))
    return [tuple(calls[i]) for i in sorted(calls)], finish


@BOTH
def test_a_demanded_tool(open_ai, model):
    other = {"type": "function", "function": {"name": "other", "parameters": {"type": "object", "properties": {}}}}
    choice = {"type": "function", "function": {"name": "other"}}
    answer = open_ai.chat.completions.create(model=model, messages=HELLO, tools=[WEATHER, other], tool_choice=choice)
    assert [c.function.name for c in answer.choices[0].message.tool_calls] == ["other"]
    assert json.loads(answer.choices[0].message.tool_calls[0].function.arguments) == {}


@BOTH
@pytest.mark.parametrize("stream", [False, True])
def test_the_ceiling_and_stops(open_ai, model, stream):
    def finish(**asked):
        answer = open_ai.chat.completions.create(model=model, messages=HELLO, stream=stream, **asked)
        chunks = list(answer) if stream else [answer]
        return [c.choices[0].finish_reason for c in chunks if c.choices][-1]

    assert finish(max_tokens=2) == "length"
    assert finish(max_completion_tokens=1) == "length"
    assert finish(stop=["there"]) == "stop"


@pytest.mark.parametrize("model", ["chat--split-3", "claude--split-3"])
def test_frames_that_are_torn_anywhere(open_ai, model):
    messages = [{"role": "user", "content": "Grüße 你好 🦀 end"}]
    chunks = open_ai.chat.completions.create(model=model, messages=messages, stream=True)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "echo: Grüße 你好 🦀 end"


@pytest.mark.parametrize("model", ["chat--usage-missing", "claude--usage-missing", "chat--usage-negative", "chat--usage-absurd"])
@pytest.mark.parametrize("stream", [False, True])
def test_wrong_usage_does_not_hurt_the_caller(open_ai, model, stream):
    answer = open_ai.chat.completions.create(model=model, messages=HELLO, stream=stream)
    if stream:
        assert "".join(c.choices[0].delta.content or "" for c in answer if c.choices) == "echo: hello there"
    else:
        assert answer.choices[0].message.content == "echo: hello there"


def test_a_stream_answered_by_plain_json(open_ai):
    chunks = open_ai.chat.completions.create(model="chat--plain", messages=HELLO, stream=True)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "echo: hello there"


def test_reasoning_comes_back_from_anthropic(open_ai):
    answer = open_ai.chat.completions.create(model="claude", messages=HELLO, reasoning_effort="low", max_completion_tokens=4000)
    assert answer.choices[0].message.content == "echo: hello there"
    assert answer.choices[0].message.reasoning_content == "let me think about that"


def test_choices_and_json(open_ai):
    asked = [{"role": "system", "content": "answer in JSON"}, HELLO[1]]
    answer = open_ai.chat.completions.create(model="chat", messages=asked, n=2, response_format={"type": "json_object"})
    assert [json.loads(c.message.content) for c in answer.choices] == [{"echo": "hello there"}] * 2


def test_embeddings(open_ai):
    asked = {"model": "embed", "input": ["one", "two three"], "dimensions": 8}
    packed = open_ai.embeddings.create(**asked)
    plain = open_ai.embeddings.create(**asked, encoding_format="float")
    assert [len(d.embedding) for d in packed.data] == [8, 8]
    assert packed.data[1].embedding == pytest.approx(plain.data[1].embedding)
    assert packed.usage.prompt_tokens == 3


def test_models(open_ai, gateway):
    names = {m.id for m in open_ai.models.list()}
    assert {"chat", "claude", "embed"} <= names
    few = gateway.new_key(models=["chat"])
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=few) as client:
        assert [m.id for m in client.models.list()] == ["chat"]


def test_the_async_client(gateway, key):
    async def many():
        async with openai.AsyncOpenAI(base_url=gateway.url + "/v1", api_key=key, max_retries=0, timeout=rig.CALL_LIMIT_S) as client:
            calls = [
                client.chat.completions.create(model=m, messages=[{"role": "user", "content": f"number {i}"}])
                for i, m in enumerate(["chat", "claude"] * 8)
            ]
            return [a.choices[0].message.content for a in await asyncio.gather(*calls)]

    assert asyncio.run(many()) == [f"echo: number {i}" for i in range(16)]


def test_bytes_pass_untouched(gateway, key, upstream):
    # Every value as it came: escapes, blanks, numbers, order.
    body = b'{"messages":[{"role" : "user","content":"caf\\u00e9 \xc3\xa9"}],"model":"other","max_tokens": 9,"x_unknown":{"a":\t[1.50, 1e3]}}'
    answer = gateway.call("POST", "/v1/chat/completions", body, key)
    assert answer.status == 200, answer.text
    assert upstream.last()["body"].encode() == body.replace(b'"other"', b'"qwen-max"')


def test_credentials_stay_apart(open_ai, key, upstream):
    open_ai.chat.completions.create(model="chat", messages=HELLO)
    seen = upstream.last()
    assert dict(seen["headers"])["authorization"] == f"Bearer {rig.UPSTREAM_KEY}"
    assert key not in json.dumps(seen)


def test_headers_of_an_answer(gateway, key, upstream):
    answer = gateway.call("POST", "/v1/chat/completions", {"model": "chat", "messages": HELLO}, key)
    assert answer.headers["x-sluicegate-attempts"] == "1"
    assert float(answer.headers["x-sluicegate-cost-usd"]) == pytest.approx(10 * 0.000001 + 3 * 0.000002)
    assert answer.headers["set-cookie"] is None
    assert answer.headers["openai-organization"] is None


def test_spend_is_counted(gateway, upstream):
    key = gateway.new_key(key_alias="spender")
    for model in ["chat", "claude"]:
        assert gateway.call("POST", "/v1/chat/completions", {"model": model, "messages": HELLO}, key).status == 200
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=key) as client:
        assert len(list(client.chat.completions.create(model="chat", messages=HELLO, stream=True))) > 3
    info = gateway.call("GET", f"/key/info?key={key}", key=rig.MASTER_KEY).json()["info"]
    assert info["spend"] == pytest.approx(3 * (10 * 0.000001 + 3 * 0.000002))
