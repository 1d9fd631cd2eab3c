"""The checks of the chart: `helm/check` calls this with the tools at hand. `--write` writes the generated files instead."""

import json
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import yaml

import generate
import installed
import monitoring
import policy
import schemas
from mutations import MUTATIONS
from release import Chart, Refused, of_kind

HELM_FOLDER = Path(__file__).resolve().parent.parent
WORKSPACE = HELM_FOLDER.parent
RUNBOOK = WORKSPACE / "docs/operations/runbook.md"

# 1.28 has no native sidecars, 1.29 no preStop sleep.
KUBERNETES = ["1.28", "1.29", "1.32", "1.34", "1.37"]
VALUES = {
    "minimal": ["ci/minimal-values.yaml"],
    "full": ["ci/full-values.yaml"],
    "production": ["values-production.yaml"],
    "demo": ["values-demo.yaml"],
}


class Checks:
    """All checks of one chart; each gives the faults that it finds."""

    def __init__(self, helm: Path, folder: Path, programs, material, scratch: Path):
        self.chart, self.folder, self.programs, self.material, self.scratch = Chart(helm, folder), folder, programs, material, scratch
        self.names, self.kubernetes = list(VALUES), KUBERNETES
        self.measured = monitoring.Measured(WORKSPACE)
        self._rendered = {}

    def values(self, name):
        """The files of a set of values; with the log key that this run has made, where there is one."""
        files = [self.folder / file for file in VALUES[name]]
        origin = yaml.safe_load(files[-1].read_text())["log"]["origin"]
        key = self.material[origin].verifier_key if self.material else f"{origin}+02e71d9b+AeJ2cQ3tqsyAnX3fzpzjjmhAAlBqzVZ9AI1y5kHqtUo5"
        return [*files, self._file(f"key-{name}", {"log": {"verifierKey": key}})]

    def objects(self, name, kubernetes="1.34"):
        """The rendered release."""
        if (name, kubernetes) not in self._rendered:
            self._rendered[name, kubernetes] = self.chart.objects(self.values(name), f"{kubernetes}.0")
        return self._rendered[name, kubernetes]

    def generated(self):
        """values.schema.json and README.md are what values.yaml says."""
        try:
            written = generate.written(self.folder)
        except generate.Undocumented as fault:
            return [str(fault)]
        return [f"{path.name} is stale: run helm/check --write" for path, text in written.items() if not path.exists() or path.read_text() != text]

    def lint(self):
        """helm lint --strict, for each set of values."""
        found = []
        for name in self.names:
            try:
                self.chart.lint(self.values(name))
            except Refused as fault:
                found.append(f"{name}: {fault}")
        return found

    def contradictions(self):
        """Values that contradict each other are refused with their sentence, and every sentence is tried."""
        found, said = [], ""
        minimal = self.folder / "ci/minimal-values.yaml"
        for number, row in enumerate(yaml.safe_load((HELM_FOLDER / "checks/contradictions.yaml").read_text())):
            try:
                self.chart.objects([minimal, self._file(f"contradiction-{number}", row["values"])], "1.34.0")
                found.append(f"{row['values']} is accepted; it should say: {row['say']}")
            except Refused as fault:
                said += str(fault)
                if row["say"] not in str(fault):
                    found.append(f"{row['values']} should say `{row['say']}`, and says: {fault}")
        template = (self.folder / "templates/_validate.tpl").read_text()
        for sentence in re.findall(r'append \$faults \(?(?:printf )?"([^"]+)"', template):
            part = max(re.split(r"%\w", sentence), key=len)
            if part not in said:
                found.append(f"no row of contradictions.yaml brings about: {sentence}")
        return found

    def everything_at_once(self):
        """Without values all that is missing is said in one run."""
        try:
            self.chart.objects([], "1.34.0")
        except Refused as fault:
            missing = ["tenant", "publicBase", "auth.issuers", "keys.keyEncryption", "keys.log", "log.origin", "upstream.base", "anchor.rpc", "anchor.chainId"]
            return [f"nothing is said of {name}" for name in missing if name not in str(fault)]
        return ["a release without values is rendered"]

    def schemas(self):
        """Every object fits the schemas of every version, strictly."""
        return [
            f"{name}, Kubernetes {kubernetes}: {fault}"
            for name in self.names
            for kubernetes in self.kubernetes
            for fault in schemas.faults(self.objects(name, kubernetes), kubernetes)
        ]

    def policy(self):
        """The chart's promises hold."""
        return [
            f"{name}, Kubernetes {kubernetes}: {fault}"
            for name in self.names
            for kubernetes in self.kubernetes
            for fault in policy.faults(self.objects(name, kubernetes), kubernetes)
        ]

    def stable(self):
        """Rendering twice gives the same: nothing is made up."""
        return [f"{name} differs" for name in self.names if self.chart.objects(self.values(name), "1.34.0") != self.objects(name)]

    def restarts(self):
        """What the gateway reads again while it runs changes no pod; everything else does."""
        found = []
        for changed, restart in (
            ({"consent": {"no_consent": "deny"}}, False),
            ({"redaction": [{"path": "Patient.name"}], "roles": {"policy_writer": ["a"]}, "break_glass": {"duration": "30m"}}, False),
            ({"server": {"limits": {"body": "1 MiB"}}}, True),
        ):
            values = [*self.values("minimal"), self._file("changed", {"gateway": {"config": changed}})]
            before, after = (of_kind(one, "StatefulSet") for one in (self.objects("minimal"), self.chart.objects(values, "1.34.0")))
            if (before != after) != restart:
                found.append(f"{changed} {'changes no pod' if restart else 'makes another pod'}")
        return found

    def monitoring(self):
        """Alerts ask for what is measured, and have their page."""
        return monitoring.faults(self.objects("full"), self.measured, RUNBOOK)

    def dashboard(self):
        """The dashboard shows what is measured."""
        return monitoring.dashboard(self.objects("full"), self.measured)

    def notes(self):
        """The notes say what to write down, and warn in demo mode."""
        full, demo = (" ".join(self.chart.notes(self.values(name), "1.34.0", self.scratch).split()) for name in ("full", "demo"))
        wanted = ["log.example.org/north+", "0x00000000000000000000000000000000000000aa", "11155111", "trust.json", "kind: NetworkPolicy"]
        found = [f"the notes do not say {text}" for text in wanted if text not in full]
        for text in ("DEMO. Nothing here is evidence", "Journal and log go with the pod", "There is no chain", "plain HTTP"):
            found += [f"the demo's notes do not say {text}"] if text not in demo else []
        old = " ".join(self.chart.notes(self.values("minimal"), "1.28.0", self.scratch).split())
        for text in ("has no native sidecars", "knows no preStop sleep", "bring your own"):
            found += [f"the notes for Kubernetes 1.28 do not say {text}"] if text not in old else []
        return found + (["the full notes speak of a demo"] if "DEMO" in full else [])

    def programs_accept(self):
        """The rendered configuration is accepted by the real programs, with the files that the pod mounts."""
        found = []
        for name in self.names:
            root = self.scratch / f"root-{name}"
            shutil.rmtree(root, ignore_errors=True)
            found += [f"{name}: {fault}" for fault in installed.faults(self.objects(name), root, self.programs, self._material(name))]
        return found

    def trust(self):
        """The trust file is the one that the sidecar prints."""
        return [f"{name}: {fault}" for name in self.names if (fault := installed.trust_differs(self.objects(name), self.scratch / f"root-{name}", self.programs))]

    def _material(self, name):
        return self.material[yaml.safe_load((self.folder / VALUES[name][-1]).read_text())["log"]["origin"]]

    def _file(self, name, values):
        file = self.scratch / f"{name}.yaml"
        file.write_text(yaml.safe_dump(values))
        return file


def mutated(helm, programs, material, scratch):
    """Each fault of MUTATIONS is caught by the check that should catch it."""
    for number, (file, old, new, check, say) in enumerate(MUTATIONS):
        if check in ("programs", "trust") and not material:
            continue
        folder = scratch / f"mutant-{number}" / "sealgate"
        shutil.copytree(HELM_FOLDER / "sealgate", folder)
        text = (folder / file).read_text()
        if old not in text:
            yield f"{file} does not hold `{old}`: correct MUTATIONS"
            continue
        (folder / file).write_text(text.replace(old, new))
        checks = Checks(helm, folder, programs, material, folder.parent)
        checks.names, checks.kubernetes = ["full"], ["1.34"]
        call = {"programs": checks.programs_accept, "trust": checks.trust}.get(check) or getattr(checks, check)
        if check == "trust":
            checks.programs_accept()
        try:
            found = call()
        except Refused as fault:
            found = [str(fault)]
        if not any(say in fault for fault in found):
            yield f"{file}: `{old.strip()}` → `{new.strip()}` is not caught by {check}, which says {found[:2]}"


class Report:
    """A line for each check, and the count."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def checked(self, sentence, found):
        """One check and its faults."""
        found = list(found)
        self.passed, self.failed = self.passed + (not found), self.failed + bool(found)
        print(("ok      " if not found else "FAILED  ") + f"chart: {sentence}", *(f"        {fault}" for fault in found), sep="\n", flush=True)

    def skip(self, what):
        """Something that cannot be checked here."""
        self.skipped += 1
        print(f"NOT CHECKED chart: {what}", flush=True)


def sentence(check):
    """What a check says of itself."""
    return (check.__doc__ or "").strip().rstrip(".")


def main():
    chart = HELM_FOLDER / "sealgate"
    if "--write" in sys.argv:
        for path, text in generate.written(chart).items():
            path.write_text(text)
            print(f"wrote {path.relative_to(WORKSPACE)}")
        return 0
    helm = Path(os.environ["SEALGATE_HELM"])
    if "--play" in sys.argv:
        # A release for the end-to-end tests: values, the folder to put it into, the folder with the content of its Secrets by the name of the file.
        values, root, secrets = (Path(argument) for argument in sys.argv[-3:])
        objects = Chart(helm, chart).objects([values], "1.34.0")
        content = {file.name: file.read_text() for file in secrets.iterdir()}
        print(json.dumps(installed.play(objects, root, content)))
        return 0
    programs = installed.Programs(Path(os.environ["SEALGATE_PROGRAMS"]))
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        scratch, material = Path(folder), {}
        if programs.missing():
            report.skip(f"the rendered configuration, because {' and '.join(programs.missing())} is not built")
        else:
            for origin in ("log.example.org/north", "log.example.org/demo"):
                material[origin] = installed.Material(scratch / origin.replace("/", "-"), programs, origin)
        try:
            schemas.fetch()
        except schemas.Unavailable as why:
            print(why, file=sys.stderr)
            return 3
        checks = Checks(helm, chart, programs, material, scratch)
        always = [checks.generated, checks.lint, checks.everything_at_once, checks.contradictions, checks.schemas, checks.policy, checks.stable, checks.restarts]
        always += [checks.monitoring, checks.dashboard, checks.notes]
        for check in [*always, *([checks.programs_accept, checks.trust] if material else [])]:
            try:
                report.checked(sentence(check), check())
            except Refused as fault:
                report.checked(sentence(check), [str(fault)])
        promtool = os.environ.get("SEALGATE_PROMTOOL")
        if promtool:
            said = monitoring.rules_fire(checks.objects("full"), Path(promtool), HELM_FOLDER / "checks/alerts.test.yaml")
            report.checked("every alert fires when it should, and not when it should not", [said] if said else [])
        else:
            report.skip("whether alerts fire, because promtool cannot be had")
        report.checked(f"{len(MUTATIONS)} faults put into it on purpose are caught", mutated(helm, programs, material, scratch))
    print(f"chart result: {'FAILED' if report.failed else 'ok'}. {report.passed} passed; {report.failed} failed; {report.skipped} skipped")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
