#!/usr/bin/env python3
"""The gateway beside nginx, on this machine, in the same run. See README.md."""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
TICKS = os.sysconf("SC_CLK_TCK")
MASTER = "sk-rig-0123456789abcdef0123456789abcdef0123456789"
CHAT = "/v1/chat/completions"
OPEN = urllib.request.build_opener(urllib.request.ProxyHandler({}))

NGINX = """
daemon off;
pid {run}/nginx.pid;
error_log {run}/nginx.log warn;
worker_processes 1;
events {{ worker_connections 2048; }}
http {{
  access_log off;
  client_body_temp_path {run}/body; proxy_temp_path {run}/proxy; fastcgi_temp_path {run}/fastcgi;
  uwsgi_temp_path {run}/uwsgi; scgi_temp_path {run}/scgi;
  tcp_nodelay on;
  keepalive_timeout 600s; keepalive_requests 100000000;
  client_max_body_size 32m; client_body_buffer_size 64k;
  upstream rig {{ server 127.0.0.1:{upstream}; keepalive 128; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    location / {{
      proxy_pass http://rig;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Authorization "Bearer sk-upstream";
      proxy_buffering off;
    }}
  }}
}}
"""

# Plain words, so that a call is about 1 KB, as a first question with a system text is.
SYSTEM = (
    "You answer for the help desk of a company. Use plain words and short steps. Say when you are not sure. "
    "Warn before a step that can lose data and wait for a yes. Answer in the language of the question. "
)
QUESTION = (
    "Since this morning neither of my two monitors shows a picture; the dock has a blue light. I pulled its power for a "
    "minute, tried another port and restarted twice. Each monitor works on its own at the HDMI port of the laptop. What "
    "are the three likeliest things to try before I open a ticket? I have twenty minutes until a meeting, so be brief. "
)


def body(model, stream=False):
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]
    return {"model": model, "messages": messages, "temperature": 0.2, "max_tokens": 256} | ({"stream": True} if stream else {})


BODIES = {
    "chat": body("rig"),
    "burst": body("rig", True),
    "paced": body("rig--delay-60--chunks-20--pause-5", True),
}
BODIES["chat"]["messages"][1]["content"] += "Thank you. " * 31


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def call(url, data=None, key=None, timeout=30):
    request = urllib.request.Request(url, data=None if data is None else json.dumps(data).encode())
    request.add_header("content-type", "application/json")
    if key:
        request.add_header("authorization", f"Bearer {key}")
    try:
        with OPEN.open(request, timeout=timeout) as got:
            return got.status, got.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


