"""A gateway with two organizations, and somebody of each role who can't be removed: a file declares them."""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "sdk"))

import rig  # noqa: E402

ROLES = ["super_admin", "organization_admin", "group_admin", "user", "auditor"]


def credential(role):
    return f"sk-{role.replace('_', '-')}-3f9c0b7e5d2a48816c4e9a07"


def variable(role):
    return f"KEY_{role.upper()}"


def environment():
    return {variable(role): credential(role) for role in ROLES} | {"SLUICEGATE_MASTER_KEY": rig.MASTER_KEY}


def configuration():
    """What it runs on. Nothing leaves the machine: the one channel is the built-in mock."""
    users = [{"id": f"the-{role}", "organization": "acme", "role": role} for role in ROLES]
    members = [{"user": "the-group_admin", "role": "group_admin"}, {"user": "the-user"}]
    return {
        "version": 1,
        "channels": [{"name": "mock", "provider": "mock", "models": ["mock"]}],
        "organizations": [{"id": "acme"}, {"id": "umbra"}],
        "groups": [
            {"id": "research", "organization": "acme", "members": members},
            {"id": "elsewhere", "organization": "umbra"},
        ],
        "users": users,
        "keys": [
            {"id": f"key-{role}", "credential": "${" + variable(role) + "}", "organization": "acme", "user": f"the-{role}"}
            for role in ROLES
        ],
    }


def furnish(gateway):
    """What those can see and change who may."""

    def make(path, body):
        answer = gateway.call("POST", f"/api/v1/{path}", body, rig.MASTER_KEY)
        assert answer.status == 201, (path, answer.text)
        return answer.json()

    for organization in ["acme", "umbra"]:
        make("groups", {"id": f"{organization}-lab", "organization": organization})
        make("users", {"id": f"{organization}-someone", "organization": organization, "groups": [f"{organization}-lab"]})
        make("keys", {"alias": f"{organization}-key", "group": f"{organization}-lab", "user": f"{organization}-someone"})
    make("keys", {"alias": "mine", "user": "the-user", "group": "research"})
    declared = {"id": "second", "name": "second", "provider": "mock", "models": ["second"]}
    make("channels", {"declared": declared})
    script = {"text": "fn route(call) { }"}
    assert gateway.call("PUT", "/api/v1/policies/first", script, rig.MASTER_KEY).status in (200, 201)
    chat = {"model": "mock", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
    for role in ROLES:
        answer = gateway.call("POST", "/v1/chat/completions", chat, credential(role))
        assert answer.status == 200, answer.text


def write(folder):
    config = pathlib.Path(folder) / "config.yaml"
    config.write_text(json.dumps(configuration(), indent=1))
    return config
