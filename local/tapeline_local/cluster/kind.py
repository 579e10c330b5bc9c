"""A kind cluster with a registry beside it, ready for `helm install tapeline charts/tapeline`.

Every step looks first and does only what is missing, so that a second run repairs and does no harm.
Source: https://kind.sigs.k8s.io/docs/user/local-registry/
"""

from dataclasses import dataclass

from tapeline_local.cluster import bootstrap_model, checks, images, operators
from tapeline_local.cluster.shell import Shell

CLUSTER = "tapeline"
CONTEXT = f"kind-{CLUSTER}"
REGISTRY = "kind-registry"
"""Name of the container, and of the host as pods and nodes see it."""
ADDRESS = "localhost:5001"
"""The same registry as this machine sees it, and as image names say it."""
CONFIG = "kind-config.yaml"
_CERTS = f"/etc/containerd/certs.d/{ADDRESS}"
_HOSTS = f'[host."http://{REGISTRY}:5000"]\n'
_NEXT = f"""ready. Now:
  helm install tapeline charts/tapeline --kube-context {CONTEXT} --namespace tapeline
  kubectl --context {CONTEXT} apply -f k8s/spark-application.yaml"""


@dataclass(frozen=True)
class UpOptions:
    """What a person may choose.

    Attributes:
        build: options of the images, or None to leave images alone.
        keda: with KEDA.
        force: go on although memory or cgroups say no.
    """

    build: images.BuildOptions | None
    keda: bool = False
    force: bool = False


def up(shell: Shell, pins: dict[str, str], options: UpOptions) -> None:
    """Make everything that is not there yet.

    Raises:
        ClusterError: the machine is not fit for it, or a step failed.
    """
    check(shell, pins, options.force)
    shell.say("1/7 registry")
    _registry(shell, pins)
    shell.say("2/7 cluster")
    _cluster(shell)
    shell.say("3/7 the way from the nodes to the registry")
    _connect(shell)
    shell.run("kubectl", "--context", CONTEXT, "apply", "--filename", "k8s/registry.yaml")
    shell.say("4/7 operators")
    operators.install(shell, pins, CONTEXT, keda=options.keda, metrics_server=True)
    if options.build is None:
        shell.say(
            "5/7 to 7/7 images and a first model: left out as asked; `make images load bootstrap-model` brings them"
        )
    else:
        shell.say("5/7 images")
        images.build(shell, pins, options.build)
        shell.say("6/7 images into the registry")
        images.load(shell, pins, options.build)
        shell.say("7/7 a first model")
        _bootstrap_model(shell, pins, options.build.registry)
    shell.say(_NEXT)


def down(shell: Shell, pins: dict[str, str], *, registry_too: bool) -> None:
    """Remove the cluster with all that is in it; the registry, and so the images, only where asked.

    Raises:
        ClusterError: kind or Docker failed.
    """
    if not shell.dry_run:
        checks.tools(("docker", "kind"), shell.environment.get("PATH", ""), pins)
        checks.engine(shell)
    shell.run("kind", "delete", "cluster", "--name", CLUSTER)
    if registry_too:
        shell.run("docker", "rm", "--force", "--volumes", REGISTRY)
    else:
        shell.say(f"the registry {REGISTRY} stays with its images; `make kind-down ALL=1` removes it too")


def check(shell: Shell, pins: dict[str, str], force: bool) -> None:
    """Refuse before anything is made what would fail or stagger later.

    Raises:
        ClusterError: it is not fit.
    """
    if shell.dry_run:
        return
    checks.tools(("docker", "kind", "kubectl", "helm"), shell.environment.get("PATH", ""), pins)
    found = checks.engine(shell)
    free = checks.free_bytes(found)
    if force:
        shell.say(f"not held back by {free / 2**30:.1f} GiB of memory, cgroups of version {found.cgroup_version}")
    elif not _exists(shell):  # a cluster that runs already uses the memory that is asked for here
        checks.enough(found, free)
    version = shell.ask("kind", "version").text
    if f"v{pins['KIND_VERSION']}" not in version.split():
        shell.say(
            f"kind was {version or 'silent'}; the node image is made for v{pins['KIND_VERSION']}: it may not start"
        )


def _exists(shell: Shell) -> bool:
    return CLUSTER in shell.ask("kind", "get", "clusters").text.splitlines()


def _registry(shell: Shell, pins: dict[str, str]) -> None:
    """Have the registry run; it is started again with Docker and keeps its images in a volume of its own."""
    state = shell.ask("docker", "inspect", "--format", "{{.State.Running}}", REGISTRY)
    if state.code:
        port = ADDRESS.rpartition(":")[2]
        publish = ("--publish", f"127.0.0.1:{port}:5000")
        shell.run(
            *("docker", "run", "--detach", "--restart", "always", "--name", REGISTRY, "--network", "bridge"),
            *publish,
            pins["REGISTRY_IMAGE"],
        )
    elif state.text != "true":
        shell.run("docker", "start", REGISTRY)
    else:
        shell.say(f"{REGISTRY} runs")


def _cluster(shell: Shell) -> None:
    if _exists(shell):
        shell.say(f"cluster {CLUSTER} is there")
        shell.run("kind", "export", "kubeconfig", "--name", CLUSTER)
    else:
        shell.run("kind", "create", "cluster", "--config", CONFIG, "--wait", "5m")


def _bootstrap_model(shell: Shell, pins: dict[str, str], registry: str) -> None:
    """Have a first model, pushed by the trainer's own image from within the cluster's network."""
    if bootstrap_model.is_noted(shell, CONTEXT):
        shell.say("one is noted; `make bootstrap-model` makes another")
        return
    trainer = next(image for image in images.IMAGES if image.name == "trainer")
    environment = {
        "TRAINER_REGISTRY": f"{REGISTRY}:5000",
        "TRAINER_REGISTRY_REFERENCE": registry,
        "TRAINER_REGISTRY_INSECURE": "true",
    }
    command = ["docker", "run", "--rm", "--network", "kind"]
    for name in environment:
        command += ["--env", name]
    command += [images.reference(trainer, registry, pins), "bootstrap-model"]
    bootstrap_model.push(shell, tuple(command), environment, CONTEXT)


def _connect(shell: Shell) -> None:
    """Let `localhost:5001/...` mean the registry on every node too, where localhost is the node itself."""
    nodes = shell.ask("kind", "get", "nodes", "--name", CLUSTER).text.split() or [f"{CLUSTER}-control-plane"]
    for node in nodes:
        shell.run("docker", "exec", node, "mkdir", "-p", _CERTS)
        shell.run("docker", "exec", "--interactive", node, "cp", "/dev/stdin", f"{_CERTS}/hosts.toml", stdin=_HOSTS)
    joined = shell.ask("docker", "inspect", "--format", "{{json .NetworkSettings.Networks.kind}}", REGISTRY)
    if joined.code or joined.text in ("null", ""):
        shell.run("docker", "network", "connect", "kind", REGISTRY)