class Process:
    """A child on one core, and what it uses."""

    def __init__(self, name, command, core, run, env=None):
        self.name, self.log = name, run / f"{name}.out"
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(
                ["taskset", "-c", str(core), *map(str, command)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, start_new_session=True,
            )

    def tree(self):
        children = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                with contextlib.suppress(OSError), open(f"/proc/{entry}/stat") as stat:
                    parent = int(stat.read().rsplit(")", 1)[1].split()[1])
                    children.setdefault(parent, []).append(int(entry))
        found, todo = [], [self.child.pid]
        while todo:
            found.append(todo.pop())
            todo += children.get(found[-1], [])
        return found

    def cpu(self):
        """CPU-seconds so far, of the whole tree."""
        total = 0
        for pid in self.tree():
            with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
                total += int(fields[11]) + int(fields[12])
        return total / TICKS

    def rss(self):
        """Resident MiB of the whole tree."""
        total = 0
        for pid in self.tree():
            with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup") as rollup:
                total += next(int(line.split()[1]) for line in rollup if line.startswith("Rss:"))
        return total / 1024

    def pin(self, core):
        for pid in self.tree():
            subprocess.run(["taskset", "-a", "-p", "-c", str(core), str(pid)], capture_output=True, check=False)

    def stop(self):
        if self.child.poll() is None:
            os.killpg(self.child.pid, signal.SIGTERM)
            try:
                self.child.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(self.child.pid, signal.SIGKILL)
                self.child.wait()


def wait(process, url, check=lambda status: status == 200, limit=30):
    """Seconds until the URL answers."""
    started = time.monotonic()
    while True:
        with contextlib.suppress(OSError):
            if check(call(url, timeout=2)[0]):
                return time.monotonic() - started
        if process.child.poll() is not None or time.monotonic() - started > limit:
            sys.exit(f"{process.name} does not answer at {url}; it says:\n{process.log.read_text()[-3000:]}")
        time.sleep(0.002)


class Rig:
    def __init__(self, options, run):
        self.options, self.run = options, run
        for name, content in BODIES.items():
            (run / f"{name}.json").write_text(json.dumps(content))
        self.upstream_port = free_port()
        self.upstream = Process("upstream", [options.bin_dir / "rig-upstream", f"127.0.0.1:{self.upstream_port}"], 1, run)
        time.sleep(0.3)
        port = free_port()
        (run / "nginx.conf").write_text(NGINX.format(run=run, port=port, upstream=self.upstream_port))
        self.nginx = Process("nginx", ["nginx", "-c", run / "nginx.conf", "-e", run / "nginx.log"], 0, run)
        self.urls = {"direct": f"http://127.0.0.1:{self.upstream_port}", "nginx": f"http://127.0.0.1:{port}"}
        self.keys = {"direct": None, "nginx": None}
        wait(self.nginx, self.urls["nginx"] + "/v1/models")
        self.gateway = self.start_gateway()
        wait(self.gateway, self.urls["gateway"] + "/health/readiness")
        self.governed_key()

    def start_gateway(self):
        port = free_port()
        self.urls["gateway"] = f"http://127.0.0.1:{port}"
        config = self.run / "gateway.yaml"
        base = f"http://127.0.0.1:{self.upstream_port}/v1"
        models = [
            {"model_name": m["model"], "litellm_params": {
                "model": "openai/" + m["model"], "api_base": base, "api_key": "sk-upstream",
                "input_cost_per_token": 0.000001, "output_cost_per_token": 0.000002}}
            for m in (BODIES["chat"], BODIES["paced"])
        ]
        config.write_text(json.dumps({"model_list": models, "general_settings": {"master_key": MASTER}}))
        command = [self.options.bin_dir / "sluicegate", "serve", "--config", config, "--host", "127.0.0.1", "--port", port]
        env = {"PATH": os.environ["PATH"], "HOME": str(self.run)}
        return Process("gateway", [*command, "--data", self.run / "data"], 0, self.run, env)

    def governed_key(self):
        """A key whose own scope, user and group each have three limits that never bite."""
        limits = {"rpm_limit": 1_000_000_000, "tpm_limit": 1_000_000_000_000, "max_budget": 1_000_000}
        status, text = call(self.urls["gateway"] + "/team/new", {"team_alias": "rig"} | limits, MASTER)
        if status != 200:
            sys.exit(f"/team/new: {status} {text}")
        team = json.loads(text)["team_id"]
        fields = {"team_id": team, "key_alias": "rig"} | limits
        status, text = call(self.urls["gateway"] + "/key/generate", fields, MASTER)
        if status != 200:
            sys.exit(f"/key/generate: {status} {text}")
        self.keys["gateway"] = json.loads(text)["key"]

    def process(self, name):
        return {"direct": self.upstream, "nginx": self.nginx, "gateway": self.gateway}[name]

    def headers(self, name):
        return {"authorization": f"Bearer {self.keys[name]}"} if self.keys[name] else {}

    def measured(self, name, load):
        """Runs a load; adds the CPU that the target used."""
        process = self.process(name)
        before = process.cpu()
        result = load(self.urls[name] + CHAT, self.headers(name))
        # What is written behind the calls is part of what they cost.
        time.sleep(0.5)
        result["cpu"] = process.cpu() - before
        if result["bad"] > 0:
            print(f"  ! {name}: {result['bad']} bad answers: {result.get('complaint')}")
        return result

    def wrk(self, connections, seconds):
        def load(url, headers):
            lines = "\n".join(f"{n}: {v}" for n, v in headers.items())
            env = os.environ | {"RIG_BODY": str(self.run / "chat.json"), "RIG_HEADERS": lines}
            command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", HERE / "post.lua", url]
            out = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
            line = next((l for l in out.stdout.splitlines() if l.startswith("{")), None)
            if line is None:
                sys.exit(f"wrk said: {out.stdout}{out.stderr}")
            return json.loads(line)

        return load

    def load(self, what, core=1, **options):
        def load(url, headers):
            command = ["taskset", "-c", str(core), self.options.bin_dir / "rig-load", url, self.run / f"{what}.json"]
            for name, value in options.items():
                command += [f"-{name}", str(value)]
            for name, value in headers.items():
                command += ["-H", f"{name}: {value}"]
            out = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
            if out.returncode:
                sys.exit(f"rig-load said: {out.stdout}{out.stderr}")
            return json.loads(out.stdout)

        return load


def per_1000(result):
    return 1000 * result["cpu"] / max(1, result["ok"])


def middle(values):
    return statistics.median(values)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin-dir", type=pathlib.Path, default=HERE.parents[1] / "target/release")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved runs; medians count (default: 5)")
    parser.add_argument("--seconds", type=float, default=4, help="of each run under load (default: 4)")
    parser.add_argument("--calls", type=int, default=100_000, help="for memory and stalls (default: 100000)")
    parser.add_argument("--out", type=pathlib.Path, help="writes the figures as JSON")
    parser.add_argument("--keep", action="store_true", help="keeps the working folder")
    options = parser.parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("the rig needs two cores: one for the gateway, one for the load")
    run = pathlib.Path(tempfile.mkdtemp(prefix="sluicegate-rig-"))
    run.chmod(0o755)
    rig = None
    try:
        rig = Rig(options, run)
        figures = measure(rig, options)
    finally:
        for process in [rig.gateway, rig.nginx, rig.upstream] if rig else []:
            process.stop()
        if options.keep:
            print(f"kept {run}")
        else:
            shutil.rmtree(run, ignore_errors=True)
    show(figures)
    if options.out:
        options.out.write_text(json.dumps(figures, indent=1) + "\n")


