"""What all tests share: one upstream, one gateway with every model they ask for, one key."""

import json

import anthropic
import openai
import pytest
import rig
from google import genai

# Endings of model names that tell the upstream how to behave.
BEHAVIOURS = [
    "",
    "--split-3",
    "--delay-3000",
    "--cut-4",
    "--error-4",
    "--cut-bytes-20",
    "--nonsense",
    "--html",
    "--empty",
    "--error-as-success",
    "--status-400",
    "--status-401",
    "--status-403",
    "--status-429--retry-after-1",
    "--status-500",
    "--status-503",
    "--quota",
    "--plain",
    "--usage-missing",
    "--usage-negative",
    "--usage-absurd",
    "--hang",
]
# What does something else than chat.
OPERATIONS = {
    "old": "davinci-002",
    "image": "gpt-image-1",
    "speech": "tts-1",
    "hear": "whisper-1",
    "omni-moderation-latest": "omni-moderation-latest",
}
PRICES = {"input_cost_per_token": 0.000001, "output_cost_per_token": 0.000002}


def model(name, upstream, base, **params):
    return {"model_name": name, "litellm_params": {"model": upstream, "api_base": base, "api_key": "os.environ/FAKE_KEY"} | params}


def configuration(upstream_url):
    models = []
    for ending in BEHAVIOURS:
        models.append(model("chat" + ending, "openai/gpt-4o-mini" + ending, upstream_url + "/v1", **PRICES))
        models.append(model("claude" + ending, "anthropic/claude-sonnet-4-5" + ending, upstream_url, **PRICES))
    for ending in ["", "--status-429", "--error-2"]:
        models.append(model("gemini" + ending, "gemini/gemini-2.5-flash" + ending, upstream_url, **PRICES))
    models.append(model("gemini3", "gemini/gemini-3-pro-preview", upstream_url, **PRICES))
    # A server that takes parameters which OpenAI doesn't know.
    models.append(model("other", "openai/qwen-max", upstream_url + "/v1", **PRICES))
    models.append(model("embed", "openai/text-embedding-3-small", upstream_url + "/v1", **PRICES))
    for name, upstream in OPERATIONS.items():
        models.append(model(name, "openai/" + upstream, upstream_url + "/v1", **PRICES))
    nobody = f"http://127.0.0.1:{rig.free_port()}"
    models.append(model("chat-unreachable", "openai/gpt-4o-mini", nobody + "/v1"))
    models.append(model("claude-unreachable", "anthropic/claude-sonnet-4-5", nobody))
    return {
        "model_list": models,
        "litellm_settings": {"num_retries": 0, "request_timeout": 2},
        "router_settings": {"allowed_fails": 1000000, "cooldown_time": 0},
        "general_settings": {"master_key": "os.environ/LITELLM_MASTER_KEY"},
    }


@pytest.fixture(scope="session")
def upstream_process():
    it = rig.Upstream()
    yield it
    it.stop()


@pytest.fixture(scope="session")
def gateway(upstream_process, tmp_path_factory):
    folder = tmp_path_factory.mktemp("gateway")
    # JSON is YAML too.
    config = folder / "config.yaml"
    config.write_text(json.dumps(configuration(upstream_process.url), indent=1))
    env = {"FAKE_KEY": rig.UPSTREAM_KEY, "LITELLM_MASTER_KEY": rig.MASTER_KEY}
    with rig.gateway(config, folder, env) as it:
        yield it


@pytest.fixture
def upstream(upstream_process):
    upstream_process.reset()
    return upstream_process


@pytest.fixture(scope="session")
def key(gateway):
    return gateway.new_key(key_alias="sdk-tests")


@pytest.fixture
def open_ai(gateway, key, upstream):
    """The OpenAI SDK as its documentation says, without retries of its own."""
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=key, max_retries=0, timeout=rig.CALL_LIMIT_S) as client:
        yield client


@pytest.fixture
def claude(gateway, key, upstream):
    """The Anthropic SDK as its documentation says, without retries of its own."""
    with anthropic.Anthropic(base_url=gateway.url, api_key=key, max_retries=0, timeout=rig.CALL_LIMIT_S) as client:
        yield client


@pytest.fixture
def google(gateway, key, upstream):
    """Google's SDK as its documentation says, at another address."""
    options = genai.types.HttpOptions(base_url=gateway.url, timeout=rig.CALL_LIMIT_S * 1000)
    with genai.Client(api_key=key, vertexai=False, http_options=options) as client:
        yield client
