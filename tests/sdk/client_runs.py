"""What each client in Python does in each case, as its own documentation says. An answer is a dict of what the
client handed over: text, calls, parsed, usage, pieces."""

import base64
import json

import anthropic
import langchain_anthropic
import langchain_core.messages as lc
import langchain_openai
import openai
import pydantic
import rig
from google import genai

HELLO, LOOK, ASK = "hello there", "look at this", "weather in parallel"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
WEATHER = {"name": "weather", "description": "the weather in a city", "parameters": SCHEMA}
DEGREES = ["20 degrees", "21 degrees"]


class Echo(pydantic.BaseModel):
    """What was said."""

    echo: str


def openai_chat(case, model, base, key):
    client = openai.OpenAI(base_url=base + "/v1", api_key=key, max_retries=0, timeout=rig.CALL_LIMIT_S)
    create = client.chat.completions.create
    hello = {"model": model, "messages": [{"role": "user", "content": HELLO}]}
    if case == "stream":
        chunks = list(create(stream=True, stream_options={"include_usage": True}, **hello))
        pieces = [c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta.content]
        usage = chunks[-1].usage
        return {"text": "".join(pieces), "pieces": len(pieces), "usage": [usage.prompt_tokens, usage.completion_tokens]}
    if case == "structured":
        answer = client.chat.completions.parse(response_format=Echo, **hello)
        return {"parsed": answer.choices[0].message.parsed.model_dump()}
    if case == "tools":
        messages = [{"role": "user", "content": ASK}]
        asked = {"model": model, "tools": [{"type": "function", "function": WEATHER}]}
        turn = create(messages=messages, **asked).choices[0].message
        messages.append(turn)
        for call, said in zip(turn.tool_calls, DEGREES):
            messages.append({"role": "tool", "tool_call_id": call.id, "content": said})
        calls = [[c.function.name, json.loads(c.function.arguments)] for c in turn.tool_calls]
        return {"calls": calls, "text": create(messages=messages, **asked).choices[0].message.content}
    if case == "image":
        image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + PNG}}
        hello["messages"] = [{"role": "user", "content": [{"type": "text", "text": LOOK}, image]}]
    answer = create(**hello)
    return {"text": answer.choices[0].message.content, "usage": [answer.usage.prompt_tokens, answer.usage.completion_tokens]}


def openai_responses(case, model, base, key):
    client = openai.OpenAI(base_url=base + "/v1", api_key=key, max_retries=0, timeout=rig.CALL_LIMIT_S)
    create = client.responses.create
    hello = {"model": model, "input": HELLO}
    if case == "stream":
        with client.responses.stream(**hello) as stream:
            pieces = [event.delta for event in stream if event.type == "response.output_text.delta"]
            usage = stream.get_final_response().usage
        return {"text": "".join(pieces), "pieces": len(pieces), "usage": [usage.input_tokens, usage.output_tokens]}
    if case == "structured":
        return {"parsed": client.responses.parse(text_format=Echo, **hello).output_parsed.model_dump()}
    if case == "tools":
        history = [{"role": "user", "content": ASK}]
        asked = {"model": model, "tools": [{"type": "function", "strict": True, **WEATHER}]}
        turn = create(input=history, **asked)
        made = [item for item in turn.output if item.type == "function_call"]
        history += turn.output
        for call, said in zip(made, DEGREES):
            history.append({"type": "function_call_output", "call_id": call.call_id, "output": said})
        calls = [[c.name, json.loads(c.arguments)] for c in made]
        return {"calls": calls, "text": create(input=history, **asked).output_text}
    if case == "image":
        image = {"type": "input_image", "image_url": "data:image/png;base64," + PNG, "detail": "auto"}
        hello["input"] = [{"role": "user", "content": [{"type": "input_text", "text": LOOK}, image]}]
    answer = create(**hello)
    return {"text": answer.output_text, "usage": [answer.usage.input_tokens, answer.usage.output_tokens]}


def claude(case, model, base, key):
    client = anthropic.Anthropic(base_url=base, api_key=key, max_retries=0, timeout=rig.CALL_LIMIT_S)
    create = client.messages.create
    hello = {"model": model, "max_tokens": 500, "messages": [{"role": "user", "content": HELLO}]}
    if case == "stream":
        with client.messages.stream(**hello) as stream:
            pieces = list(stream.text_stream)
            usage = stream.get_final_message().usage
        return {"text": "".join(pieces), "pieces": len(pieces), "usage": [usage.input_tokens, usage.output_tokens]}
    if case == "structured":
        return {"parsed": client.messages.parse(output_format=Echo, **hello).parsed_output.model_dump()}
    if case == "tools":
        messages = [{"role": "user", "content": ASK}]
        tool = {"name": "weather", "description": WEATHER["description"], "input_schema": SCHEMA}
        asked = {"model": model, "max_tokens": 500, "tools": [tool]}
        turn = create(messages=messages, **asked)
        made = [block for block in turn.content if block.type == "tool_use"]
        results = [{"type": "tool_result", "tool_use_id": c.id, "content": said} for c, said in zip(made, DEGREES)]
        messages += [{"role": "assistant", "content": turn.content}, {"role": "user", "content": results}]
        return {"calls": [[c.name, c.input] for c in made], "text": create(messages=messages, **asked).content[0].text}
    if case == "image":
        image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
        hello["messages"] = [{"role": "user", "content": [image, {"type": "text", "text": LOOK}]}]
    answer = create(**hello)
    return {"text": answer.content[0].text, "usage": [answer.usage.input_tokens, answer.usage.output_tokens]}


