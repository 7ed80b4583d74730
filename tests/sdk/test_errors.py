"""Every error arrives in the caller's format, with the status for which the SDK has a class."""

import time

import anthropic
import openai
import pytest
import rig

SDKS = {"openai": openai, "anthropic": anthropic}
CALLS = pytest.mark.parametrize("sdk", list(SDKS))
# Which upstream answers: the SDK's own format, or the other one.
MODELS = pytest.mark.parametrize("model", ["chat", "claude"])
STREAMS = pytest.mark.parametrize("stream", [False, True])
HELLO = [{"role": "user", "content": "a b c d e f g h"}]


class Caller:
    """One SDK against the gateway; counts the requests that it really makes."""

    def __init__(self, gateway, sdk, key, **options):
        self.sdk, self.module, self.requests = sdk, SDKS[sdk], 0
        hooks = {"request": [lambda _: setattr(self, "requests", self.requests + 1)]}
        http_client = self.module.DefaultHttpxClient(event_hooks=hooks)
        base = gateway.url + ("/v1" if sdk == "openai" else "")
        make = openai.OpenAI if sdk == "openai" else anthropic.Anthropic
        self.client = make(base_url=base, api_key=key, http_client=http_client, **({"max_retries": 0, "timeout": rig.CALL_LIMIT_S} | options))

    def ask(self, model, stream=False, **more):
        """Calls and reads all of the answer."""
        if self.sdk == "openai":
            answer = self.client.chat.completions.create(model=model, messages=HELLO, stream=stream, **more)
        else:
            answer = self.client.messages.create(model=model, messages=HELLO, max_tokens=50, stream=stream, **more)
        return list(answer) if stream else answer

    def fails(self, error, model="chat", stream=False, **more):
        """The error that the call raises, which must be of the SDK's class of that name."""
        with pytest.raises(getattr(self.module, error)) as caught:
            self.ask(model, stream, **more)
        return caught.value


def shape(sdk, body):
    """The message of an error body, which must have the format's shape."""
    if sdk == "openai":
        # The SDK hands out what stands under `error`.
        assert {"message", "type", "param", "code"} <= set(body)
        return body["message"]
    assert body["type"] == "error"
    assert set(body["error"]) >= {"type", "message"}
    return body["error"]["message"]


@CALLS
@STREAMS
def test_a_key_that_nobody_issued(gateway, sdk, stream, upstream):
    caller = Caller(gateway, sdk, "sk-nobody-issued-this-key")
    error = caller.fails("AuthenticationError", stream=stream)
    assert error.status_code == 401
    assert "sk-nobody-issued-this-key" not in shape(sdk, error.body)
    assert upstream.requests() == []


@CALLS
def test_no_key(gateway, sdk, upstream):
    path = "/v1/chat/completions" if sdk == "openai" else "/v1/messages"
    answer = gateway.call("POST", path, {"model": "chat", "max_tokens": 5, "messages": HELLO})
    assert answer.status == 401
    body = answer.json()
    shape(sdk, body["error"] if sdk == "openai" else body)
    assert upstream.requests() == []


@CALLS
def test_an_expired_key(gateway, sdk, upstream):
    key = gateway.new_key(duration="1s")
    assert Caller(gateway, sdk, key).ask("chat")
    time.sleep(1.3)
    error = Caller(gateway, sdk, key).fails("APIStatusError")
    assert error.status_code in (401, 403)
    assert "expired" in shape(sdk, error.body)


@CALLS
def test_a_deleted_key(gateway, sdk, upstream):
    key = gateway.new_key()
    assert Caller(gateway, sdk, key).ask("chat")
    assert gateway.call("POST", "/key/delete", {"keys": [key]}, rig.MASTER_KEY).status == 200
    # At once: no cache may keep it alive.
    Caller(gateway, sdk, key).fails("AuthenticationError")


@CALLS
def test_a_blocked_key(gateway, sdk, upstream):
    key = gateway.new_key()
    assert gateway.call("POST", "/key/update", {"key": key, "blocked": True}, rig.MASTER_KEY).status == 200
    error = Caller(gateway, sdk, key).fails("APIStatusError")
    assert error.status_code in (401, 403)


