"""Every client × every upstream's format × every case of tests/data/sdk/matrix.yaml; docs/clients.md is made from it.

`SLUICEGATE_UPDATE_DOCS=1` (or `cargo xtask clients`) writes the page anew; without it a page that doesn't match fails.
"""

import json
import os
import re
import subprocess

import client_runs
import pytest
import recorder
import rig
import yaml

TABLE = yaml.safe_load((rig.ROOT / "tests/data/sdk/matrix.yaml").read_text())
UPSTREAMS, CASES, CLIENTS = TABLE["upstreams"], TABLE["cases"], TABLE["clients"]
PAGE = rig.ROOT / "docs" / "clients.md"
NODE = rig.ROOT / "tests" / "sdk" / "node"
CELLS = [(client, upstream, case) for client in CLIENTS for upstream in UPSTREAMS for case in CASES]


def configuration(url, openai="gpt-4o-mini"):
    channels = []
    for name, up in UPSTREAMS.items():
        of = openai if up["provider"] == "openai" else up["model"]
        address = url + up["path"]
        models = [
            {"name": name + ending, "upstream": of + ending, "price": {"input": 1, "output": 2}} for ending in ["", "--status-429"]
        ]
        channel = {"name": name, "provider": up["provider"], "credential": "${FAKE_KEY}", "models": models}
        channels.append(channel | {"endpoints": [{"format": up["format"], "url": address}]})
    return {"version": 1, "server": {"master_key": "${MASTER}"}, "routing": {"retries": 0, "allowed_fails": 1000000, "cooldown": "0s"}, "channels": channels}


def job(client, upstream, case, base):
    model = upstream + ("--status-429" if case == "error" else "")
    return {"client": client, "upstream": upstream, "case": case, "model": model, "base": f"{base}/{client}/{upstream}/{case}"}


