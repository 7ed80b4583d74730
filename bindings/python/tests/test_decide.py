"""The table of decisions, through the module. Rust and C answer the same files."""

import json

import pytest
import table

import sluicegate
from sluicegate import Gateway, SluicegateError
from sluicegate._sluicegate import Host

CASES = list(table.cases())


def test_there_are_cases():
    assert len(CASES) >= 25


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_table(case):
    bound = table.Bound()
    if case.fails is not None:
        with pytest.raises(SluicegateError) as raised:
            # As text: some of these options are none that `Gateway` has.
            Host(json.dumps(case.options))
        error = raised.value
        bound.check(case.fails, {"kind": error.kind, "code": error.code, "message": error.message})
        return
    with Gateway(**case.options) as gateway:
        for request, want in case.steps:
            bound.check(want, gateway.handle(bound.fill(request)))


NOW = 1_794_996_000_000
KEY = "sk-verbs-python-3f8a1c6d9b2e7450"
CONFIG = """
version: 1
channels:
  - {id: a, name: a, provider: openai, url: "http://127.0.0.1:9/v1", credential: up, models: [m], priority: 2}
  - {id: b, name: b, provider: openai, url: "http://127.0.0.1:9/v1", credential: up, models: [m], priority: 1}
routing: {retries: 1, backoff: 400ms}
keys: [{id: k, credential: sk-verbs-python-3f8a1c6d9b2e7450, limits: {total_tokens: {day: 1000}, requests: {day: 3}}}]
"""


@pytest.fixture
def gateway():
    with Gateway(CONFIG, environment={}, manual_clock_ms=NOW) as it:
        yield it


def test_a_call_is_decided_and_reported(gateway):
    decided = gateway.decide({"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 40}, key=KEY, seed=1)
    tried = decided["step"]["try"]
    assert (tried["channel"], tried["url"]) == ("a", "http://127.0.0.1:9/v1/chat/completions")
    assert ["authorization", "Bearer up"] in tried["headers"]
    assert json.loads(tried["body"])["messages"] == [{"role": "user", "content": "hi"}]
    body = b'{"choices": [], "usage": {"prompt_tokens": 8, "completion_tokens": 2}}'
    done = gateway.report(decided["call"], status=200, body=body)
    assert done["step"]["done"]["record"]["usage"]["output_visible"] == 2
    limits = {(limit["metric"], limit["window"]): limit for limit in gateway.remaining(KEY)}
    assert limits["total_tokens", "day"]["settled"] == 10
    assert limits["requests", "day"]["remaining"] == 2


def test_a_failed_attempt_goes_elsewhere_and_a_wait_is_waited_for(gateway):
    call = {"format": "openai_chat", "model": "m", "input_bound": 10, "max_output": 10}
    first = gateway.decide(key=KEY, call=call)
    second = gateway.report(first["call"], outcome="unreachable")
    if "wait" in second["step"]:
        second = gateway.next_step(first["call"], now_ms=second["step"]["wait"]["until_ms"])
    assert second["step"]["try"]["channel"] == "b"
    done = gateway.report(first["call"], status=200, usage={"input_uncached": 5, "output_visible": 1})
    assert len(done["step"]["done"]["record"]["attempts"]) == 2


def test_a_refusal_is_an_answer_and_raises_when_asked_to(gateway):
    call = {"format": "openai_chat", "model": "m", "input_bound": 2000}
    answer = gateway.decide(key=KEY, call=call)
    with pytest.raises(sluicegate.InsufficientQuotaError) as raised:
        sluicegate.raise_for_failure(answer)
    assert "total" in str(raised.value)
    sluicegate.raise_for_failure(gateway.decide(key=KEY, call=call | {"input_bound": 20, "max_output": 5}))


def test_cancelling_gives_back_what_was_reserved(gateway):
    decided = gateway.decide(key=KEY, call={"format": "openai_chat", "model": "m", "input_bound": 500, "max_output": 100})
    assert gateway.remaining(KEY)[0]["reserved"] + gateway.remaining(KEY)[1]["reserved"] > 0
    assert "done" in gateway.cancel(decided["call"])["step"]
    assert [limit["reserved"] for limit in gateway.remaining(KEY)] == [0, 0]


def test_explaining_reserves_nothing(gateway):
    explained = gateway.explain({"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 40}, key=KEY)
    assert explained["order"] == ["a", "b"]
    assert explained["explanation"]
    assert [limit["remaining"] for limit in gateway.remaining(KEY)] == [limit["max"] for limit in gateway.remaining(KEY)]


def test_mistakes_raise(gateway):
    with pytest.raises(sluicegate.NotFoundError, match="call-nobody"):
        gateway.cancel("call-nobody")
    with pytest.raises(sluicegate.UnauthenticatedError):
        gateway.remaining("sk-nobody")
    with pytest.raises(sluicegate.InvalidRequestError, match="UTF-8"):
        gateway.decide(b"\xff", key=KEY)
    with pytest.raises(sluicegate.InvalidRequestError, match="ouputs"):
        gateway.decide(key=KEY, call={"format": "openai_chat", "model": "m", "ouputs": 1})
