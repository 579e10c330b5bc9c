import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tapeline_local import paths
from tapeline_local.setup import pins

from unit.local import fake_tools
from unit.local.fake_tools import Tools

PINS = pins.read(paths.CHECKOUT)
MAKING = ("docker run", "docker build ", "docker push", "kind create", "helm upgrade", "kubectl apply")


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    return fake_tools.fresh(tmp_path / "bin")


@pytest.fixture
def whole(tools: Tools) -> Iterator[list[str]]:
    """Arguments of a `kind-up` that gets to its end."""
    with fake_tools.registry() as address:
        yield ["kind-up", "--registry", address, "--report", str(tools.folder / "images.json")]


def position(calls: list[str], words: str) -> int:
    return next(number for number, call in enumerate(calls) if call.startswith(words))


def test_a_dry_run_needs_no_tool_and_names_every_pinned_version(tmp_path):
    bare = Tools(tmp_path / "bin", {})
    bare.put()
    done = bare.run("kind-up", "--dry-run", "--keda")
    assert done.returncode == 0, done.stderr
    assert "kind create cluster --config kind-config.yaml" in done.stdout
    assert PINS["KIND_NODE_IMAGE"] in (paths.CHECKOUT / "kind-config.yaml").read_text()
    for name in ("REGISTRY_IMAGE", "BASE_IMAGE", "UV_VERSION", "TAPELINE_VERSION", "SETUPTOOLS_VERSION"):
        assert PINS[name] in done.stdout, name
    for name in ("STRIMZI", "ECK", "SPARK_OPERATOR", "KEDA"):
        assert f"--version {PINS[f'{name}_VERSION']} " in done.stdout, name
    assert f"--version {PINS['METRICS_SERVER_CHART_VERSION']} " in done.stdout


def test_a_dry_run_prints_the_commands_of_a_first_run(tools, whole):
    printed = [line[2:] for line in tools.run(*whole, "--dry-run").stdout.splitlines() if line.startswith("$ ")]
    assert tools.calls() == []
    done = tools.run(*whole)
    assert done.returncode == 0, done.stderr
    made = [call for call in tools.calls() if call.startswith(MAKING) or call.startswith("docker exec")]
    plain = [line.replace("'", "").split(" <<")[0] for line in printed]
    for call in made:
        assert any(call in line for line in plain), call


def test_the_steps_come_in_the_order_in_which_they_need_each_other(tools, whole):
    tools.run(*whole)
    calls = tools.calls()
    order = [
        "docker info",
        "docker run --detach",
        "kind create cluster",
        "docker exec tapeline-control-plane mkdir",
        "docker network connect kind kind-registry",
        "kubectl --context kind-tapeline apply --filename k8s/namespaces.yaml",
        "helm upgrade --install strimzi",
        "kubectl --context kind-tapeline wait",
        "docker build ",
        "docker push localhost:",
    ]
    places = [position(calls, words) for words in order]
    assert places == sorted(places)


def test_nodes_resolve_localhost_5001_to_the_registry(tools):
    tools.run("kind-up", "--without-images")
    written = [stdin for command, stdin, _ in tools.entries() if "/dev/stdin" in command]
    assert written == ['[host."http://kind-registry:5000"]\n']


def test_crds_that_helm_leaves_as_they_are_are_applied_before_each_upgrade(tools):
    tools.run("operators")
    applied = [stdin for command, stdin, _ in tools.entries() if "--server-side" in command]
    assert applied == ["kind: CustomResourceDefinition\n"] * 2


def test_a_second_run_creates_nothing_twice(tools):
    tools.table |= {
        "kind get clusters": (0, "other\\ntapeline"),
        "docker inspect --format {{.State": (0, "true"),
        "docker inspect --format {{json": (0, '{"NetworkID":"1"}'),
        "docker info": fake_tools.info(2),
    }
    # The specific answers must be found before the general one.
    tools.table["docker inspect"] = tools.table.pop("docker inspect")
    done = tools.run("kind-up", "--without-images")
    assert done.returncode == 0, done.stderr
    assert not [
        c for c in tools.calls() if c.startswith(("docker run", "docker start", "kind create", "docker network"))
    ]


def recorded_models(tools: Tools) -> list[str]:
    return [stdin for command, stdin, _ in tools.entries() if "tapeline-first-model" in stdin and "apply" in command]


