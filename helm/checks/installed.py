"""A release put into a folder as a kubelet would mount it, and what the real programs say of it."""

import json
import os
import re
import subprocess
from pathlib import Path

from release import containers, of_kind

SECRET_LENGTH = 32
LABEL_SETS = '{"version": "1", "sets": [{"sensitivity": "SUD", "system": "http://hl7.org/fhir/sid/icd-10-cm", "codes": ["F10.-"]}]}'


class Programs:
    """The real programs."""

    def __init__(self, folder: Path):
        self.gateway, self.sidecar = folder / "fhir-gateway", folder / "anchor-sidecar"

    def missing(self) -> list[str]:
        """Those that are not built."""
        return [str(one) for one in (self.gateway, self.sidecar) if not one.exists()]


class Material:
    """What Secrets hold: made anew, by the commands that an operator would use."""

    def __init__(self, folder: Path, programs: Programs, origin: str):
        folder.mkdir(parents=True)
        self.log_key = folder / "log.key"
        said = _run([programs.sidecar, "keygen", "log", "--origin", origin, "--out", self.log_key])
        self.verifier_key = re.search(r"public\): (\S+)", said).group(1)
        certificate, key = folder / "tls.crt", folder / "tls.key"
        _run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
              "-subj", "/CN=fhir.example.org", "-addext", "subjectAltName=DNS:fhir.example.org", "-keyout", key, "-out", certificate])  # fmt: skip
        self.content = {
            "kek": os.urandom(SECRET_LENGTH).hex(),
            "admin-token": os.urandom(SECRET_LENGTH).hex(),
            "token": os.urandom(SECRET_LENGTH).hex(),
            "log.key": self.log_key.read_text(),
            "publisher.key": os.urandom(SECRET_LENGTH).hex(),
            "publisher.password": "a password",
            "tls.crt": certificate.read_text(),
            "tls.key": key.read_text(),
            "ca.crt": certificate.read_text(),
            "policies": ["label-sets.json"],
            "label-sets.json": LABEL_SETS,
        }


def install(objects: list[dict], pod: dict, container: str, root: Path, shared: Path, content: dict[str, str]) -> list[str]:
    """Makes the file system that this container sees below `root`, volumes that hold no files of the API as links into `shared`; gives the container's
    arguments, with their paths below `root`."""
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    maps = {one["metadata"]["name"]: one["data"] for one in of_kind(objects, "ConfigMap")}
    mine = next(one for one in containers(pod) if one["name"] == container)
    for mount in mine["volumeMounts"]:
        folder = root / mount["mountPath"].lstrip("/")
        folder.parent.mkdir(parents=True, exist_ok=True)
        volume = volumes.get(mount["name"], {})
        if not {"configMap", "secret", "projected"} & volume.keys():
            (shared / mount["name"]).mkdir(parents=True, exist_ok=True)
            folder.symlink_to(shared / mount["name"])
        else:
            folder.mkdir(exist_ok=True)
        for file, text in _files(volume, maps, content):
            place = folder / file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(re.sub(r'"(/(?:etc|var|run)/)', rf'"{root}\1', text))
            place.chmod(0o440)
    return [re.sub(r"(^|=)(/(?:etc|work)/)", rf"\1{root}\2", argument) for argument in mine["args"]]


def workload(objects: list[dict]) -> dict:
    """The pod of the StatefulSet."""
    return of_kind(objects, "StatefulSet")[0]["spec"]["template"]["spec"]


def play(objects: list[dict], root: Path, content: dict[str, str]) -> dict:
    """The whole release below `root`, and how to start its containers and those of its test, in their order."""
    def part(pod, container, folder):
        program = "fhir-gateway" if "/fhir-gateway" in container["image"] else "anchor-sidecar"
        return {"name": container["name"], "program": program, "arguments": install(objects, pod, container["name"], folder, root / "volumes", content)}

    pod = workload(objects)
    test = next(one for one in of_kind(objects, "Pod"))["spec"]
    return {
        "release": [part(pod, one, root / one["name"]) for one in containers(pod)],
        "test": [part(test, one, root / f"test-{one['name']}") for one in containers(test)],
    }


def _files(volume, maps, content):
    sources = volume.get("projected", {}).get("sources", [])
    sources = [*sources, *({key: value} for key, value in volume.items() if key in ("secret", "configMap"))]
    for source in sources:
        for kind, what in source.items():
            own = maps.get(what.get("name"), {}) if kind == "configMap" else {}
            # A ConfigMap of the operator's own holds what is named of it.
            items = what.get("items") or [{"key": key, "path": key} for key in own or content.get(what.get("name"), ())]
            for item in items:
                name = Path(item["path"]).name
                yield item["path"], own.get(item["key"]) or content[name]


def faults(objects: list[dict], root: Path, programs: Programs, material: Material) -> list[str]:
    """What the programs say against the configurations of a release, and the files that they name and the pod does not mount."""
    found = []
    for container, program in (("gateway", programs.gateway), ("sidecar", programs.sidecar)):
        own = root / container
        arguments = install(objects, workload(objects), container, own, root / "volumes", material.content)
        config = Path(arguments[arguments.index("--config") + 1])
        for name in re.findall(r'"(/[^"]*)"', config.read_text()):
            place = Path(name)
            if str(place).startswith(f"{own}/etc/") and not place.exists():
                found.append(f"{container}: {place.relative_to(own)} is not mounted")
            if str(place).startswith((f"{own}/var/", f"{own}/run/")) and not place.parent.is_dir():
                found.append(f"{container}: {place.parent.relative_to(own)} is no volume")
        environment = {"PATH": os.environ["PATH"], **_environment(objects, container)}
        done = subprocess.run([str(program), "config", "check", "--config", str(config)], env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            found.append(f"{container}: config check ends with {done.returncode}: {done.stdout}{done.stderr}")
    return found


def trust_differs(objects: list[dict], root: Path, programs: Programs) -> str | None:
    """Whether the trust file of the release is another one than `anchor-sidecar trust` prints for its configuration."""
    config = root / "sidecar/etc/sealgate/config/sidecar.toml"
    environment = {"PATH": os.environ["PATH"], **_environment(objects, "sidecar")}
    own = json.loads(next(one["data"]["trust.json"] for one in of_kind(objects, "ConfigMap") if "trust.json" in one["data"]))
    printed = json.loads(_run([programs.sidecar, "trust", "--config", config], environment))
    return None if own == printed else f"the chart says {own}, the program {printed}"


def _environment(objects, container):
    mine = next(one for one in containers(workload(objects)) if one["name"] == container)
    values = {"SEALGATE__ANCHOR__RPC": '["https://rpc-one.example.org", "https://rpc-two.example.net"]'}
    return {entry["name"]: entry.get("value", values.get(entry["name"], "")) for entry in mine.get("env", [])}


def _run(arguments, environment=None):
    done = subprocess.run([str(one) for one in arguments], env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{arguments[0]} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout
