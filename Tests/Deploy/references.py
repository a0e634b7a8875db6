# SPDX-License-Identifier: Apache-2.0
"""Whether what Kubernetes objects name is there: volumes, ports, scale targets, selectors, and the options of our commands.

Usage: references.py RENDERED PGWEIR
"""
import subprocess
import sys

import yaml

# Made by hand from secrets, so no file of ours has them.
SECRETS = {"pgweir", "redis", "pgbouncer", "pgweir-scrape"}


def main():
    objects = [one for one in yaml.safe_load_all(open(sys.argv[1])) if one]
    names = {(one["kind"], one["metadata"]["name"]) for one in objects}
    wrong = []

    def need(condition, text):
        if not condition:
            wrong.append(text)

    pods = {}
    for one in objects:
        kind, name, spec = one["kind"], one["metadata"]["name"], one.get("spec", {})
        if "template" not in spec:
            continue
        label = f"{kind} {name}"
        template = spec["template"]
        pods[label] = template
        labels = template["metadata"]["labels"]
        need(spec["selector"]["matchLabels"].items() <= labels.items(), f"{label} does not select its own pods")
        pod = template["spec"]
        volumes = {volume["name"] for volume in pod.get("volumes", [])}
        volumes |= {claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates", [])}
        for volume in pod.get("volumes", []):
            if "configMap" in volume:
                need(("ConfigMap", volume["configMap"]["name"]) in names, f"{label}: no ConfigMap of {volume['name']}")
            if "secret" in volume:
                need(volume["secret"]["secretName"] in SECRETS, f"{label}: nobody makes the Secret of {volume['name']}")
        for container in pod.get("initContainers", []) + pod["containers"]:
            label_of = f"{label}/{container['name']}"
            mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
            need(mounted <= volumes, f"{label_of} mounts what is no volume: {mounted - volumes}")
            need("resources" in container and "securityContext" in container, f"{label_of} is not bounded")
            program = (container.get("command") or ["/usr/bin/pgweir"])[0]
            if container["image"].startswith("pgweir") and program.endswith("/pgweir"):
                verb, *words = container["args"]
                options = subprocess.run([sys.argv[2], verb, "--help"], capture_output=True, text=True).stdout
                for word in words:
                    need(not word.startswith("--") or f"  {word} " in options + " ", f"{label_of}: {verb} has no {word}")

    def selected(labels):
        return [template for template in pods.values() if labels.items() <= template["metadata"]["labels"].items()]

    for one in objects:
        kind, name, spec = one["kind"], one["metadata"]["name"], one.get("spec", {})
        if kind == "HorizontalPodAutoscaler":
            target = spec["scaleTargetRef"]
            need((target["kind"], target["name"]) in names, f"{name} scales nothing")
        if kind == "Service":
            found = selected(spec["selector"])
            need(found, f"Service {name} has no pods")
            ports = {p["name"] for t in found for c in t["spec"]["containers"] for p in c.get("ports", [])}
            for port in spec["ports"]:
                target = port.get("targetPort", port["port"])
                need(isinstance(target, int) or target in ports, f"Service {name}: no port {target}")
        if kind == "PodDisruptionBudget":
            need(selected(spec["selector"]["matchLabels"]), f"PodDisruptionBudget {name} has no pods")
        if kind == "NetworkPolicy":
            need(selected(spec["podSelector"]["matchLabels"]), f"NetworkPolicy {name} has no pods")
        if kind == "PodMonitor" and pods:
            found = selected(spec["selector"]["matchLabels"])
            ports = {p["name"] for t in found for c in t["spec"]["containers"] for p in c.get("ports", [])}
            for endpoint in spec["podMetricsEndpoints"]:
                need(endpoint["port"] in ports, f"PodMonitor {name}: no port {endpoint['port']}")
        if kind in ("PodMonitor", "PrometheusRule"):
            need(one["apiVersion"] == "monitoring.coreos.com/v1", f"{kind} {name} is of another version")
    for text in wrong:
        print("FAILED", text)
    sys.exit(bool(wrong))


main()