def test_a_bootstrap_model_is_pushed_from_within_the_network_and_recorded_for_the_chart(tools, whole):
    done = tools.run(*whole)
    assert done.returncode == 0, done.stderr
    (push,) = [call for call in tools.calls() if call.startswith("docker run --rm")]
    assert push.endswith("/tapeline/trainer:0.1.0 bootstrap-model")
    assert "--network kind" in push
    (note,) = recorded_models(tools)
    assert yaml.safe_load(note) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "tapeline-first-model", "namespace": "tapeline"},
        "data": {"reference": fake_tools.FIRST_MODEL},
    }


def test_a_recorded_model_is_kept(tools, whole):
    tools.table["kubectl --context kind-tapeline --namespace tapeline get configmap"] = (0, "")
    tools.run(*whole)
    assert not recorded_models(tools)


def test_a_reference_without_a_digest_is_never_recorded(tools, whole):
    tools.table["docker run --rm"] = (0, "localhost:5001/tapeline/models:newest")
    done = tools.run(*whole)
    assert done.returncode == 1
    assert "not a reference by digest" in done.stderr
    assert not recorded_models(tools)


def test_a_registry_that_was_stopped_is_started_again(tools):
    tools.table = {"docker inspect --format {{.State": (0, "false"), **tools.table}
    tools.run("kind-up", "--without-images")
    assert "docker start kind-registry" in tools.calls()
    assert not [call for call in tools.calls() if call.startswith("docker run")]


def test_every_missing_tool_is_named_at_once_with_where_to_get_it(tmp_path):
    bare = Tools(tmp_path / "bin", {})
    bare.put("kubectl")
    done = bare.run("kind-up")
    assert done.returncode == 1
    assert "docker, kind" in done.stderr
    assert f"version {PINS['KIND_VERSION']}" in done.stderr
    assert "kubectl:" not in done.stderr


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((1, ""), "Docker does not answer"),
        ((0, json.dumps({"ServerErrors": ["Cannot connect to the Docker daemon"]})), "Cannot connect to the Docker"),
        (fake_tools.info(6.5), "6.5 GiB of memory are free"),
        (fake_tools.info(32, cgroup=1), "cgroups of version 1"),
    ],
)
def test_an_unfit_machine_is_refused_before_anything_is_made(tools, answer, reason):
    tools.table["docker info"] = answer
    done = tools.run("kind-up")
    assert done.returncode == 1
    assert reason in done.stderr
    assert not [call for call in tools.calls() if call.startswith(MAKING)]


def test_force_overrides_the_check_of_resources(tools):
    tools.table["docker info"] = fake_tools.info(6.5)
    assert tools.run("kind-up", "--force", "--without-images").returncode == 0


def test_a_failing_step_ends_it_and_names_the_command(tools):
    tools.table["helm upgrade --install elastic-operator"] = (1, "")
    done = tools.run("kind-up")
    assert done.returncode == 1
    assert "exit code 1 of: helm upgrade --install elastic-operator" in done.stderr
    assert not [call for call in tools.calls() if "install spark-operator" in call or "docker build" in call]


def test_another_version_of_kind_is_reported(tools):
    tools.table["kind version"] = (0, "kind v0.20.0 go1.20 linux/amd64")
    assert f"built for v{PINS['KIND_VERSION']}" in tools.run("kind-up", "--without-images").stdout


def test_down_keeps_the_registry_unless_asked(tools):
    tools.run("kind-down")
    assert [c for c in tools.calls() if c.startswith("kind delete")] == ["kind delete cluster --name tapeline"]
    assert not [c for c in tools.calls() if c.startswith("docker rm")]
    tools.run("kind-down", "--all")
    assert "docker rm --force --volumes kind-registry" in tools.calls()


def test_the_operators_go_into_the_context_that_is_named(tools):
    tools.run("operators", "--context", "production")
    for call in tools.calls():
        if call.startswith(("helm upgrade", "kubectl")):
            assert "context production" in call


def test_every_release_has_its_file_of_values():
    from tapeline_local.cluster import operators

    for operator in (operators.METRICS_SERVER, *operators.OPERATORS, operators.KEDA):
        assert (paths.CHECKOUT / "k8s" / "operators" / f"{operator.name}.yaml").is_file()