def google(case, model, base, key):
    types = genai.types
    options = types.HttpOptions(base_url=base, timeout=rig.CALL_LIMIT_S * 1000)
    client = genai.Client(api_key=key, vertexai=False, http_options=options)
    generate = client.models.generate_content

    def config(**fields):
        off = types.AutomaticFunctionCallingConfig(disable=True)
        return types.GenerateContentConfig(automatic_function_calling=off, **fields)

    def used(answer):
        return [answer.usage_metadata.prompt_token_count, answer.usage_metadata.candidates_token_count]

    if case == "stream":
        got = list(client.models.generate_content_stream(model=model, contents=HELLO))
        pieces = [piece.text for piece in got if piece.text]
        return {"text": "".join(pieces), "pieces": len(pieces), "usage": used(got[-1])}
    if case == "structured":
        fields = {"response_mime_type": "application/json", "response_schema": Echo}
        return {"parsed": generate(model=model, contents=HELLO, config=config(**fields)).parsed.model_dump()}
    if case == "tools":
        declared = types.FunctionDeclaration(name="weather", description=WEATHER["description"], parameters_json_schema=SCHEMA)
        asked = {"model": model, "config": config(tools=[types.Tool(function_declarations=[declared])])}
        contents = [types.Content(role="user", parts=[types.Part(text=ASK)])]
        turn = generate(contents=contents, **asked)
        results = [
            types.Part(function_response=types.FunctionResponse(id=c.id, name=c.name, response={"result": said}))
            for c, said in zip(turn.function_calls, DEGREES)
        ]
        contents += [turn.candidates[0].content, types.Content(role="user", parts=results)]
        return {"calls": [[c.name, c.args] for c in turn.function_calls], "text": generate(contents=contents, **asked).text}
    contents = HELLO
    if case == "image":
        contents = [types.Part.from_bytes(data=base64.b64decode(PNG), mime_type="image/png"), LOOK]
    answer = generate(model=model, contents=contents)
    return {"text": answer.text, "usage": used(answer)}


def langchain(model, case):
    """LangChain's calls are the same for every model class."""
    used = lambda answer: [answer.usage_metadata["input_tokens"], answer.usage_metadata["output_tokens"]]  # noqa: E731
    if case == "stream":
        chunks = list(model.stream(HELLO))
        whole = chunks[0]
        for chunk in chunks[1:]:
            whole += chunk
        return {"text": whole.text, "pieces": sum(1 for chunk in chunks if chunk.text), "usage": used(whole)}
    if case == "structured":
        return {"parsed": model.with_structured_output(Echo, method="json_schema").invoke(HELLO).model_dump()}
    if case == "tools":
        tool = {"type": "function", "function": WEATHER}
        bound = model.bind_tools([tool])
        messages = [lc.HumanMessage(ASK)]
        turn = bound.invoke(messages)
        results = [lc.ToolMessage(said, tool_call_id=call["id"]) for call, said in zip(turn.tool_calls, DEGREES)]
        text = bound.invoke([*messages, turn, *results]).text
        return {"calls": [[call["name"], call["args"]] for call in turn.tool_calls], "text": text}
    asked = HELLO
    if case == "image":
        image = {"type": "image", "base64": PNG, "mime_type": "image/png"}
        asked = [lc.HumanMessage([{"type": "text", "text": LOOK}, image])]
    answer = model.invoke(asked)
    return {"text": answer.text, "usage": used(answer)}


def langchain_chat(case, model, base, key, **fields):
    fields |= {"base_url": base + "/v1", "api_key": key, "max_retries": 0, "timeout": rig.CALL_LIMIT_S, "stream_usage": True}
    return langchain(langchain_openai.ChatOpenAI(model=model, **fields), case)


def langchain_responses(case, model, base, key):
    return langchain_chat(case, model, base, key, use_responses_api=True)


def langchain_claude(case, model, base, key):
    fields = {"base_url": base, "api_key": key, "max_retries": 0, "timeout": rig.CALL_LIMIT_S, "max_tokens": 500}
    return langchain(langchain_anthropic.ChatAnthropic(model=model, **fields), case)


RUN = {
    "openai-python": openai_chat,
    "openai-python-responses": openai_responses,
    "anthropic-python": claude,
    "google-genai": google,
    "langchain-openai": langchain_chat,
    "langchain-openai-responses": langchain_responses,
    "langchain-anthropic": langchain_claude,
}


def run(client, case, model, base, key):
    """One case; an exception is an answer too."""
    try:
        return RUN[client](case, model, base, key)
    except Exception as error:  # noqa: BLE001
        # LangChain puts its own classes in front of the SDK's.
        cause = error.__cause__ if type(error).__module__.startswith("langchain") and error.__cause__ else error
        status = getattr(cause, "status_code", None) or getattr(cause, "code", None)
        names = [cls.__name__ for cls in type(error).__mro__ + type(cause).__mro__]
        return {"error": {"class": type(cause).__name__, "names": names, "status": status, "message": str(error)[:300]}}
