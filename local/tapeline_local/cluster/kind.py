"""A kind cluster with a registry beside it, ready for `helm install tapeline charts/tapeline`.

Every step is idempotent: it checks first and does only what is missing.
Source: https://kind.sigs.k8s.io/docs/user/local-registry/
"""

from dataclasses import dataclass

from tapeline_local.cluster import bootstrap_model, checks, images, operators
from tapeline_local.cluster.shell import Shell

CLUSTER = "tapeline"
CONTEXT = f"kind-{CLUSTER}"
REGISTRY = "kind-registry"
"""Name of the container, and the host name for pods and nodes."""
ADDRESS = "localhost:5001"
"""Address of the registry on this machine, and prefix of image names."""
CONFIG = "kind-config.yaml"
_CERTS = f"/etc/containerd/certs.d/{ADDRESS}"
_HOSTS = f'[host."http://{REGISTRY}:5000"]\n'
_NEXT = f"""ready. Now:
  helm install tapeline charts/tapeline --kube-context {CONTEXT} --namespace tapeline
  kubectl --context {CONTEXT} apply -f k8s/spark-application.yaml"""


@dataclass(frozen=True)
class UpOptions:
    """Options of `make kind-up`.

    Attributes:
        build: options of the images, or None for no images.
        keda: install KEDA.
        force: continue with too little memory or old cgroups.
    """

    build: images.BuildOptions | None
    keda: bool = False
    force: bool = False


def up(shell: Shell, pins: dict[str, str], options: UpOptions) -> None:
    """Create everything that is missing.

    Raises:
        ClusterError: the machine has too few resources, or a step failed.
    """
    check(shell, pins, options.force)
    shell.say("1/7 registry")
    _registry(shell, pins)
    shell.say("2/7 cluster")
    _cluster(shell)
    shell.say("3/7 registry access of the nodes")
    _connect(shell)
    shell.run("kubectl", "--context", CONTEXT, "apply", "--filename", "k8s/registry.yaml")
    shell.say("4/7 operators")
    operators.install(shell, pins, CONTEXT, keda=options.keda, metrics_server=True)
    if options.build is None:
        shell.say("5/7 to 7/7 images and a bootstrap model: skipped; `make images load bootstrap-model` adds them")
    else:
        shell.say("5/7 images")
        images.build(shell, pins, options.build)
        shell.say("6/7 images into the registry")
        images.load(shell, pins, options.build)
        shell.say("7/7 bootstrap model")
        _bootstrap_model(shell, pins, options.build.registry)
    shell.say(_NEXT)


def down(shell: Shell, pins: dict[str, str], *, with_registry: bool) -> None:
    """Remove the cluster, and the registry with its images if requested.

    Raises:
        ClusterError: kind or Docker failed.
    """
    if not shell.dry_run:
        checks.require_tools(("docker", "kind"), shell.environment.get("PATH", ""), pins)
        checks.inspect_engine(shell)
    shell.run("kind", "delete", "cluster", "--name", CLUSTER)
    if with_registry:
        shell.run("docker", "rm", "--force", "--volumes", REGISTRY)
    else:
        shell.say(f"kept the registry {REGISTRY} and its images; `make kind-down ALL=1` removes it too")


def check(shell: Shell, pins: dict[str, str], force: bool) -> None:
    """Refuse an unsuitable machine before anything is created.

    Raises:
        ClusterError: a tool is missing, or the machine has too few resources.
    """
    if shell.dry_run:
        return
    checks.require_tools(("docker", "kind", "kubectl", "helm"), shell.environment.get("PATH", ""), pins)
    found = checks.inspect_engine(shell)
    free = checks.available_bytes(found)
    if force:
        shell.say(f"FORCE: continuing with {free / 2**30:.1f} GiB of memory, cgroups of version {found.cgroup_version}")
    elif not _exists(shell):  # a running cluster already uses the required memory
        checks.require_resources(found, free)
    version = shell.capture("kind", "version").text
    if f"v{pins['KIND_VERSION']}" not in version.split():
        shell.say(
            f"kind was {version or 'silent'}; the node image is built for v{pins['KIND_VERSION']} and may not start"
        )


def _exists(shell: Shell) -> bool:
    return CLUSTER in shell.capture("kind", "get", "clusters").text.splitlines()


def _registry(shell: Shell, pins: dict[str, str]) -> None:
    """Start the registry if it is not running; it restarts with Docker and keeps its images in its own volume."""
    state = shell.capture("docker", "inspect", "--format", "{{.State.Running}}", REGISTRY)
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
        shell.say(f"{REGISTRY} is running")


def _cluster(shell: Shell) -> None:
    if _exists(shell):
        shell.say(f"cluster {CLUSTER} exists")
        shell.run("kind", "export", "kubeconfig", "--name", CLUSTER)
    else:
        shell.run("kind", "create", "cluster", "--config", CONFIG, "--wait", "5m")


def _bootstrap_model(shell: Shell, pins: dict[str, str], registry: str) -> None:
    """Push a bootstrap model with the trainer's image, from within the cluster's network."""
    if bootstrap_model.is_recorded(shell, CONTEXT):
        shell.say("a bootstrap model exists; `make bootstrap-model` pushes another")
        return
    trainer = next(image for image in images.IMAGES if image.name == "trainer")
    trainer_env = {
        "TRAINER_REGISTRY": f"{REGISTRY}:5000",
        "TRAINER_REGISTRY_REFERENCE": registry,
        "TRAINER_REGISTRY_INSECURE": "true",
    }
    command = ["docker", "run", "--rm", "--network", "kind"]
    for name in trainer_env:
        command += ["--env", name]
    bootstrap_model.push(
        shell, (*command, images.reference(trainer, registry, pins), "bootstrap-model"), trainer_env, CONTEXT
    )


def _connect(shell: Shell) -> None:
    """Map `localhost:5001/...` to the registry on every node, where localhost is the node itself."""
    nodes = shell.capture("kind", "get", "nodes", "--name", CLUSTER).text.split() or [f"{CLUSTER}-control-plane"]
    for node in nodes:
        shell.run("docker", "exec", node, "mkdir", "-p", _CERTS)
        shell.run("docker", "exec", "--interactive", node, "cp", "/dev/stdin", f"{_CERTS}/hosts.toml", stdin=_HOSTS)
    connected = shell.capture("docker", "inspect", "--format", "{{json .NetworkSettings.Networks.kind}}", REGISTRY)
    if connected.code or connected.text in ("null", ""):
        shell.run("docker", "network", "connect", "kind", REGISTRY)
