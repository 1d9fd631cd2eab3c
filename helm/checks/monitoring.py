"""Alerts, runbook and dashboard against what the programs really measure: names, labels and values out of the Rust sources."""

import json
import re
import subprocess
import tempfile
from pathlib import Path

import promql_parser
import yaml

from release import of_kind

SOURCES = {"gateway": "gateway/src/telemetry", "sidecar": "anchor-sidecar/src"}
HISTOGRAM = ("_bucket", "_count", "_sum")
# Labels that Prometheus itself puts on what it scrapes by a ServiceMonitor.
SCRAPED = {"namespace", "service", "pod", "le"}


class Measured:
    """The metrics of both programs."""

    def __init__(self, workspace: Path):
        text = "\n".join(file.read_text() for folder in SOURCES.values() for file in sorted((workspace / folder).rglob("*.rs")) if "tests" not in file.parts)
        self.literals = set(re.findall(r'"([^"\\\n]+)"', text))
        self.names = {name for name in self.literals if re.fullmatch(r"(sealgate|http_(server|client))_[a-z_]+", name)}

    def fault(self, selector) -> str | None:
        """Why a selector finds nothing, if it finds nothing."""
        name = selector.name
        if name not in self.names and not any(name.endswith(end) and name.removesuffix(end) in self.names for end in HISTOGRAM):
            return f"no program measures {name}"
        for matcher in selector.matchers.matchers:
            if matcher.name in SCRAPED:
                continue
            if matcher.name not in self.literals:
                return f"{name} has no label {matcher.name}"
            for value in matcher.value.split("|") if "code" not in matcher.name else []:
                if value not in self.literals:
                    return f"{name}: no program says {matcher.name}={value}"
        return None


def selectors(expression):
    """The vector selectors of an expression."""
    if isinstance(expression, promql_parser.VectorSelector):
        yield expression
    for name in ("lhs", "rhs", "expr", "args", "vector_selector"):
        below = getattr(expression, name, None)
        for one in below if isinstance(below, list) else [below]:
            if one is not None:
                yield from selectors(one)


def _expression(text, measured):
    try:
        parsed = promql_parser.parse(text)
    except ValueError as error:
        return [f"is no PromQL: {error}"]
    found = list(selectors(parsed))
    return [fault for one in found if (fault := measured.fault(one))] or ([] if found else ["asks for no metric"])


def alerts(objects: list[dict]) -> list[dict]:
    """The alerts of a release."""
    return [rule for one in of_kind(objects, "PrometheusRule") for group in one["spec"]["groups"] for rule in group["rules"]]


def faults(objects: list[dict], measured: Measured, runbook: Path) -> list[str]:
    """What is wrong with the alerts, each with its page in the runbook and each page with its alert."""
    found = []
    pages = re.findall(r"^## (\w+)$", runbook.read_text(), re.M)
    rules = alerts(objects)
    names = [rule["alert"] for rule in rules]
    if len(set(names)) != len(names):
        found.append("an alert stands twice")
    for rule in rules:
        found += [f"{rule['alert']}: {fault}" for fault in _expression(rule["expr"], measured)]
        url = rule["annotations"].get("runbook_url", "")
        if not url.endswith(f"docs/operations/{runbook.name}#{rule['alert'].lower()}"):
            found.append(f"{rule['alert']}: runbook_url is {url}")
        if rule["labels"].get("severity") not in ("critical", "warning"):
            found.append(f"{rule['alert']}: no severity")
        if not rule["annotations"].get("summary", "").endswith("."):
            found.append(f"{rule['alert']}: no sentence")
    found += [f"{name} has no page in the runbook" for name in names if name not in pages]
    found += [f"the runbook has a page for {page}, which is no alert" for page in pages if page not in names]
    for page in re.split(r"^## ", runbook.read_text(), flags=re.M)[1:]:
        for part in ("**Cause.**", "**Action.**"):
            if part not in page:
                found.append(f"the runbook's page {page.split()[0]} has no {part}")
    return found


def dashboard(objects: list[dict], measured: Measured) -> list[str]:
    """What is wrong with the dashboard."""
    found = []
    boards = [one for one in of_kind(objects, "ConfigMap") if "sealgate.json" in one.get("data", {})]
    for one in boards:
        board = json.loads(one["data"]["sealgate.json"])
        panels = board["panels"]
        if len({panel["id"] for panel in panels}) != len(panels):
            found.append("two panels have one id")
        for panel in panels:
            if panel["type"] != "row" and not panel.get("description"):
                found.append(f"panel {panel['title']}: no description")
            for target in panel.get("targets", []):
                text = target["expr"].replace("$__rate_interval", "5m").replace("$namespace", "fhir")
                found += [f"panel {panel['title']}: {fault}" for fault in _expression(text, measured)]
    return found


def rules_fire(objects: list[dict], promtool: Path, cases: Path) -> str | None:
    """Plays `alerts.test.yaml`, in which every alert fires once and stays silent once; gives what promtool says against it."""
    with tempfile.TemporaryDirectory() as folder:
        groups = [group for one in of_kind(objects, "PrometheusRule") for group in one["spec"]["groups"]]
        (Path(folder) / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))
        text = cases.read_text()
        (Path(folder) / "test.yaml").write_text(text)
        said = ""
        for arguments in (["check", "rules", "rules.yaml"], ["test", "rules", "test.yaml"]):
            done = subprocess.run([str(promtool), *arguments], cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                said += done.stdout + done.stderr
        for name in (rule["alert"] for rule in alerts(objects)):
            played = re.findall(rf"alertname: {name}\n\s+exp_alerts: (.*)", text)
            if not any(one.startswith("[]") for one in played) or all(one.startswith("[]") for one in played):
                said += f"{name} is not played both firing and silent\n"
        return said or None