@CALLS
def test_a_model_that_the_key_may_not_use(gateway, sdk, upstream):
    key = gateway.new_key(models=["embed"])
    error = Caller(gateway, sdk, key).fails("APIStatusError")
    assert error.status_code in (403, 404)
    assert "embed" in shape(sdk, error.body)
    assert upstream.requests() == []


@CALLS
@STREAMS
def test_an_unknown_model(gateway, sdk, key, stream, upstream):
    error = Caller(gateway, sdk, key).fails("NotFoundError", "no-such-model", stream)
    message = shape(sdk, error.body)
    assert "no-such-model" in message
    # The remedy: what the key may use.
    assert "`chat`" in message


@CALLS
def test_a_bad_request_of_ours(gateway, sdk, key, upstream):
    error = Caller(gateway, sdk, key).fails("BadRequestError", extra_body={"messages": "not a list"})
    shape(sdk, error.body)


@CALLS
@MODELS
@STREAMS
def test_a_bad_request_of_theirs(gateway, sdk, key, model, stream, upstream):
    error = Caller(gateway, sdk, key).fails("BadRequestError", f"{model}--status-400", stream)
    assert "as asked" in shape(sdk, error.body)
    assert len(upstream.requests()) == 1


@CALLS
@pytest.mark.parametrize("cap", [{"daily_token_limit": 400}, {"token_quota": 400}, {"max_budget": 0.00002}])
def test_over_a_cap(gateway, sdk, cap, upstream):
    key = gateway.new_key(**cap)
    caller = Caller(gateway, sdk, key, max_retries=2)
    refused = None
    # The first calls fit; each uses some 20 tokens, until what is left no longer covers the most that one may use.
    for _ in range(40):
        before, refused = caller.requests, None
        try:
            caller.ask("chat")
        except caller.module.RateLimitError as error:
            refused = error
            break
    assert refused is not None, f"{cap} did not stop anybody"
    if "max_budget" not in cap:
        assert caller.requests > 1, "the first call fits"
    assert caller.requests == before + 1, "the SDK tried again"
    assert refused.response.headers["x-should-retry"] == "false"
    # A cap for ever has no time at which waiting helps.
    forever = "token_quota" in cap or "max_budget" in cap
    assert forever or int(refused.response.headers["retry-after"]) >= 1
    shape(sdk, refused.body)
    if sdk == "openai":
        assert refused.code == "insufficient_quota"
    else:
        assert refused.body["error"]["type"] == "rate_limit_error"


@CALLS
def test_over_a_rate(gateway, sdk, upstream):
    """A minute's limit is worth waiting for: the answer says how long, and doesn't forbid another try."""
    caller = Caller(gateway, sdk, gateway.new_key(rpm_limit=1))
    refused = None
    # A minute may end between two calls; three can't all fall into different ones.
    for _ in range(3):
        try:
            caller.ask("chat")
        except caller.module.RateLimitError as error:
            refused = error
            break
    assert refused is not None and caller.requests > 1, "the first call fits, the limit must then stop one"
    assert 1 <= int(refused.response.headers["retry-after"]) <= 60
    assert refused.response.headers.get("x-should-retry") != "false"
    shape(sdk, refused.body)
    if sdk == "openai":
        assert refused.code == "rate_limit_exceeded"


@CALLS
@MODELS
@STREAMS
def test_their_rate_limit(gateway, sdk, key, model, stream, upstream):
    error = Caller(gateway, sdk, key).fails("RateLimitError", f"{model}--status-429--retry-after-1", stream)
    shape(sdk, error.body)
    assert error.response.headers["retry-after"] == "1"


@CALLS
@MODELS
@STREAMS
@pytest.mark.parametrize("status", ["500", "503"])
def test_a_failing_upstream(gateway, sdk, key, model, stream, status, upstream):
    error = Caller(gateway, sdk, key).fails("InternalServerError", f"{model}--status-{status}", stream)
    shape(sdk, error.body)


