"""The two configurations that people bring, unchanged, with their own calls, unchanged."""

import json
import os
import subprocess
import time

import anthropic
import pytest
import rig

SEEDS = rig.ROOT / "tests" / "data" / "seeds"
ENV = {
    "WANQING_API_KEY": "sk-wanqing-0123456789",
    "ANTHROPIC_API_KEY": rig.UPSTREAM_KEY,
    "LITELLM_MASTER_KEY": rig.MASTER_KEY,
}


@pytest.fixture(scope="module", params=["litellm-config.yaml", "newapi-channels.yaml"])
def seed(request, upstream_process, tmp_path_factory):
    """The gateway on a seed. Anthropic's address is the scripted upstream, by the variable of its SDK."""
    env = ENV | {"ANTHROPIC_API_BASE": upstream_process.url}
    with rig.gateway(SEEDS / request.param, tmp_path_factory.mktemp("seed"), env) as it:
        it.file = request.param
        it.calls = run_calls(it)
        yield it


def run_calls(gateway):
    done = subprocess.run(
        ["sh", SEEDS / "calls.sh"],
        env=os.environ | {"GATEWAY_URL": gateway.url, "LITELLM_MASTER_KEY": rig.MASTER_KEY, "no_proxy": "*"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.strip()]


def test_it_is_ready(seed):
    assert seed.call("GET", "/health/readiness").status == 200
    assert seed.call("GET", "/health/liveliness").status == 200


def test_its_own_calls(seed):
    team, key = seed.calls
    assert team["team_alias"] == "rd-dept"
    assert team["max_budget"] == 100
    assert team["tpm_limit"] == 500000
    assert set(team["models"]) == {"deepseek-chat", "hunyuan-turbo"}
    assert key["key"].startswith("sk-")
    assert key["key_alias"] == "wang-key"
    assert key["max_budget"] == 30
    assert key["rpm_limit"] == 20
    assert key["team_id"] in (team["team_id"], "rd-dept")


def test_the_key_sees_its_teams_models(seed):
    answer = seed.call("GET", "/v1/models", key=seed.calls[1]["key"])
    # Of New API's channels the one for deepseek-chat is for other groups than the seed's team.
    seen = {"hunyuan-turbo"} if seed.file.startswith("newapi") else {"deepseek-chat", "hunyuan-turbo"}
    assert {m["id"] for m in answer.json()["data"]} == seen


def test_a_model_of_another_team(seed):
    body = {"model": "claude-opus-4-8", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
    answer = seed.call("POST", "/v1/chat/completions", body, seed.calls[1]["key"])
    assert answer.status in (403, 404), answer.text
    assert "hunyuan-turbo" in answer.json()["error"]["message"]


def test_a_call_that_reaches_an_upstream(seed, upstream):
    key = seed.new_key(models=["claude-opus-4-8"])
    call = {"model": "claude-opus-4-8", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
    with anthropic.Anthropic(base_url=seed.url, api_key=key, max_retries=0, timeout=rig.CALL_LIMIT_S) as client:
        if not seed.file.startswith("litellm"):
            # The file names the provider's own address, and what is written isn't overridden by the environment.
            with pytest.raises(anthropic.InternalServerError):
                client.messages.create(**call)
            assert upstream.requests() == []
            return
        answer = client.messages.create(**call)
    assert answer.content[0].text == "echo: hi"
    assert upstream.last()["path"] == "/v1/messages"


def test_a_call_whose_upstream_is_out_of_reach(seed):
    body = {"model": "hunyuan-turbo", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
    started = time.monotonic()
    answer = seed.call("POST", "/v1/chat/completions", body, seed.calls[1]["key"], timeout=120)
    assert answer.status in (502, 503, 504), answer.text
    assert {"message", "type", "code"} <= set(answer.json()["error"])
    assert ENV["WANQING_API_KEY"] not in answer.text
    assert time.monotonic() - started < 100


def test_the_log_names_what_it_could_not_take(seed):
    log = seed.log.read_text()
    if seed.file.startswith("litellm"):
        assert "qwen-max" in log, "a fallback to a model that the file does not define"
        assert "postgresql://..." in log or "placeholder" in log, "an address that is none"
    assert rig.MASTER_KEY not in log
    assert ENV["WANQING_API_KEY"] not in log


def test_a_restart_keeps_keys(upstream_process, tmp_path):
    env = ENV | {"ANTHROPIC_API_BASE": upstream_process.url}
    body = {"model": "claude-opus-4-8", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
    with rig.gateway(SEEDS / "litellm-config.yaml", tmp_path, env) as first:
        key = first.new_key()
        assert first.call("POST", "/v1/chat/completions", body, key).status == 200
        spent = first.call("GET", f"/key/info?key={key}", key=rig.MASTER_KEY).json()["info"]["spend"]
    with rig.gateway(SEEDS / "litellm-config.yaml", tmp_path, env) as second:
        info = second.call("GET", f"/key/info?key={key}", key=rig.MASTER_KEY).json()["info"]
        assert info["spend"] == pytest.approx(spent)
        assert second.call("POST", "/v1/chat/completions", body, key).status == 200
