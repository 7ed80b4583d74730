"""Requests made from the OpenAPI document, by everybody who may ask: whether the gateway keeps to what it says.

No answer is a defect (5xx), none has a status, a type or a shape that the document doesn't name, what the document forbids is
refused, what was removed is gone, and nobody who isn't known is answered. Requests are made from a seed, follow each other by the
document's links, and end with the time: SLUICEGATE_API_SECONDS for each role, SLUICEGATE_API_SEED for another history, or several
with commas between them.
"""

import os
import pathlib
import subprocess
import sys
import tomllib

import pytest
import world
from world import rig

# With eleven who ask, all of it takes less than three minutes.
SECONDS = int(os.environ.get("SLUICEGATE_API_SECONDS", "10"))
SEEDS = os.environ.get("SLUICEGATE_API_SEED", "20261129").split(",")
SETTINGS = pathlib.Path(__file__).with_name("schemathesis.toml")


@pytest.fixture(params=world.ROLES)
def role(request):
    return request.param


@pytest.fixture(params=SEEDS)
def seed(request):
    return request.param


@pytest.fixture
def gateway(tmp_path):
    with rig.gateway(world.write(tmp_path), tmp_path, world.environment()) as it:
        world.furnish(it)
        yield it
        # It must still be well, and have kept what it wrote down.
        assert it.call("GET", "/health/readiness").status == 200
        check = it.call("GET", "/api/v1/audit/verify", key=rig.MASTER_KEY).json()
        assert check["sound"], check


def test_the_gateway_keeps_to_its_document(gateway, role, seed, tmp_path):
    sent = [f"--header={name}: {value}" for name, value in world.headers(gateway, role).items()]
    command = [
        pathlib.Path(sys.executable).with_name("schemathesis"),
        "--config-file",
        SETTINGS,
        "run",
        gateway.url + "/api/v1/openapi.json",
        *sent,
        "--seed",
        seed,
        "--max-time",
        str(SECONDS),
        "--no-color",
    ]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS * 4 + 120)
    assert run.returncode == 0, f"as {role}, seed {seed}:\n{run.stdout[-20000:]}\n{run.stderr[-2000:]}"


def test_the_settings_name_operations_that_are_there(gateway):
    document = gateway.call("GET", "/api/v1/openapi.json").json()
    known = {operation["operationId"] for path in document["paths"].values() for operation in path.values()}
    settings = tomllib.loads(SETTINGS.read_text())
    named = {name for entry in settings["operations"] for name in entry["include-operation-id"]}
    assert named and named <= known, named - known