def measure(rig, options):
    time.sleep(1)
    figures = {"rss_idle": rig.gateway.rss(), "nginx_rss": rig.nginx.rss()}
    figures["binary"] = (options.bin_dir / "sluicegate").stat().st_size / 1e6
    runs = {}

    def record(kind, name, load):
        runs.setdefault((kind, name), []).append(rig.measured(name, load))

    # A warm-up that nobody measures.
    for name in ("nginx", "gateway"):
        rig.measured(name, rig.wrk(64, 2))
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", flush=True)
        for name in ("nginx", "gateway"):
            for connections in (64, 8):
                record(f"wrk{connections}", name, rig.wrk(connections, int(options.seconds)))
            record("burst", name, rig.load("burst", c=8, s=options.seconds))
            record("paced", name, rig.load("paced", c=16, s=options.seconds))
        # One connection: all on one core, so that no wake-up across cores is in the figures.
        for process in (rig.upstream, rig.nginx, rig.gateway):
            process.pin(0)
        for name in ("direct", "nginx", "gateway"):
            record("one", name, rig.load("chat", core=0, c=1, s=options.seconds))
        rig.upstream.pin(1)
    for (kind, name), results in runs.items():
        figures[f"{kind}_{name}"] = {
            "cpu_per_1000": middle(per_1000(r) for r in results),
            "rps": middle(r["rps"] for r in results),
            "p50": middle(r["p50"] for r in results),
            "p99": middle(r["p99"] for r in results),
            "bad": sum(r["bad"] for r in results),
            "unended": sum(r.get("unended", 0) for r in results),
            "spread": [min(per_1000(r) for r in results), max(per_1000(r) for r in results)],
        }
    print(f"{options.calls} calls", flush=True)
    many = rig.measured("gateway", rig.load("chat", c=8, n=options.calls))
    figures["many"] = {"calls": many["ok"], "bad": many["bad"], "slow": many["slow"], "max": many["max"]}
    time.sleep(1)
    figures["rss_after"] = rig.gateway.rss()
    rig.gateway.stop()
    rig.gateway = rig.start_gateway()
    figures["second_start_ms"] = 1000 * wait(rig.gateway, rig.urls["gateway"] + "/health/readiness")
    return figures


def show(figures):
    """The figures beside what they should be."""

    def row(what, value, unit, goal):
        verdict = "" if goal is None else f"  (at most {goal:g})" + ("" if value <= goal else "  MISSED")
        digits = 4 if unit.startswith("CPU") else 2
        print(f"{what:<46}{value:>10.{digits}f} {unit}{verdict}")

    print()
    for kind, label, goal in [("wrk64", "64 connections", 2.5), ("wrk8", "8 connections", 2.5), ("burst", "burst streams", 6), ("paced", "paced streams", 2)]:
        nginx, gateway = figures[f"{kind}_nginx"], figures[f"{kind}_gateway"]
        row(f"{label}: nginx", nginx["cpu_per_1000"], "CPU-s per 1,000", None)
        row(f"{label}: gateway", gateway["cpu_per_1000"], "CPU-s per 1,000", None)
        row(f"{label}: gateway / nginx", gateway["cpu_per_1000"] / nginx["cpu_per_1000"], "x", goal)
        if gateway["bad"] or gateway["unended"]:
            print(f"  ! {gateway['bad']} bad answers, {gateway['unended']} streams without an end")
    direct, nginx, gateway = (figures[f"one_{name}"] for name in ("direct", "nginx", "gateway"))
    row("one connection: nginx adds, p50", nginx["p50"] - direct["p50"], "us", None)
    row("one connection: gateway adds, p50", gateway["p50"] - direct["p50"], "us", 90)
    row("one connection: nginx, p99", nginx["p99"], "us", None)
    row("one connection: gateway, p99", gateway["p99"], "us", nginx["p99"] + 400)
    row(f"of {figures['many']['calls']} calls, 35 to 50 ms", figures["many"]["slow"], "calls", 0)
    row("memory, idle", figures["rss_idle"], "MiB", 30)
    row("memory, after the calls", figures["rss_after"], "MiB", 80)
    row("second start", figures["second_start_ms"], "ms", 100)
    row("binary", figures["binary"], "MB", 40)


if __name__ == "__main__":
    main()
