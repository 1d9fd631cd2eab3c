"""What every release must be, whatever its values: the chart's promises, asserted on rendered objects."""

import re

from release import containers, of_kind, pods


def faults(objects: list[dict], kubernetes: str) -> list[str]:
    """What is broken of the chart's promises."""
    found = []
    for name, chart, pod in pods(objects):
        if chart:
            found += [f"{name}: {fault}" for fault in _pod(name, pod)]
        elif pod.get("automountServiceAccountToken") is not False:
            found.append(f"{name}: a service account's token is mounted")
    found += _workload(objects, kubernetes)
    found += _together(objects)
    return found


def _pod(name, pod):
    if pod.get("automountServiceAccountToken") is not False:
        yield "a service account's token is mounted"
    if pod.get("enableServiceLinks") is not False:
        yield "Services become environment variables"
    security = pod.get("securityContext", {})
    for key, wanted in {"runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532}.items():
        if security.get(key) != wanted:
            yield f"securityContext.{key} is {security.get(key)}"
    if security.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "no seccomp profile"
    for key in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"):
        if pod.get(key):
            yield key
    volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
    for volume in volumes.values():
        kind = next((key for key in volume if key != "name"), "")
        if kind not in ("configMap", "secret", "projected", "emptyDir"):
            yield f"volume {volume['name']} is a {kind}"
        mode = volume.get(kind, {}).get("defaultMode")
        if (kind == "projected" or kind == "secret" and "access" in volume["name"]) and mode != 0o440:
            yield f"volume {volume['name']}: secrets have mode {mode}"
    serves = not name.startswith("Pod/")
    for container in containers(pod):
        for fault in _container(container, serves):
            yield f"{container['name']}: {fault}"


def _container(container, serves):
    security = container.get("securityContext", {})
    wanted = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    for key, value in wanted.items():
        if security.get(key) != value:
            yield f"securityContext.{key} is {security.get(key)}"
    if security.get("privileged"):
        yield "privileged"
    resources = container.get("resources", {})
    if "memory" not in resources.get("limits", {}) or not {"cpu", "memory"} <= resources.get("requests", {}).keys():
        yield "resources are not bounded"
    if not re.search(r"(:[^:/]+|@sha256:[0-9a-f]{64})$", container["image"]) or container["image"].endswith(":latest"):
        yield f"image {container['image']} can become another one"
    if serves:
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if "httpGet" not in container.get(probe, {}):
                yield f"no {probe}"
        ports = {port["name"] for port in container.get("ports", [])}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if container.get(probe, {}).get("httpGet", {}).get("port") not in ports:
                yield f"{probe} asks a port that the container does not name"
    for entry in container.get("env", []):
        if re.search(r"token|key|password|secret", entry["name"], re.I) and "value" in entry:
            yield f"{entry['name']} is written into the pod"


def _workload(objects, kubernetes):
    sets = of_kind(objects, "StatefulSet")
    if len(sets) != 1:
        yield f"{len(sets)} StatefulSets"
        return
    spec = sets[0]["spec"]
    pod = spec["template"]["spec"]
    native = tuple(int(part) for part in kubernetes.split(".")[:2]) >= (1, 29)
    first = [container["name"] for container in pod.get("initContainers", [])]
    if first != (["sidecar"] if native else []):
        yield f"init containers are {first} under Kubernetes {kubernetes}"
    if native and pod["initContainers"][0].get("restartPolicy") != "Always":
        yield "the native sidecar does not stay"
    if [container["name"] for container in containers(pod)] != (["sidecar", "gateway"] if native else ["gateway", "sidecar"]):
        yield "another order of containers"
    for claim in spec.get("volumeClaimTemplates", []):
        if claim["spec"]["accessModes"] != ["ReadWriteOncePod"]:
            yield f"claim {claim['metadata']['name']}: two pods could write to it"
    if "volumeClaimTemplates" in spec and spec.get("persistentVolumeClaimRetentionPolicy") != {"whenDeleted": "Retain", "whenScaled": "Retain"}:
        yield "claims go with the release"
    gateway = next(container for container in pod["containers"] if container["name"] == "gateway")
    leave = gateway.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    data = next(one for one in of_kind(objects, "ConfigMap") if "gateway.toml" in one.get("data", {}))["data"]
    drain = int(re.search(r'drain_timeout = "(\d+)s"', data["gateway.toml"]).group(1))
    last = int(re.search(r"drain_seconds = (\d+)", data["sidecar.toml"]).group(1))
    if pod["terminationGracePeriodSeconds"] < leave + 2 * drain + last:
        yield "the pod is killed before both have drained"
    mounts = {container["name"]: {mount["name"] for mount in container["volumeMounts"]} for container in containers(pod)}
    both = (mounts["gateway"] & mounts["sidecar"]) - {"run"}
    if both:
        yield f"gateway and sidecar share {sorted(both)}"


def _together(objects):
    """Whether what refers to another object finds it."""
    sets = of_kind(objects, "StatefulSet")[0]
    labels = sets["spec"]["template"]["metadata"]["labels"]
    ports = {port["name"] for container in containers(sets["spec"]["template"]["spec"]) for port in container.get("ports", [])}
    services = {one["metadata"]["name"]: one for one in of_kind(objects, "Service")}
    selectors = [(f"StatefulSet {sets['metadata']['name']}", sets["spec"]["selector"]["matchLabels"])]
    for one in of_kind(objects, "NetworkPolicy"):
        selectors.append((f"NetworkPolicy {one['metadata']['name']}", one["spec"]["podSelector"]["matchLabels"]))
        for rule in one["spec"]["ingress"]:
            for port in rule["ports"]:
                if port["port"] not in ports:
                    yield f"NetworkPolicy: no container has the port {port['port']}"
    for one in of_kind(objects, "PodDisruptionBudget"):
        selectors.append((f"PodDisruptionBudget {one['metadata']['name']}", one["spec"]["selector"]["matchLabels"]))
    own = [one for one in services.values() if one["metadata"].get("labels", {}).get("app.kubernetes.io/name") == "sealgate"]
    for one in own:
        selectors.append((f"Service {one['metadata']['name']}", one["spec"]["selector"]))
        for port in one["spec"]["ports"]:
            if port["targetPort"] not in ports:
                yield f"Service {one['metadata']['name']}: no container has the port {port['targetPort']}"
    for name, selector in selectors:
        if not selector.items() <= labels.items():
            yield f"{name} does not select the gateway's pods"
    if sets["spec"]["serviceName"] not in services:
        yield "the StatefulSet's Service is missing"
    for one in of_kind(objects, "ServiceMonitor"):
        wanted = one["spec"]["selector"]["matchLabels"]
        hit = [service for service in own if wanted.items() <= service["metadata"]["labels"].items()]
        for endpoint in one["spec"]["endpoints"]:
            if len(hit) != 1 or endpoint["port"] not in {port["name"] for port in hit[0]["spec"]["ports"]}:
                yield f"ServiceMonitor {one['metadata']['name']} finds no port {endpoint['port']}"
    for one in of_kind(objects, "HTTPRoute"):
        for rule in one["spec"]["rules"]:
            for backend in rule["backendRefs"]:
                if backend["port"] not in {port["port"] for port in services.get(backend["name"], {"spec": {"ports": []}})["spec"]["ports"]}:
                    yield f"HTTPRoute {one['metadata']['name']} leads to no Service"
    for one in of_kind(objects, "Ingress"):
        for rule in one["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                service = path["backend"]["service"]
                if service["port"]["name"] not in {port["name"] for port in services.get(service["name"], {"spec": {"ports": []}})["spec"]["ports"]}:
                    yield f"Ingress {one['metadata']['name']} leads to no Service"
    if any(one["kind"] in ("Secret", "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding") for one in objects):
        yield "the chart makes secrets or rights"
    for name, chart, pod in pods(objects):
        names = {volume["name"] for volume in pod.get("volumes", [])}
        if name.startswith("StatefulSet/"):
            names |= {claim["metadata"]["name"] for claim in sets["spec"].get("volumeClaimTemplates", [])}
        for container in containers(pod):
            for mount in container.get("volumeMounts", []):
                if mount["name"] not in names:
                    yield f"{name}: {container['name']} mounts {mount['name']}, which is no volume"
