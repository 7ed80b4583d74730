"""What only a process of its own shows: its end, an interrupt, a fork."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest
import rig


def start(program, *args, **rest):
    code = textwrap.dedent(program)
    return subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "ignore::DeprecationWarning", "-c", code, *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=os.path.dirname(__file__),
        **rest,
    )


def ended(process, limit=60):
    out, err = process.communicate(timeout=limit)
    return process.returncode, out, err


def test_a_program_may_end_without_closing(upstream, tmp_path):
    program = """
        import asyncio, sys
        from conftest import CAPPED, configuration
        from sluicegate import Gateway
        gateway = Gateway(configuration(sys.argv[1]), data_dir=sys.argv[2])
        ask = {"messages": [{"role": "user", "content": "hi"}], "key": CAPPED}
        print(gateway.complete(model="chat", **ask)["object"])
        stream = gateway.stream(model="chat--chunk-delay-20", **ask)
        next(stream)
        other = Gateway(demo=True)
    """
    assert ended(start(program, upstream.url, str(tmp_path))) == (0, "chat.completion\n", "")
    again = """
        import sys
        from conftest import CAPPED, configuration
        from sluicegate import Gateway
        gateway = Gateway(configuration(sys.argv[1]), data_dir=sys.argv[2])
        print([limit["settled"] for limit in gateway.remaining(CAPPED)])
    """
    assert ended(start(again, upstream.url, str(tmp_path))) == (0, "[2]\n", "")


def test_an_interrupt_ends_a_wait(upstream):
    program = """
        import sys
        from conftest import KEY, configuration
        from sluicegate import Gateway
        with Gateway(configuration(sys.argv[1])) as gateway:
            print("waiting", flush=True)
            try:
                gateway.complete(model="chat--hang", messages=[{"role": "user", "content": "hi"}], key=KEY)
            except KeyboardInterrupt:
                print("interrupted")
    """
    process = start(program, upstream.url)
    assert process.stdout.readline() == "waiting\n"
    until = time.monotonic() + 30
    while not upstream.requests() and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert ended(process, 20) == (0, "interrupted\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system doesn't fork")
def test_a_fork_says_what_to_do(upstream):
    program = """
        import os, sys
        from conftest import KEY, configuration
        from sluicegate import Gateway, SluicegateError
        gateway = Gateway(configuration(sys.argv[1]))
        ask = {"model": "chat", "messages": [{"role": "user", "content": "hi"}], "key": KEY}
        gateway.complete(**ask)
        child = os.fork()
        if child == 0:
            for use in (lambda: gateway.complete(**ask), lambda: gateway.remaining(KEY)):
                try:
                    use()
                except SluicegateError as error:
                    print(error.kind, "fork" in str(error), flush=True)
            with Gateway(configuration(sys.argv[1])) as own:
                print(own.complete(**ask)["object"], flush=True)
            sys.exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), gateway.complete(**ask)["object"], flush=True)
    """
    expected = "not_supported True\nnot_supported True\nchat.completion\n0 chat.completion\n"
    assert ended(start(program, upstream.url)) == (0, expected, "")


def test_the_example(tmp_path):
    folder = rig.ROOT / "examples" / "python"
    for example in sorted(folder.glob("*.py")):
        code, out, err = ended(subprocess.Popen(
            [sys.executable, example], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
        ))
        assert (code, err) == (0, ""), f"{example.name}: {out}{err}"
        assert out