def run_node(program, jobs, key):
    done = subprocess.run(
        ["node", program + ".mjs"], cwd=NODE, input=json.dumps({"key": key, "jobs": jobs}), capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(jobs), done.stdout
    return [line["answer"] for line in lines]


@pytest.fixture(scope="module")
def runs(upstream_process, tmp_path_factory):
    """What was answered in every cell: to the client, on the wire, and what the upstream was sent."""
    folder = tmp_path_factory.mktemp("matrix")
    config = folder / "config.yaml"
    config.write_text(json.dumps(configuration(upstream_process.url)))
    with rig.gateway(config, folder, {"FAKE_KEY": rig.UPSTREAM_KEY, "MASTER": rig.MASTER_KEY}) as gateway:
        between = recorder.Recorder(gateway.url)
        key = gateway.new_key(key_alias="sdk-matrix")
        answers = {}
        for client, about in CLIENTS.items():
            jobs = [job(client, upstream, case, between.url) for upstream in UPSTREAMS for case in CASES]
            upstream_process.reset()
            if "node" in about:
                got = run_node(about["node"], jobs, key)
            else:
                got = [client_runs.run(client, j["case"], j["model"], j["base"], key) for j in jobs]
            sent = upstream_process.requests()
            for j, answer in zip(jobs, got):
                cell = (client, j["upstream"], j["case"])
                calls = between.seen.get(cell, [])
                answers[cell] = {"answer": answer, "calls": calls, "image": images(sent).get(j["upstream"])}
        between.stop()
    return answers


def images(sent):
    """The part with the picture in the request to each upstream, in the upstream's own shape."""
    found = {}
    for request in sent:
        if client_runs.LOOK not in request["body"]:
            continue
        body, path = json.loads(request["body"]), request["path"]
        if path.endswith("/chat/completions"):
            parts = [part["image_url"]["url"] for part in body["messages"][-1]["content"] if part["type"] == "image_url"]
            found["chat"] = parts == ["data:image/png;base64," + client_runs.PNG]
        elif path.endswith("/v2/chat"):
            parts = [part["image_url"]["url"] for part in body["messages"][-1]["content"] if part["type"] == "image_url"]
            found["cohere"] = parts == ["data:image/png;base64," + client_runs.PNG]
        elif path.endswith("/api/chat"):
            found["ollama"] = body["messages"][-1].get("images") == [client_runs.PNG]
        elif path.endswith("/responses"):
            parts = [part["image_url"] for part in body["input"][-1]["content"] if part["type"] == "input_image"]
            found["responses"] = parts == ["data:image/png;base64," + client_runs.PNG]
        elif path.endswith("/messages"):
            sources = [part["source"] for part in body["messages"][-1]["content"] if part["type"] == "image"]
            found["anthropic"] = sources == [{"type": "base64", "media_type": "image/png", "data": client_runs.PNG}]
        else:
            inline = [part.get("inlineData") or part.get("inline_data") for part in body["contents"][-1]["parts"]]
            # Google takes both spellings of names and both alphabets of base64, and its own SDK uses the less usual ones.
            alphabet = str.maketrans("-_", "+/")
            plain = [
                {"mimeType": part.get("mimeType") or part.get("mime_type"), "data": part["data"].translate(alphabet)} for part in inline if part
            ]
            found["gemini"] = plain == [{"mimeType": "image/png", "data": client_runs.PNG}]
    return found


def refusal(seen):
    """What the gateway itself said no to, by the field's name."""
    for call in seen["calls"]:
        if call["status"] in (400, 501):
            message = re.search(r'"message":\s*"((?:[^"\\]|\\.)*)"', call["refusal"])
            return message[1] if message else call["refusal"]
    return None


@pytest.mark.parametrize("cell", CELLS, ids="-".join)
def test_a_cell(runs, cell):
    client, upstream, case = cell
    seen, about = runs[cell], CLIENTS[client]
    want = CASES[case] | about.get("want", {}).get(case, {})
    answer = seen["answer"]
    assert len(seen["calls"]) == (2 if case == "tools" else 1), seen
    if case == "error":
        error = answer["error"]
        assert CLIENTS[client]["error"] in error["names"], error
        assert error["status"] == want["status"] == seen["calls"][0]["status"]
        return
    if refused := about.get("refused", {}).get(upstream, {}).get(case):
        status, field = refused
        assert answer["error"]["status"] == seen["calls"][-1]["status"] == status
        assert field in refusal(seen)
        return
    assert "error" not in answer, (answer, seen["calls"])
    for name in ["text", "parsed", "calls"]:
        if name in want:
            assert answer[name] == want[name]
    if want.get("usage"):
        assert answer["usage"] == want["usage"]
    if "pieces" in want:
        assert answer["pieces"] >= want["pieces"]
    if case == "image":
        assert seen["image"] is True, "the picture did not reach the upstream as it was"


def mark(seen):
    if refused := refusal(seen):
        return "refused: " + refused
    losses = sorted({loss for call in seen["calls"] for loss in call["losses"]})
    return "✓ " + "; ".join(losses) if losses else "✓"


def page(runs):
    lines = [
        "# Clients",
        "",
        "Made by `cargo xtask clients` from a run of real clients, through the gateway, against upstreams as strict as the real ones; `cargo xtask test sdk`",
        "fails when it isn't what was run. ✓: the client got all that it asked for. What stands behind it had no place at the upstream, and was named in",
        "`x-sluicegate-loss`; [formats](formats.md) has the rules.",
        "",
        "Cases: an answer, a stream, two parallel calls of a tool with their results, an output that keeps to a schema, a picture, and a rate limit that must",
        "arrive as the client's own exception. The older `client.completions.create` of openai (Python), plain and streamed, is run against each of these upstreams, too.",
        "",
        "In a browser, a page of another origin calls with a key as it does at the provider (`dangerouslyAllowBrowser` in OpenAI's and Anthropic's SDKs): any origin may, unless",
        "[`server.cors.origins`](configuration.md#cors) says otherwise, and it can read every header of an answer. Whoever has the page has the key: give it one with a budget.",
        "",
        "Versions: " + versions() + ".",
    ]
    for client, about in CLIENTS.items():
        lines += ["", f"## {about['title']}", "", *([about["note"], ""] if "note" in about else [])]
        lines += ["| upstream | " + " | ".join(CASES) + " |", "|---" * (len(CASES) + 1) + "|"]
        for upstream, up in UPSTREAMS.items():
            marks = [mark(runs[client, upstream, case]) for case in CASES]
            lines.append(f"| {up['title']} | " + " | ".join(marks) + " |")
    return "\n".join(lines) + "\n"


def versions():
    pins = (rig.ROOT / "tests/sdk/requirements.txt").read_text()
    python = re.findall(r"^(openai|anthropic|google-genai|langchain-\w+)==(\S+)$", pins, re.M)
    node = json.loads((NODE / "package.json").read_text())["dependencies"]
    by = {"Python": python, "Node": [(name, version) for name, version in node.items() if name != "zod"]}
    return "; ".join(f"{name}: " + ", ".join(f"`{p}` {v}" for p, v in pins) for name, pins in by.items())


def test_the_page(runs):
    made = page(runs)
    if os.environ.get("SLUICEGATE_UPDATE_DOCS"):
        PAGE.write_text(made)
    assert PAGE.exists() and PAGE.read_text() == made, "docs/clients.md isn't what was run: `cargo xtask clients` writes it anew"
