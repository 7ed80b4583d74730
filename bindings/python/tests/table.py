"""The table of decisions: what `tests/data/decide/README.md` describes."""

import json
import pathlib

import yaml

FOLDER = pathlib.Path(__file__).resolve().parents[3] / "tests" / "data" / "decide"


class Loader(yaml.SafeLoader):
    """YAML 1.2: a time or a date is text, and so are yes and no."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":bool", ":int"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", yaml.resolver.re.compile("^(?:true|false)$"), "tf")
Loader.add_implicit_resolver("tag:yaml.org,2002:int", yaml.resolver.re.compile("^[-+]?[0-9]+$"), "-+0123456789")


class Case:
    def __init__(self, stem, shared, case):
        assert set(case) <= {"note", "options", "fails", "steps"}, case
        self.name = f"{stem}: {case['note']}"
        self.options = shared | case.get("options", {})
        self.fails = case.get("fails")
        self.steps = [self.step(dict(step)) for step in case.get("steps", [])]

    def step(self, request):
        want = request.pop("want")
        request.setdefault("v", 1)
        if "at_ms" in request:
            request["now_ms"] = self.options["manual_clock_ms"] + request.pop("at_ms")
        return request, want


def cases():
    for path in sorted(FOLDER.glob("*.yaml")):
        table = yaml.load(path.read_text(encoding="utf-8"), Loader)
        assert set(table) <= {"note", "options", "cases"}, path
        for case in table["cases"]:
            yield Case(path.stem, table.get("options", {}), case)


class Bound(dict):
    """What `$names` stand for within one case."""

    def fill(self, value):
        if isinstance(value, dict):
            return {name: self.fill(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.fill(inner) for inner in value]
        return self.get(value, value) if isinstance(value, str) else value

    def check(self, want, got, at="answer"):
        if isinstance(want, str) and want.startswith("$"):
            assert got is not None, f"{at}: nothing for {want}"
            assert self.setdefault(want, got) == got, f"{at}: {want} is {self[want]}, got {got}"
        elif isinstance(want, dict):
            special = next((name for name in want if name.startswith("$")), None)
            if special:
                return self.special(special, want[special], got, at)
            assert isinstance(got, dict), f"{at}: wanted {want}, got {got}"
            for name, inner in want.items():
                self.check(inner, got.get(name), f"{at}.{name}")
        elif isinstance(want, list):
            assert isinstance(got, list) and len(got) == len(want), f"{at}: wanted {want}, got {got}"
            for at_index, (inner, other) in enumerate(zip(want, got)):
                self.check(inner, other, f"{at}[{at_index}]")
        else:
            # True is 1 in Python, and isn't in JSON.
            same = got == want and isinstance(got, bool) == isinstance(want, bool)
            assert same, f"{at}: wanted {want!r}, got {got!r}"

    def holds(self, want, got):
        try:
            self.check(want, got)
        except AssertionError:
            return False
        return True

    def special(self, kind, want, got, at):
        if kind == "$text":
            assert want in got, f"{at}: {want!r} isn't in {got!r}"
        elif kind == "$has":
            rest = iter(got)
            for part in want:
                assert any(self.holds(part, one) for one in rest), f"{at}: no {part} (in this order) in {got}"
        elif kind == "$lacks":
            for part in want:
                assert not any(self.holds(part, one) for one in got), f"{at}: there is {part} in {got}"
        elif kind == "$json":
            self.check(want, json.loads(got), at)
        else:
            raise AssertionError(f"{at}: {kind} isn't known")
