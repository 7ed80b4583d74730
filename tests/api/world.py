"""A gateway with two organizations, and somebody of each role who can't be removed: a file declares them."""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "sdk"))

import rig  # noqa: E402

# Who has a key: whose organization, which role, in which group as what.
USERS = {
    "super_admin": ("acme", "super_admin", None),
    "organization_admin": ("acme", "organization_admin", None),
    "foreign_admin": ("umbra", "organization_admin", None),
    "group_admin": ("acme", "group_admin", ("research", "group_admin")),
    "user": ("acme", "user", ("research", "user")),
    "foreign_user": ("acme", "user", ("workshop", "user")),
    "auditor": ("acme", "auditor", None),
}
# Who asks by an access token: whose it is, and for what.
TOKENS = {
    "super_admin_token": ("super_admin", ["write"]),
    "group_admin_token": ("group_admin", ["write"]),
    "narrow_token": ("super_admin", ["usage:read"]),
}
NOBODY = "nobody"
# Everybody who asks.
ROLES = [*USERS, *TOKENS, NOBODY]
FIRST, PASSWORD = "ferry lantern oxide 41", "walrus teapot octave 93"


def key(role):
    return f"sk-{role.replace('_', '-')}-3f9c0b7e5d2a48816c4e9a07"


def variable(role):
    return f"KEY_{role.upper()}"


def environment():
    return {variable(role): key(role) for role in USERS} | {"SLUICEGATE_MASTER_KEY": rig.MASTER_KEY}


def headers(gateway, role):
    """What somebody sends with each request."""
    if role == NOBODY:
        return {}
    credential = token(gateway, *TOKENS[role]) if role in TOKENS else key(role)
    return {"Authorization": f"Bearer {credential}"}


def token(gateway, role, scopes):
    """An access token, as people make them: signed in."""
    user, mark = f"the-{role}", {"x-sluicegate-csrf": "1"}

    def ask(method, path, body, status, **rest):
        answer = gateway.call(method, f"/api/v1/{path}", body, **rest)
        assert answer.status == status, (path, answer.text)
        return answer

    def cookie(answer):
        return {**mark, "cookie": answer.headers["set-cookie"].split(";")[0]}

    ask("POST", f"users/{user}/password", {"password": FIRST}, 200, key=rig.MASTER_KEY)
    first = ask("POST", "session", {"login": user, "password": FIRST}, 200, headers=mark)
    signed = ask("PUT", "session/password", {"current": FIRST, "new": PASSWORD}, 200, headers=cookie(first))
    made = ask("POST", "account/tokens", {"name": role, "scopes": scopes}, 201, headers=cookie(signed))
    return made.json()["secret"]


def configuration():
    """What it runs on. Nothing leaves the machine: the one channel is the built-in mock."""
    users = [{"id": f"the-{name}", "organization": of, "role": role} for name, (of, role, _) in USERS.items()]

    def members(group):
        within = {name: place for name, (*_, place) in USERS.items() if place and place[0] == group}
        return [{"user": f"the-{name}", "role": role} for name, (_, role) in within.items()]

    return {
        "version": 1,
        "channels": [{"name": "mock", "provider": "mock", "models": ["mock"]}],
        "organizations": [{"id": "acme"}, {"id": "umbra"}],
        "groups": [
            {"id": "research", "organization": "acme", "members": members("research")},
            {"id": "workshop", "organization": "acme", "members": members("workshop")},
            {"id": "elsewhere", "organization": "umbra"},
        ],
        "users": users,
        "keys": [
            {"id": f"key-{name}", "credential": "${" + variable(name) + "}", "organization": of, "user": f"the-{name}"}
            for name, (of, *_) in USERS.items()
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
    for role in USERS:
        answer = gateway.call("POST", "/v1/chat/completions", chat, key(role))
        assert answer.status == 200, answer.text


def write(folder):
    config = pathlib.Path(folder) / "config.yaml"
    config.write_text(json.dumps(configuration(), indent=1))
    return config
