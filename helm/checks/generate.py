"""values.schema.json and README.md of the chart, out of the comments of values.yaml.

Every key stands under a comment that begins with `# --`; the lines after it belong to it. A line `# @schema {…}` adds JSON Schema to what is told
by the value itself. An empty map or list is open, a map with keys is closed (`additionalProperties: false`) unless its schema says `"opaque": true`.
"""

import json
from pathlib import Path

import yaml

SCALARS = {"str": "string", "int": "integer", "bool": "boolean", "float": "number"}


class Undocumented(Exception):
    """A value without a comment, or a comment that is not understood."""


class Value:
    """One key of values.yaml: its path, what is said of it, its default, the keys below it."""

    def __init__(self, path, said, schema, default, below):
        self.path, self.said, self.extra, self.default, self.below = path, said, schema, default, below

    def schema(self):
        """The JSON Schema of this value."""
        extra = dict(self.extra)
        extra.pop("opaque", None)
        if self.below:
            own = {"type": "object", "additionalProperties": False, "properties": {v.path[-1]: v.schema() for v in self.below}}
        elif isinstance(self.default, dict):
            own = {"type": "object"}
        elif isinstance(self.default, list):
            own = {"type": "array"}
        else:
            own = {"type": SCALARS[type(self.default).__name__]}
        return {"description": self.said, **own, **extra}

    def rows(self):
        """This value's rows of the table: one for each value that can be set."""
        if self.below:
            return [row for value in self.below for row in value.rows()]
        default = json.dumps(self.default, ensure_ascii=False)
        return [f"| `{'.'.join(self.path)}` | `{default}` | {self.said.replace('|', chr(92) + '|')} |"]


def read(text):
    """The values of a values.yaml, in their order."""
    lines = text.splitlines()
    return _below(yaml.compose(text, Loader=yaml.SafeLoader), lines, ())


def _below(node, lines, path):
    values = []
    for key, value in node.value:
        here = (*path, key.value)
        said, extra = _comment(lines, key.start_mark, here)
        default = yaml.SafeLoader("").construct_object(value, deep=True)
        opaque = extra.get("opaque") or not isinstance(default, dict) or "additionalProperties" in extra
        below = [] if opaque or not default else _below(value, lines, here)
        values.append(Value(here, said, extra, default, below))
    return values


def _comment(lines, mark, path):
    said, extra = [], {}
    first = mark.line
    while first > 0 and lines[first - 1].startswith(" " * mark.column + "#"):
        first -= 1
    for line in lines[first : mark.line]:
        text = line.strip().removeprefix("#").strip()
        if text.startswith("-- "):
            said = [text.removeprefix("-- ")]
        elif text.startswith("@schema "):
            extra = json.loads(text.removeprefix("@schema "))
        elif said:
            said.append(text)
    if not said:
        raise Undocumented(f"{'.'.join(path)} has no comment that begins with `# --`")
    return " ".join(said), extra


def schema(values):
    """The whole schema. `global` belongs to the parents of a chart, so it is let through."""
    whole = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart sealgate",
        "description": "Generated from values.yaml by helm/check --write.",
        "type": "object",
        "additionalProperties": False,
        "properties": {"global": {"type": "object"}, **{value.path[-1]: value.schema() for value in values}},
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def readme(values, source):
    """The README: its source, with the tables of values in the place of `{{ values }}`."""
    parts = []
    for value in values:
        if value.below:
            parts.append(f"### {value.path[-1]}\n\n{value.said}\n")
            parts.append("\n".join(["| value | default | meaning |", "|---|---|---|", *value.rows()]) + "\n")
    single = [row for value in values if not value.below for row in value.rows()]
    head = "\n".join(["| value | default | meaning |", "|---|---|---|", *single]) + "\n"
    return source.replace("{{ values }}", "\n".join([head, *parts]).rstrip())


def written(chart: Path):
    """What the two files must hold: path → text."""
    values = read((chart / "values.yaml").read_text())
    source = (chart / "README.md.in").read_text()
    return {chart / "values.schema.json": schema(values), chart / "README.md": readme(values, source)}
