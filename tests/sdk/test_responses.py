"""The OpenAI SDK's `client.responses`: to a responses upstream (bytes pass), and translated to chat and to Anthropic."""

import json
import time

import openai
import pydantic
import pytest
import rig

EVERY = pytest.mark.parametrize("model", ["resp", "chat", "claude"])
WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "the weather in a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False},
    "strict": True,
}


def channel(name, provider, url, form, upstream):
    return {
        "name": name,
        "provider": provider,
        "endpoints": [{"format": form, "url": url}],
        "credential": "${FAKE_KEY}",
        "models": [{"name": name, "upstream": upstream, "price": {"input": 1, "output": 2}}],
    }


@pytest.fixture(scope="module")
def native(upstream_process, tmp_path_factory):
    folder = tmp_path_factory.mktemp("responses")
    config = folder / "config.yaml"
    url = upstream_process.url
    channels = [
        channel("resp", "openai", url + "/v1/responses", "openai_responses", "gpt-5-mini"),
        channel("chat", "openai", url + "/v1/chat/completions", "openai_chat", "glm-5"),
        channel("claude", "anthropic", url + "/v1/messages", "anthropic_messages", "claude-sonnet-4-5"),
    ]
    config.write_text(json.dumps({"version": 1, "server": {"master_key": "${MASTER}"}, "channels": channels}))
    with rig.gateway(config, folder, {"FAKE_KEY": rig.UPSTREAM_KEY, "MASTER": rig.MASTER_KEY}) as it:
        yield it


@pytest.fixture(scope="module")
def native_key(native):
    return native.new_key(key_alias="sdk-responses")


@pytest.fixture
def client(native, native_key, upstream):
    with openai.OpenAI(base_url=native.url + "/v1", api_key=native_key, max_retries=0, timeout=rig.CALL_LIMIT_S) as it:
        yield it


@EVERY
def test_an_answer(client, model):
    answer = client.responses.create(model=model, instructions="be brief", input="hello there", metadata={"a": "b"})
    assert answer.output_text == "echo: hello there"
    assert answer.status == "completed"
    assert answer.id.startswith("resp_")
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens > 0


@EVERY
def test_a_stream(client, model):
    with client.responses.stream(model=model, input="hello there") as stream:
        events = list(stream)
        final = stream.get_final_response()
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == "echo: hello there"
    assert len(deltas) == 3
    numbers = [event.sequence_number for event in events]
    assert numbers == sorted(set(numbers))
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    assert final.output_text == "echo: hello there"
    assert final.usage.output_tokens == 3


@EVERY
def test_a_tool_loop_with_thoughts(client, model):
    asked = {"model": model, "tools": [WEATHER], "store": False, "max_output_tokens": 5000}
    asked |= {"reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"]}
    history = [{"role": "user", "content": "weather in Rome"}]
    first = client.responses.create(input=history, **asked)
    call = first.output[-1]
    assert (call.type, call.name, json.loads(call.arguments)) == ("function_call", "weather", {"city": "weather in Rome"})
    history += [item.to_dict() for item in first.output]
    history.append({"type": "function_call_output", "call_id": call.call_id, "output": "20 degrees"})
    assert client.responses.create(input=history, **asked).output_text == "tools said: 20 degrees"


@pytest.mark.parametrize("model", ["resp", "chat"])
def test_structured_output(client, model):
    class Echo(pydantic.BaseModel):
        echo: str

    answer = client.responses.parse(model=model, input="hello there", text_format=Echo)
    assert answer.output_parsed == Echo(echo="hello there")


@EVERY
def test_a_conversation(client, model):
    first = client.responses.create(model=model, input="one")
    second = client.responses.create(model=model, input="two", previous_response_id=first.id)
    assert second.output_text == "echo: two"
    assert second.previous_response_id == first.id
    elsewhere = client.responses.create(model="claude", input="three", previous_response_id=second.id)
    assert elsewhere.output_text == "echo: three"
    assert client.responses.retrieve(second.id).output_text == "echo: two"
    # Page by page, as the SDK turns them.
    items = list(client.responses.input_items.list(second.id, order="asc", limit=1))
    assert [item.content[0].text for item in items] == ["one", "echo: one", "two"]
    client.responses.delete(second.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(second.id)
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model=model, input="x", previous_response_id=second.id)
    assert refused.value.code == "previous_response_not_found"


@EVERY
def test_a_conversation_of_its_own(client, model):
    opening = [{"type": "message", "role": role, "content": text} for role, text in [("user", "zero"), ("assistant", "so")]]
    made = client.conversations.create(metadata={"a": "b"}, items=opening)
    first = client.responses.create(model=model, input="one", conversation=made.id)
    assert first.output_text == "echo: one"
    assert first.conversation.id == made.id
    assert client.responses.create(model=model, input="two", conversation=made.id).output_text == "echo: two"
    items = list(client.conversations.items.list(made.id, order="asc", limit=2))
    assert [item.content[0].text for item in items] == ["zero", "so", "one", "echo: one", "two", "echo: two"]
    assert client.conversations.items.retrieve(items[0].id, conversation_id=made.id).content[0].text == "zero"
    assert client.conversations.update(made.id, metadata={"c": "d"}).metadata == {"c": "d"}
    assert client.conversations.retrieve(made.id).metadata == {"c": "d"}
    assert client.conversations.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model=model, input="x", conversation=made.id)


@EVERY
def test_work_in_the_background(client, model):
    begun = client.responses.create(model=model, input="one", background=True)
    assert begun.status == "queued"
    until = time.monotonic() + rig.CALL_LIMIT_S
    while (done := client.responses.retrieve(begun.id)).status in ("queued", "in_progress"):
        assert time.monotonic() < until
    assert (done.status, done.output_text) == ("completed", "echo: one")
    assert client.responses.cancel(begun.id).status == "completed"


@EVERY
def test_a_stream_in_the_background(client, model):
    with client.responses.create(model=model, input="hello there", background=True, stream=True) as stream:
        lost = [event for event, _ in zip(stream, range(5), strict=False)]
    assert [event.sequence_number for event in lost] == [0, 1, 2, 3, 4]
    assert [event.type for event in lost[:2]] == ["response.created", "response.queued"]
    response, last = lost[0].response, lost[-1].sequence_number
    assert response.status == "queued"
    rest = list(client.responses.retrieve(response.id, stream=True, starting_after=last))
    assert [event.sequence_number for event in rest] == list(range(last + 1, last + 1 + len(rest)))
    deltas = [event.delta for event in lost + rest if event.type == "response.output_text.delta"]
    assert "".join(deltas) == "echo: hello there"
    assert rest[-1].type == "response.completed"
    assert rest[-1].response.output_text == "echo: hello there"
    assert client.responses.retrieve(response.id).to_dict() == rest[-1].response.to_dict()
    # As the SDK's own helper takes it up again: from the beginning, and it leaves out what was seen.
    with client.responses.stream(response_id=response.id, starting_after=last) as stream:
        again = [event.sequence_number for event in stream]
        final = stream.get_final_response()
    assert again == [event.sequence_number for event in rest]
    assert final.output_text == "echo: hello there"
