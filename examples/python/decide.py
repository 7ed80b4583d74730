"""Asks Sluicegate where a call may go, sends it with an HTTP client of its own, and reports how that went.

pip install sluicegate, then: python examples/python/decide.py
"""

import http.server
import json
import threading
import time
import urllib.error
import urllib.request
from typing import Any

import sluicegate

KEY = "sk-service-8c1d4e7f2a9b3605"


def send(tried: dict[str, Any]) -> dict[str, Any]:
    """Sends what was decided; the outcome, as `report` takes it."""
    request = urllib.request.Request(tried["url"], data=tried["body"].encode(), headers=dict(tried["headers"]))
    try:
        with urllib.request.urlopen(request, timeout=tried["timeouts"]["total_ms"] / 1000) as answer:
            return {"status": answer.status, "body": answer.read()}
    except urllib.error.HTTPError as error:
        return {"status": error.code, "body": error.read()}
    except urllib.error.URLError:
        return {"outcome": "unreachable"}


def call(gateway: sluicegate.Gateway, body: dict[str, Any]) -> bytes:
    """One call, with every retry and fallback that the gateway decides on."""
    outcome: dict[str, Any] = {}
    answer = gateway.decide(body, key=KEY)
    while True:
        step = answer["step"]
        if "try" in step:
            print("trying", step["try"]["channel"])
            outcome = send(step["try"])
            answer = gateway.report(answer["call"], **outcome)
        elif "wait" in step:
            time.sleep(max(0, step["wait"]["until_ms"] / 1000 - time.time()))
            answer = gateway.next_step(answer["call"])
        else:
            sluicegate.raise_for_failure(answer)
            answered: bytes = outcome["body"]
            return answered


class Provider(http.server.BaseHTTPRequestHandler):
    """Stands in for a provider."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        message = {"role": "assistant", "content": "It measures water into channels."}
        answer = {
            "object": "chat.completion",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 12, "completion_tokens": 8, "total_tokens": 20},
        }
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, format: str, *args: Any) -> None:
        pass


def main() -> None:
    provider = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    channel = {"provider": "openai", "credential": "sk-provider", "models": ["gpt-4o-mini"]}
    config = {
        "version": 1,
        "channels": [
            {"id": "in-house", "name": "in-house", "url": "http://127.0.0.1:9/v1", "priority": 2} | channel,
            {"id": "overseas", "name": "overseas", "url": f"http://127.0.0.1:{provider.server_port}/v1", "priority": 1} | channel,
        ],
        "keys": [{"id": "service", "credential": KEY, "limits": {"total_tokens": {"day": 200}}}],
    }
    with sluicegate.Gateway(config) as gateway:
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "What does it do?"}], "max_tokens": 50}
        answer = call(gateway, body)
        print(json.loads(answer)["choices"][0]["message"]["content"])
        for limit in gateway.remaining(KEY):
            print(f"{limit['settled']} of {limit['max']} {limit['metric']} used in the {limit['window']}")
        try:
            call(gateway, body | {"max_tokens": 500})
        except sluicegate.InsufficientQuotaError as refused:
            print("refused:", refused)


if __name__ == "__main__":
    main()
