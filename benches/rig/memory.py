#!/usr/bin/env python3
"""What the gateway's memory does under a long stream and under many at once. See README.md."""

import argparse
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

import rig

MIB = 1024 * 1024


class World:
    def __init__(self, options, run):
        self.options, self.run = options, run
        upstream = rig.free_port()
        self.upstream = rig.Process("upstream", [options.bin_dir / "rig-upstream", f"127.0.0.1:{upstream}"], 1, run)
        self.port = rig.free_port()
        # A frame of the upstream's is some 260 bytes.
        self.models = {
            "warm": "rig--chunks-20",
            "long": f"rig--chunks-{options.mib * MIB // 260}",
            "paced": f"rig--delay-200--chunks-{options.seconds * 20}--pause-50",
        }
        models = [
            {"model_name": name, "litellm_params": {
                "model": f"openai/{model}", "api_base": f"http://127.0.0.1:{upstream}/v1", "api_key": "sk-upstream",
                "input_cost_per_token": 0.000001, "output_cost_per_token": 0.000002}}
            for name, model in self.models.items()
        ]
        config = run / "gateway.yaml"
        config.write_text(json.dumps({"model_list": models, "general_settings": {"master_key": rig.MASTER}}))
        command = [options.bin_dir / "sluicegate", "serve", "--config", config, "--host", "127.0.0.1", "--port", self.port]
        env = {"PATH": os.environ["PATH"], "HOME": str(run)}
        self.gateway = rig.Process("gateway", [*command, "--data", run / "data"], 0, run, env)
        self.url = f"http://127.0.0.1:{self.port}"
        rig.wait(self.gateway, self.url + "/health/readiness")

    def stop(self):
        self.gateway.stop()
        self.upstream.stop()

    def stream(self, model):
        """Reads a stream and forgets it; how many bytes it had, and whether it came to its end."""
        body = json.dumps(rig.body(model, True)).encode()
        head = (
            f"POST {rig.CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {rig.MASTER}\r\nconnection: close\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        total, tail = 0, b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=120) as connection:
            connection.sendall(head.encode() + body)
            while piece := connection.recv(256 * 1024):
                total += len(piece)
                tail = (tail + piece)[-64:]
        return total, b"[DONE]" in tail


class Peak:
    """The most memory that a process has while something goes on, in MiB."""

    def __init__(self, process):
        self.process, self.most, self.done = process, process.rss(), threading.Event()
        self.watcher = threading.Thread(target=self.watch)

    def watch(self):
        while not self.done.wait(0.05):
            self.most = max(self.most, self.process.rss())

    def __enter__(self):
        self.watcher.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.watcher.join()


def back(world, goal):
    """Seconds until the memory is at most `goal` MiB, or more than a minute."""
    started = time.monotonic()
    while world.gateway.rss() > goal and time.monotonic() - started < 61:
        time.sleep(0.25)
    return time.monotonic() - started


def measure(world, options):
    figures = {}
    for _ in range(20):
        world.stream("warm")
    time.sleep(2)
    figures["idle"] = world.gateway.rss()
    print(f"a stream of {options.mib} MiB", flush=True)
    with Peak(world.gateway) as peak:
        total, ended = world.stream("long")
    figures |= {"long_mib": total / MIB, "long_ended": ended, "long_more": peak.most - figures["idle"]}
    print(f"{options.streams} streams at once, {options.seconds} s long", flush=True)
    (world.run / "paced.json").write_text(json.dumps(rig.body("paced", True)))
    command = ["taskset", "-c", "1", options.bin_dir / "rig-load", world.url + rig.CHAT, world.run / "paced.json"]
    command += ["-c", options.streams, "-n", options.streams, "-H", f"authorization: Bearer {rig.MASTER}"]
    with Peak(world.gateway) as peak:
        out = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
    if out.returncode:
        sys.exit(f"rig-load said: {out.stdout}{out.stderr}")
    load = json.loads(out.stdout)
    figures |= {"many_peak": peak.most, "many_ok": load["ok"], "many_bad": load["bad"] + load.get("unended", 0)}
    figures["back_s"] = back(world, 1.3 * figures["idle"])
    figures["after"] = world.gateway.rss()
    return figures


def show(figures, options):
    """The figures beside what they should be; whether all are."""
    well = True

    def row(what, value, unit, goal=None):
        nonlocal well
        fits = goal is None or value <= goal
        well &= fits
        verdict = "" if goal is None else f"  (at most {goal:g})" + ("" if fits else "  MISSED")
        print(f"{what:<46}{value:>10.1f} {unit}{verdict}")

    print()
    row("memory, idle", figures["idle"], "MiB")
    row(f"more while {figures['long_mib']:.0f} MiB pass in one stream", figures["long_more"], "MiB", 16)
    row(f"most with {options.streams} streams", figures["many_peak"], "MiB", 150)
    row("until it is 1.3 times the idle memory", figures["back_s"], "s", 60)
    row("memory, afterwards", figures["after"], "MiB", 1.3 * figures["idle"])
    row("calls without a proper end", options.streams - figures["many_ok"] + figures["many_bad"], "calls", 0)
    if not figures["long_ended"]:
        print("the long stream had no end  MISSED")
    return well and figures["long_ended"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin-dir", type=pathlib.Path, default=rig.HERE.parents[1] / "target/release")
    parser.add_argument("--mib", type=int, default=100, help="of the long stream (default: 100)")
    parser.add_argument("--streams", type=int, default=512, help="at once (default: 512)")
    parser.add_argument("--seconds", type=int, default=10, help="of each of them (default: 10)")
    parser.add_argument("--out", type=pathlib.Path, help="writes the figures as JSON")
    options = parser.parse_args()
    run = pathlib.Path(tempfile.mkdtemp(prefix="sluicegate-memory-"))
    world = None
    try:
        world = World(options, run)
        figures = measure(world, options)
    finally:
        if world:
            world.stop()
        shutil.rmtree(run, ignore_errors=True)
    if options.out:
        options.out.write_text(json.dumps(figures, indent=1) + "\n")
    sys.exit(0 if show(figures, options) else 1)


if __name__ == "__main__":
    main()
