"""A coding agent's loop of fifty turns, with thoughts, parallel calls and cache marks, at upstreams of other formats.

The upstream refuses a call without its result, and a signature that isn't the one it put on just that thought or call.
"""

import json

import anthropic
import openai
import pytest
import rig
import test_matrix

TURNS = 50
SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}, "line": {"type": "integer"}}, "required": ["path", "line"]}
TASK = "read all files in parallel"
SYSTEM = "you are a coding agent; " + "mind the rules. " * 50


@pytest.fixture(scope="module")
def loop_gateway(upstream_process, tmp_path_factory):
    folder = tmp_path_factory.mktemp("loop")
    config = folder / "config.yaml"
    config.write_text(json.dumps(test_matrix.configuration(upstream_process.url, openai="gpt-5-mini")))
    with rig.gateway(config, folder, {"FAKE_KEY": rig.UPSTREAM_KEY, "MASTER": rig.MASTER_KEY}) as it:
        yield it


def result(turn, n):
    return f"file {turn}.{n}: fn main() {{}}" + ("" if turn + 1 == TURNS else ", go on")


def claude_loop(gateway, model):
    """As Claude Code does it: marks on system and tools, and one that moves along with the conversation."""
    mark = {"type": "ephemeral"}
    tool = {"name": "read", "description": "reads a file", "input_schema": SCHEMA, "cache_control": mark}
    asked = {"model": model, "max_tokens": 4000, "thinking": {"type": "enabled", "budget_tokens": 1024}, "tools": [tool]}
    asked["system"] = [{"type": "text", "text": SYSTEM, "cache_control": mark}]
    messages = [{"role": "user", "content": [{"type": "text", "text": TASK}]}]
    key = gateway.new_key(key_alias="loop-" + model)
    with anthropic.Anthropic(base_url=gateway.url, api_key=key, max_retries=0, timeout=rig.CALL_LIMIT_S) as client:
        for turn in range(TURNS + 1):
            marked = messages[-1] | {"content": [*messages[-1]["content"][:-1], messages[-1]["content"][-1] | {"cache_control": mark}]}
            if turn % 2:
                with client.messages.stream(messages=[*messages[:-1], marked], **asked) as stream:
                    answer = stream.get_final_message()
            else:
                answer = client.messages.create(messages=[*messages[:-1], marked], **asked)
            content = [block.model_dump(exclude_none=True, mode="json") for block in answer.content]
            content = [{k: v for k, v in block.items() if k not in ("parsed_output", "caller", "citations")} for block in content]
            assert content[0]["type"] == "thinking" and content[0]["thinking"] == "let me think about that", content
            calls = [block for block in content if block["type"] == "tool_use"]
            if turn == TURNS:
                return messages, content[-1]["text"]
            assert [call["input"] for call in calls] == [{"path": TASK, "line": 1}, {"path": TASK, "line": 2}]
            results = [{"type": "tool_result", "tool_use_id": c["id"], "content": result(turn, n)} for n, c in enumerate(calls)]
            messages += [{"role": "assistant", "content": content}, {"role": "user", "content": results}]


def responses_loop(gateway, model):
    """As Codex does it: nothing is stored, thoughts come back encrypted."""
    asked = {"model": model, "instructions": SYSTEM, "store": False, "max_output_tokens": 4000}
    asked["reasoning"] = {"effort": "low", "summary": "auto"}
    asked["include"] = ["reasoning.encrypted_content"]
    asked["tools"] = [{"type": "function", "name": "read", "description": "reads a file", "parameters": SCHEMA, "strict": False}]
    history = [{"role": "user", "content": TASK}]
    key = gateway.new_key(key_alias="loop-responses-" + model)
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=key, max_retries=0, timeout=rig.CALL_LIMIT_S) as client:
        for turn in range(TURNS + 1):
            if turn % 2:
                with client.responses.stream(input=history, **asked) as stream:
                    answer = stream.get_final_response()
            else:
                answer = client.responses.create(input=history, **asked)
            assert answer.output[0].type == "reasoning" and answer.output[0].encrypted_content
            calls = [item for item in answer.output if item.type == "function_call"]
            if turn == TURNS:
                return history, answer.output_text
            assert [json.loads(call.arguments) for call in calls] == [{"path": TASK, "line": 1}, {"path": TASK, "line": 2}]
            history += [item.to_dict(exclude_none=True) for item in answer.output]
            for item in history:
                item.pop("parsed_arguments", None)
            outputs = [{"type": "function_call_output", "call_id": c.call_id, "output": result(turn, n)} for n, c in enumerate(calls)]
            history += outputs


def without_marks(value):
    if isinstance(value, dict):
        return {name: without_marks(inner) for name, inner in value.items() if name != "cache_control"}
    return [without_marks(inner) for inner in value] if isinstance(value, list) else value


def split(body, field):
    """The conversation in a body as it was sent, and the rest of the body."""
    at = body.index(f'"{field}":') + len(field) + 3
    at += len(body[at:]) - len(body[at:].lstrip())
    _, end = json.JSONDecoder().raw_decode(body, at)
    rest = json.loads(body)
    rest.pop("stream", None), rest.pop("stream_options", None), rest.pop(field)
    return body[at:end], rest


ROUTES = [
    (claude_loop, "chat", "messages"),
    (responses_loop, "anthropic", "messages"),
    (claude_loop, "gemini", "contents"),
    (claude_loop, "anthropic", "messages"),
    (claude_loop, "responses", "input"),
]


@pytest.mark.parametrize(("loop", "upstream_name", "field"), ROUTES, ids=lambda it: getattr(it, "__name__", it))
def test_fifty_turns(loop_gateway, upstream, loop, upstream_name, field):
    _, said = loop(loop_gateway, upstream_name)
    assert said == f"tools said: {result(TURNS - 1, 0)}; {result(TURNS - 1, 1)}"
    sent = [request["body"] for request in upstream.requests()]
    assert len(sent) == TURNS + 1
    parts = [split(body, field) for body in sent]
    native = loop is claude_loop and upstream_name == "anthropic"
    for (before, rest_before), (after, rest_after) in zip(parts, parts[1:]):
        assert rest_after == rest_before
        if native:
            # The caller's own mark moves; nothing else may.
            before, after = without_marks(json.loads(before)), without_marks(json.loads(after))
            assert after[: len(before)] == before
        else:
            assert after.startswith(before[:-1]), "what the upstream has cached isn't sent again as it was"
    last = sent[-1]
    for turn in range(TURNS):
        for n in range(2):
            assert last.count(json.dumps(result(turn, n))[1:-1]) == 1
    if upstream_name == "anthropic":
        thoughts = [b["signature"] for m in json.loads(last)["messages"] for b in m["content"] if isinstance(b, dict) and b["type"] == "thinking"]
        assert len(set(thoughts)) == TURNS, "each thought has a signature of its own"
    if upstream_name == "gemini":
        signed = [p["thoughtSignature"] for c in json.loads(last)["contents"] for p in c["parts"] if "thoughtSignature" in p and "functionCall" in p]
        assert len(set(signed)) == TURNS and "skip_thought_signature_validator" not in signed
    if upstream_name == "responses":
        sealed = [item["encrypted_content"] for item in json.loads(last)["input"] if item.get("type") == "reasoning"]
        assert len(set(sealed)) == TURNS
    # Marks arrive where the upstream has them, and nowhere else.
    assert last.count("cache_control") == (3 if native else 0)
