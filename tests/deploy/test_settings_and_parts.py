"""The composition and the manifests name settings, commands, images and each other rightly."""

import json
import re
from ipaddress import ip_network
from typing import Final

import pytest
from pydantic import ValidationError
from typer.main import get_command

from server.cli import app
from server.settings import Settings, variable
from server.telemetry.variables import export_settings
from storage.qdrant.versions import OLDEST
from tests.deploy.files import (
    DEPLOY,
    KUBERNETES,
    ROOT,
    Yaml,
    compose,
    containers,
    dockerfile,
    manifests,
    parsed,
    pods,
)

SERVICE_KEYS: Final = frozenset(
    [
        "build",
        "command",
        "configs",
        "depends_on",
        "environment",
        "healthcheck",
        "image",
        "ports",
        "profiles",
        "restart",
        "shm_size",
        "stop_grace_period",
        "stop_signal",
        "volumes",
    ]
)
"""Of a service, as the specification of compose files has them and this one uses them."""

SETTINGS: Final = {variable(name): name for name in Settings.model_fields}
HOST: Final = re.compile(r"^[\w-]+(\.[\w-]+)+(:\d+)?/|^localhost[:/]")
"""How an image's name begins that is of one registry."""


def environment_of(container: Yaml) -> dict[str, str | None]:
    """Variables of a container of a manifest; None for those whose value is a secret."""
    found: dict[str, str | None] = {}
    maps = {each["metadata"]["name"]: each["data"] for each in of_kind("ConfigMap")}
    for source in container.get("envFrom", ()):
        found |= maps[source["configMapRef"]["name"]]
    found |= {each["name"]: each.get("value") for each in container.get("env", ())}
    return found


def of_kind(kind: str) -> list[Yaml]:
    return [each for each in manifests() if each["kind"] == kind]


def environments() -> dict[str, dict[str, str | None]]:
    """All variables of each part, by its name."""
    found = {
        f"compose {name}": service["environment"]
        for name, service in compose()["services"].items()
        if "environment" in service
    }
    return found | {f"manifest {each['name']}": environment_of(each) for each in containers()}


def filled(value: str) -> str:
    """A value of a compose file whose variables have their defaults, or something where they have none."""
    return re.sub(r"\$\{\w+(?::-([^}]*)|:\?[^}]*)?\}", lambda found: found[1] or "", value)


# ------------------------------------------------------------------------------------------ settings


@pytest.mark.parametrize("part", environments())
def test_every_variable_of_opentelemetry_is_one_that_is_read(part: str) -> None:
    named = {
        name: value for name, value in environments()[part].items() if name.startswith("OTEL_")
    }
    for name, value in named.items():
        assert export_settings({name: filled(str(value))}) is None, (
            "it is off until it is asked for"
        )
        assert export_settings({name: "http://jaeger:4318"}) is not None


