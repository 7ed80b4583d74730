"""Google's SDK: to Gemini upstreams (bytes pass), and to an OpenAI and an Anthropic one (translated)."""

import base64

import pytest
from google.genai import errors, types

ALL = pytest.mark.parametrize("model", ["gemini", "gemini3", "chat", "claude"])
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
WEATHER = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(name="weather", description="the weather in a city", parameters_json_schema=SCHEMA)
    ]
)


def config(**fields):
    off = types.AutomaticFunctionCallingConfig(disable=True)
    return types.GenerateContentConfig(system_instruction="be brief", automatic_function_calling=off, **fields)


@ALL
def test_an_answer(google, model):
    answer = google.models.generate_content(model=model, contents="hello there", config=config())
    assert answer.text == "echo: hello there"
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    usage = answer.usage_metadata
    assert (usage.prompt_token_count, usage.candidates_token_count, usage.total_token_count) == (10, 3, 13)
    assert answer.model_version == model and answer.response_id


@ALL
def test_a_stream(google, model):
    pieces = list(google.models.generate_content_stream(model=model, contents="hello there", config=config()))
    assert "".join(piece.text or "" for piece in pieces) == "echo: hello there"
    assert len(pieces) > 2
    assert pieces[-1].candidates[0].finish_reason == types.FinishReason.STOP
    assert pieces[-1].usage_metadata.total_token_count == 13


@ALL
@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_loop(google, model, parallel, stream):
    question = "weather in Köln" + (" in parallel" if parallel else "")
    asked = {"model": model, "config": config(tools=[WEATHER])}
    contents = [types.Content(role="user", parts=[types.Part(text=question)])]
    if stream:
        pieces = list(google.models.generate_content_stream(contents=contents, **asked))
        contents += [piece.candidates[0].content for piece in pieces if piece.candidates[0].content]
        turn = [part for content in contents[1:] for part in content.parts or [] if part.text != ""]
        contents[1:] = [types.Content(role="model", parts=turn)]
    else:
        contents.append(google.models.generate_content(contents=contents, **asked).candidates[0].content)
    calls = [part.function_call for part in contents[-1].parts if part.function_call]
    assert [call.args["city"] for call in calls] == [question] * (2 if parallel else 1)
    results = [
        types.Part(function_response=types.FunctionResponse(id=call.id, name=call.name, response={"result": f"sunny {n}"}))
        for n, call in enumerate(calls)
    ]
    contents.append(types.Content(role="user", parts=results))
    answer = google.models.generate_content(contents=contents, **asked)
    assert answer.text == "tools said: " + "; ".join(f"sunny {n}" for n in range(len(calls)))


@pytest.mark.parametrize("model", ["gemini", "chat"])
def test_structured_output(google, model):
    structured = config(response_mime_type="application/json", response_json_schema={"type": "object"})
    answer = google.models.generate_content(model=model, contents="hello", config=structured)
    assert answer.parsed == {"echo": "hello"}


@ALL
def test_an_image(google, upstream, model):
    parts = [types.Part.from_bytes(data=PNG, mime_type="image/png"), types.Part(text="what is this")]
    answer = google.models.generate_content(model=model, contents=parts, config=config())
    assert answer.text == "echo: what is this"
    # Its bytes pass as the SDK writes them; others want the usual alphabet.
    encode = base64.urlsafe_b64encode if model.startswith("gemini") else base64.b64encode
    assert encode(PNG).decode() in upstream.last()["body"]


@pytest.mark.parametrize("model, code, status", [("gemini--status-429", 429, "RESOURCE_EXHAUSTED"), ("nobody", 404, "NOT_FOUND")])
def test_an_error(google, model, code, status):
    with pytest.raises(errors.ClientError) as caught:
        google.models.generate_content(model=model, contents="hello")
    assert (caught.value.code, caught.value.status) == (code, status)


def test_an_error_in_the_midst_of_a_stream(google):
    with pytest.raises(errors.APIError) as caught:
        list(google.models.generate_content_stream(model="gemini--error-2", contents="a b c d e"))
    assert caught.value.status == "UNAVAILABLE"


def test_tokens_are_counted(google):
    # Google is asked where the channel is Google's, and always says the same here; elsewhere the gateway counts.
    assert google.models.count_tokens(model="gemini", contents="hello").total_tokens == 43
    short = google.models.count_tokens(model="chat", contents="hello").total_tokens
    assert 0 < short < google.models.count_tokens(model="chat", contents="hello " * 100).total_tokens


def test_models_are_listed(google):
    names = [model.name for model in google.models.list()]
    assert "models/gemini" in names and "models/chat" in names
    assert google.models.get(model="gemini").name == "models/gemini"
