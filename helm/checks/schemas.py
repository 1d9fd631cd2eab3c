"""Objects against the schemas of Kubernetes and of the custom resources, strictly: an unknown field is a fault."""

import functools
import json
import subprocess
from pathlib import Path

import kubernetes_validate
import yaml
from jsonschema import Draft4Validator

# Go modules whose archives hold the definitions of custom resources: group → module, folder.
DEFINITIONS = {
    "gateway.networking.k8s.io": ("sigs.k8s.io/gateway-api@v1.4.1", "config/crd/standard"),
    "cert-manager.io": ("github.com/cert-manager/cert-manager@v1.21.2", "deploy/crds"),
    "monitoring.coreos.com": ("github.com/prometheus-operator/prometheus-operator@v0.85.0", "example/prometheus-operator-crd"),
}


class Unavailable(Exception):
    """A definition cannot be had here."""


def faults(objects: list[dict], kubernetes: str) -> list[str]:
    """What is wrong with the objects for this version of Kubernetes, such as `1.32`."""
    found = []
    for one in objects:
        name = f"{one.get('kind')}/{one.get('metadata', {}).get('name')}"
        group = one.get("apiVersion", "").rpartition("/")[0]
        if group in DEFINITIONS:
            found += [f"{name}: {fault}" for fault in _custom(one, group)]
            continue
        try:
            kubernetes_validate.validate(one, kubernetes, strict=True)
        except kubernetes_validate.ValidationError as error:
            found.append(f"{name}: {'.'.join(str(part) for part in error.path)}: {error.message}")
        except kubernetes_validate.SchemaNotFoundError:
            found.append(f"{name}: Kubernetes {kubernetes} knows no {one.get('apiVersion')} {one.get('kind')}")
    return found


def fetch():
    """Has every definition at hand; raises Unavailable."""
    for group in DEFINITIONS:
        _folder(group)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """YAML as definitions are written: a lone `=` is text."""


_Loader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: node.value)


@functools.cache
def _folder(group):
    module, folder = DEFINITIONS[group]
    done = subprocess.run(["go", "mod", "download", "-json", module], capture_output=True, text=True, check=False, cwd="/")
    if done.returncode != 0:
        raise Unavailable(f"{module} cannot be downloaded: {done.stdout}{done.stderr}")
    return Path(json.loads(done.stdout)["Dir"]) / folder


@functools.cache
def _validator(group, version, kind):
    """The validator of a custom resource; None where no definition knows it."""
    for file in sorted(_folder(group).glob("*.yaml")):
        text = file.read_text()
        if f"kind: {kind}\n" not in text:
            continue
        for crd in yaml.load_all(text, _Loader):
            if not crd or crd.get("kind") != "CustomResourceDefinition" or crd["spec"]["names"]["kind"] != kind:
                continue
            for one in crd["spec"]["versions"]:
                if one["name"] == version:
                    schema = _strict(one["schema"]["openAPIV3Schema"])
                    schema["properties"]["metadata"] = {"type": "object"}
                    return Draft4Validator(schema)
    return None


def _custom(one, group):
    validator = _validator(group, one["apiVersion"].rpartition("/")[2], one["kind"])
    if validator is None:
        return [f"the custom resource definitions know no {one['apiVersion']} {one['kind']}"]
    return [f"{'.'.join(str(part) for part in error.absolute_path)}: {error.message}" for error in validator.iter_errors(one)]


def _strict(schema):
    """A structural schema as JSON Schema: closed where Kubernetes would drop what it does not know, numbers or text where it says so."""
    if not isinstance(schema, dict):
        return schema
    own = {key: value for key, value in schema.items() if not key.startswith("x-kubernetes-") and key not in ("description", "format", "default")}
    if schema.get("x-kubernetes-int-or-string"):
        own = {"type": ["integer", "string"]}
    for key in ("properties", "definitions"):
        if key in own:
            own[key] = {name: _strict(below) for name, below in own[key].items()}
    for key in ("items", "additionalProperties", "not"):
        if isinstance(own.get(key), dict):
            own[key] = _strict(own[key])
    # Under allOf, anyOf, oneOf stands no new field in a structural schema: those parts stay open.
    if own.get("type") == "object" and "properties" in own and not schema.get("x-kubernetes-preserve-unknown-fields"):
        own.setdefault("additionalProperties", False)
    if schema.get("nullable") and isinstance(own.get("type"), str):
        own["type"] = [own["type"], "null"]
    return own