@pytest.mark.parametrize("part", environments())
def test_every_setting_that_is_named_is_one_and_takes_its_value(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environments()[part].items():
        if name.startswith("CHORUS_"):
            assert name in SETTINGS, f"{part} names {name}, which is no setting"
        if name in SETTINGS and value is not None:
            monkeypatch.setenv(name, filled(str(value)))
    try:
        Settings()
    except ValidationError as error:
        pytest.fail(f"{part} is refused: {error}")


def test_the_image_names_settings_alone() -> None:
    named = {
        name
        for instruction, rest in dockerfile()
        if instruction == "ENV"
        for name in re.findall(r"(CHORUS_\w+)=", rest)
    }
    assert named == {"CHORUS_HOST", "CHORUS_DATA"} & SETTINGS.keys()


def test_every_variable_that_compose_needs_is_in_the_example() -> None:
    text = (DEPLOY / "compose.yaml").read_text("utf-8")
    asked = set(re.findall(r"\$\{(\w+)", text))
    example = (DEPLOY / "env.example").read_text("utf-8")
    given = dict(re.findall(r"^(\w+)=(.*)$", example, re.MULTILINE))
    assert given.keys() == asked
    for name in re.findall(r"\$\{(\w+):\?", text):
        assert given[name] == "", f"the example holds a secret: {name}"


def test_the_proxy_whose_word_is_taken_is_in_the_network_of_the_servers() -> None:
    whole = compose()
    (subnet,) = whole["networks"]["default"]["ipam"]["config"]
    trusted = whole["services"]["chorus-1"]["environment"]["CHORUS_TRUSTED_PROXIES"]
    assert ip_network(trusted) == ip_network(subnet["subnet"])


# ------------------------------------------------------------------------------------ the composition


def test_the_composition_is_of_the_specifications_shape_and_its_names_lead_somewhere() -> None:
    whole = compose()
    assert whole.keys() <= {"name", "x-server", "services", "configs", "networks", "volumes"}
    for name, service in whole["services"].items():
        assert service.keys() <= SERVICE_KEYS, name
        assert "image" in service, name
        after = service.get("depends_on", [])
        assert set(after) <= whole["services"].keys(), name
        if isinstance(after, dict):
            for other, how in after.items():
                assert how["condition"] in {
                    "service_started",
                    "service_healthy",
                    "service_completed_successfully",
                }
                if how["condition"] == "service_healthy":
                    assert "test" in whole["services"][other]["healthcheck"], other
        for each in service.get("volumes", ()):
            source = each.split(":")[0]
            if source.startswith("."):
                assert (DEPLOY / source).exists(), f"{name} mounts {source}, which is not there"
            else:
                assert source in whole["volumes"], name
        for each in service.get("configs", ()):
            assert each["source"] in whole["configs"], name
        if "build" in service:
            context = (DEPLOY / service["build"]["context"]).resolve()
            assert (context, (context / service["build"]["dockerfile"]).is_file()) == (ROOT, True)


def test_three_servers_start_once_the_database_is_migrated_and_are_probed() -> None:
    services = compose()["services"]
    servers = [name for name, each in services.items() if each.get("image") == "chorus:local"]
    assert servers == ["chorus-1", "chorus-2", "chorus-3", "migrate"]
    for name in servers[:3]:
        service = services[name]
        assert service["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
        assert "/readyz" in service["healthcheck"]["test"][-1]
        compile(service["healthcheck"]["test"][-1], name, "exec")
    assert services["migrate"]["command"] == ["migrate"]


def test_the_proxy_spreads_over_all_servers_and_is_not_sticky() -> None:
    text = (DEPLOY / "Caddyfile").read_text("utf-8")
    (upstreams,) = re.findall(r"reverse_proxy (.+) \{", text)
    servers = {name for name in compose()["services"] if name.startswith("chorus-")}
    assert set(upstreams.split()) == {f"{name}:8080" for name in servers}
    (policy,) = re.findall(r"lb_policy (\w+)", text)
    assert policy not in {"cookie", "ip_hash", "client_ip_hash", "header", "uri_hash", "query"}


# -------------------------------------------------------------------------------------- the manifests


def test_every_part_of_the_manifests_has_what_it_names() -> None:
    (template,) = of_kind("Secret")
    keys = template["stringData"].keys()
    assert set(template["stringData"].values()) == {""}, "the template holds a secret"
    for container in containers():
        for each in container.get("env", ()):
            if "value" not in each:
                named = each["valueFrom"]["secretKeyRef"]
                assert named["name"] == template["metadata"]["name"]
                assert named["key"] in keys, f"{container['name']} needs {named['key']}"
        ports = {each["name"] for each in container.get("ports", ())}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if "httpGet" in container.get(probe, {}):
                assert container[probe]["httpGet"]["port"] in ports
    named_pods = {name: template["metadata"]["labels"] for name, template in pods()}
    for each in of_kind("Service"):
        assert each["spec"]["selector"] in named_pods.values(), each["metadata"]["name"]
    for each in (*of_kind("Deployment"), *of_kind("StatefulSet"), *of_kind("PodDisruptionBudget")):
        labels = each["spec"]["selector"]["matchLabels"]
        assert labels == named_pods[each["metadata"]["name"]]
    services = {each["metadata"]["name"]: each["spec"]["ports"] for each in of_kind("Service")}
    (ingress,) = of_kind("Ingress")
    (backend,) = [
        path["backend"]["service"]
        for rule in ingress["spec"]["rules"]
        for path in rule["http"]["paths"]
    ]
    assert backend["port"]["name"] in {each["name"] for each in services[backend["name"]]}


def test_every_manifest_is_applied_or_an_example() -> None:
    (whole,) = parsed(KUBERNETES / "kustomization.yaml")
    there = {file.name for file in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}
    assert there == {*whole["resources"], "secret.example.yaml"}
    for each in manifests():
        assert each.keys() >= {"apiVersion", "kind", "metadata"}


def test_servers_are_ended_in_order_one_at_a_time_and_not_as_root() -> None:
    (deployment,) = [each for each in of_kind("Deployment") if each["metadata"]["name"] == "chorus"]
    spec = deployment["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert spec["terminationGracePeriodSeconds"] >= pause + 10 + 5
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    (service,) = [each for each in of_kind("Service") if each["metadata"]["name"] == "chorus"]
    assert service["spec"]["sessionAffinity"] == "None"
    (budget,) = of_kind("PodDisruptionBudget")
    assert budget["spec"]["maxUnavailable"] == 1
    for name, template in pods():
        assert template["spec"]["enableServiceLinks"] is False, "it would set CHORUS_PORT"
        if name.startswith("chorus"):
            assert template["spec"]["securityContext"]["runAsNonRoot"] is True
            for ours in (*template["spec"]["initContainers"], *template["spec"]["containers"]):
                assert ours["securityContext"]["readOnlyRootFilesystem"] is True
            user = template["spec"]["securityContext"]["runAsUser"]
            assert ("USER", f"{user}:{user}") in dockerfile()


# ---------------------------------------------------------------------------------- what they share


def test_what_containers_run_is_a_command_of_chorus() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    image = dict(dockerfile())
    assert json.loads(image["ENTRYPOINT"]) == ["chorus"]
    ours = [service for service in compose()["services"].values() if "build" in service]
    ran = [json.loads(image["CMD"]), *(each.get("command", ["serve"]) for each in ours)]
    ran += [each["args"] for each in containers() if each["image"] == "chorus:local"]
    assert {command for command, *_ in ran} == {"serve", "migrate"}
    assert {"serve", "migrate"} <= set(commands)


def test_each_pod_migrates_before_its_server_starts() -> None:
    (spec,) = [template["spec"] for name, template in pods() if name == "chorus"]
    (migrating,) = spec["initContainers"]
    (serving,) = spec["containers"]
    assert (migrating["args"], serving["args"]) == (["migrate"], ["serve"])
    assert migrating["image"] == serving["image"]


def test_images_have_a_version_are_of_no_one_registry_and_agree() -> None:
    composed = {service["image"] for service in compose()["services"].values()}
    applied = {each["image"] for each in containers()}
    assert applied <= composed, "a manifest and the composition run different versions"
    built_on = {rest.split()[0] for instruction, rest in dockerfile() if instruction == "FROM"}
    for image in composed | built_on:
        assert not HOST.match(image), image
        assert ":" in image, f"{image} has no version"
        assert not image.endswith(":latest"), image
    (qdrant,) = [image for image in composed if image.startswith("qdrant/")]
    found = re.search(r":v(\d+)\.(\d+)", qdrant)
    assert found is not None
    assert (int(found[1]), int(found[2])) >= OLDEST
