"""The chart, rendered by a real helm."""

import shutil
import subprocess
from pathlib import Path

import yaml

NAMESPACE = "fhir"
RELEASE = "north"


class Refused(Exception):
    """helm did not render: what it said."""


class Chart:
    """A chart's folder and the helm that renders it."""

    def __init__(self, helm: Path, folder: Path):
        self.helm, self.folder = helm, folder

    def lint(self, values: list[Path]) -> str:
        """What `helm lint --strict` says; raises Refused."""
        return self._run(["lint", "--strict", str(self.folder), *self._values(values)])

    def objects(self, values: list[Path], kubernetes: str) -> list[dict]:
        """The objects of a release, tests included."""
        text = self._run(["template", RELEASE, str(self.folder), "--namespace", NAMESPACE, "--kube-version", kubernetes, *self._values(values)])
        return [one for one in yaml.safe_load_all(text) if one]

    def notes(self, values: list[Path], kubernetes: str, scratch: Path) -> str:
        """What is printed after an installation. helm does that for a cluster only, so a copy of the chart shows its notes as an object."""
        copy = scratch / "notes" / self.folder.name
        if not copy.exists():
            shutil.copytree(self.folder, copy)
            (copy / "templates/notes.yaml").write_text('kind: Notes\napiVersion: v1\ntext: {{ include "sealgate/templates/NOTES.txt" . | toJson }}\n')
        return of_kind(Chart(self.helm, copy).objects(values, kubernetes), "Notes")[0]["text"]

    def _values(self, values):
        return [part for one in values for part in ("--values", str(one))]

    def _run(self, arguments):
        done = subprocess.run([str(self.helm), *arguments], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Refused(done.stdout + done.stderr)
        return done.stdout


def of_kind(objects: list[dict], kind: str) -> list[dict]:
    """The objects of this kind."""
    return [one for one in objects if one["kind"] == kind]


def pods(objects: list[dict]):
    """Name and pod specification of everything that runs; `chart` tells what the chart makes itself from `extraObjects`."""
    for one in objects:
        spec = one.get("spec", {})
        pod = spec if one["kind"] == "Pod" else spec.get("template", {}).get("spec")
        if pod and "containers" in pod:
            chart = one["metadata"].get("labels", {}).get("app.kubernetes.io/name") == "sealgate"
            yield f"{one['kind']}/{one['metadata']['name']}", chart, pod


def containers(pod: dict) -> list[dict]:
    """All containers of a pod, in the order in which they start."""
    return [*pod.get("initContainers", []), *pod["containers"]]