@CALLS
@MODELS
@STREAMS
@pytest.mark.parametrize("status", ["401", "403"])
def test_their_refusal_of_our_credential_is_not_the_callers_fault(gateway, sdk, key, model, stream, status, upstream):
    error = Caller(gateway, sdk, key).fails("InternalServerError", f"{model}--status-{status}", stream)
    assert error.status_code in (502, 503)
    shape(sdk, error.body)


@CALLS
@MODELS
@STREAMS
def test_an_unreachable_upstream(gateway, sdk, key, model, stream):
    error = Caller(gateway, sdk, key).fails("InternalServerError", f"{model}-unreachable", stream)
    assert error.status_code in (502, 503)
    message = shape(sdk, error.body)
    assert "127.0.0.1" not in message, "where our upstreams live is nobody's business"


@CALLS
@MODELS
@STREAMS
@pytest.mark.parametrize("what", ["nonsense", "html", "empty"])
def test_an_upstream_that_talks_nonsense(gateway, sdk, key, model, stream, what, upstream):
    error = Caller(gateway, sdk, key).fails("InternalServerError", f"{model}--{what}", stream)
    shape(sdk, error.body)


@CALLS
@STREAMS
def test_an_error_under_status_200(gateway, sdk, key, stream, upstream):
    Caller(gateway, sdk, key).fails("APIStatusError", "chat--error-as-success", stream)


@CALLS
@MODELS
def test_an_answer_that_breaks_off(gateway, sdk, key, model, upstream):
    Caller(gateway, sdk, key).fails("InternalServerError", f"{model}--cut-bytes-20")


@CALLS
@MODELS
@pytest.mark.parametrize("how", ["cut-4", "error-4"])
def test_a_stream_that_breaks_off(gateway, sdk, key, model, how, upstream):
    caller = Caller(gateway, sdk, key)
    got = []
    with pytest.raises(caller.module.APIError) as caught:
        if sdk == "openai":
            for chunk in caller.client.chat.completions.create(model=f"{model}--{how}", messages=HELLO, stream=True):
                got.append(chunk)
        else:
            for event in caller.client.messages.create(model=f"{model}--{how}", messages=HELLO, max_tokens=50, stream=True):
                got.append(event)
    # What had come came through, and the end is an event, not a torn connection.
    assert got
    assert not isinstance(caught.value, caller.module.APIConnectionError)
    assert caller.requests == 1


@CALLS
@MODELS
def test_a_slow_upstream_and_an_impatient_caller(gateway, sdk, key, model, upstream):
    started = time.monotonic()
    Caller(gateway, sdk, key, timeout=0.5).fails("APITimeoutError", f"{model}--delay-3000")
    assert time.monotonic() - started < 2


@CALLS
@MODELS
@STREAMS
def test_an_upstream_that_never_answers(gateway, sdk, key, model, stream, upstream):
    started = time.monotonic()
    error = Caller(gateway, sdk, key).fails("InternalServerError", f"{model}--hang", stream)
    assert error.status_code == 504
    # request_timeout is 2 s.
    assert 1.5 < time.monotonic() - started < 8
    shape(sdk, error.body)


@CALLS
def test_a_caller_that_leaves_ends_the_upstream_call(gateway, sdk, key, upstream):
    upstream.script({"chunk_delay_ms": 200, "pad": 500})
    caller = Caller(gateway, sdk, key)
    if sdk == "openai":
        stream = caller.client.chat.completions.create(model="chat", messages=HELLO, stream=True)
    else:
        stream = caller.client.messages.create(model="chat", messages=HELLO, max_tokens=500, stream=True)
    next(iter(stream))
    stream.close()
    for _ in range(50):
        if upstream.last()["outcome"] == "aborted":
            return
        time.sleep(0.1)
    raise AssertionError(upstream.last())


@CALLS
def test_errors_carry_a_request_id(gateway, sdk, key, upstream):
    error = Caller(gateway, sdk, key).fails("NotFoundError", "no-such-model")
    assert error.request_id
