"""What the module's tests share: the scripted upstream of the SDK tests, and gateways before it."""

import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "sdk"))

import rig  # noqa: E402

from sluicegate import Gateway  # noqa: E402

KEY = "sk-python-tests-3f8a1c6d9b2e7450"
CAPPED = "sk-python-capped-8c1d4e7f2a9b3605"
# Endings of model names that tell the upstream how to behave.
BEHAVIOURS = [
    "",
    "--chunk-delay-20",
    "--cut-4",
    "--delay-1000",
    "--error-4",
    "--hang",
    "--plain",
    "--split-3",
    "--status-400",
    "--status-401",
    "--status-429--retry-after-7",
    "--status-503",
]


def configuration(url):
    def models(upstream, name):
        return [{"name": name + ending, "upstream": upstream + ending} for ending in BEHAVIOURS]

    # OpenAI's own models take no parameters that it doesn't know.
    other = {"name": "other", "upstream": "qwen-max"}
    return {
        "version": 1,
        "channels": [
            {"name": "o", "provider": "openai", "url": f"{url}/v1", "credential": rig.UPSTREAM_KEY, "models": [*models("gpt-4o-mini", "chat"), other]},
            {"name": "a", "provider": "anthropic", "url": url, "credential": rig.UPSTREAM_KEY, "models": models("claude-sonnet-4-5", "claude")},
            {
                "name": "nobody",
                "provider": "openai",
                "url": f"http://127.0.0.1:{rig.free_port()}/v1",
                "credential": "x",
                "models": ["unreachable"],
            },
        ],
        "routing": {"retries": 0, "allowed_fails": 1000000},
        "keys": [
            {"id": "k", "credential": KEY},
            {"id": "capped", "credential": CAPPED, "limits": {"requests": {"day": 2}}},
        ],
    }


@pytest.fixture(scope="session")
def upstream_process():
    it = rig.Upstream()
    yield it
    it.stop()


@pytest.fixture
def upstream(upstream_process):
    upstream_process.reset()
    return upstream_process


@pytest.fixture
def gateway(upstream):
    with Gateway(configuration(upstream.url)) as it:
        yield it


@pytest.fixture
def ask():
    """The fields of a question."""
    return {"messages": [{"role": "user", "content": "How deep is the canal?"}], "max_tokens": 50, "key": KEY}
