"""Installs the operators whose resources our charts are made of, each at its pinned version, and waits for them.

They are releases of their own: a release that holds an operator and its resources cannot be installed, and on the way
out the resources would outlive who must let them go. To add one: a line in OPERATORS, values below k8s/operators/.
"""

from dataclasses import dataclass

from tapeline_local.cluster import checks
from tapeline_local.cluster.shell import Shell

_VALUES = "k8s/operators"
_PATIENCE = "10m"


@dataclass(frozen=True)
class Operator:
    """One Helm release.

    Attributes:
        name: of the release, and of its file of values.
        chart: name in its repository, or an oci:// address.
        repository: address of the repository; empty for oci.
        pin: name of the version in versions.env.
        namespace: where it lives.
        crds: of its resources, waited for.
        own_crds: whether Helm treats them as first-install only, so that they must be brought up to date by hand.
    """

    name: str
    chart: str
    repository: str
    pin: str
    namespace: str
    crds: tuple[str, ...] = ()
    own_crds: bool = False


METRICS_SERVER = Operator(
    "metrics-server",
    "metrics-server",
    "https://kubernetes-sigs.github.io/metrics-server/",
    "METRICS_SERVER_CHART_VERSION",
    "kube-system",
)
OPERATORS = (
    Operator(
        "strimzi",
        "oci://quay.io/strimzi-helm/strimzi-kafka-operator",
        "",
        "STRIMZI_VERSION",
        "strimzi-system",
        tuple(f"{kind}.kafka.strimzi.io" for kind in ("kafkas", "kafkanodepools", "kafkatopics", "kafkausers")),
        own_crds=True,
    ),
    Operator(
        "elastic-operator",
        "eck-operator",
        "https://helm.elastic.co",
        "ECK_VERSION",
        "elastic-system",
        ("elasticsearches.elasticsearch.k8s.elastic.co", "kibanas.kibana.k8s.elastic.co"),
    ),
    Operator(
        "spark-operator",
        "spark-operator",
        "https://kubeflow.github.io/spark-operator",
        "SPARK_OPERATOR_VERSION",
        "spark-operator",
        ("sparkapplications.sparkoperator.k8s.io",),
        own_crds=True,
    ),
)
KEDA = Operator(
    "keda",
    "keda",
    "https://kedacore.github.io/charts",
    "KEDA_VERSION",
    "keda",
    ("scaledobjects.keda.sh", "triggerauthentications.keda.sh"),
)


def install(shell: Shell, pins: dict[str, str], context: str, *, keda: bool, metrics_server: bool = False) -> None:
    """Make the namespaces, install or upgrade every operator, and wait until each is ready.

    Args:
        shell: runs it.
        pins: of versions.env.
        context: of the kubeconfig; empty: the current one.
        keda: with KEDA, for scaling on what is not CPU.
        metrics_server: with the source of CPU figures, which a kind cluster does not have.

    Raises:
        ClusterError: something is missing, or an operator did not become ready.
    """
    if not shell.dry_run:
        checks.tools(("kubectl", "helm"), shell.environment.get("PATH", ""), pins)
    kubectl = ("kubectl", "--context", context) if context else ("kubectl",)
    where = context or shell.ask("kubectl", "config", "current-context").text or "the current context"
    shell.say(f"into {where}")
    for file in ("k8s/namespaces.yaml", f"{_VALUES}/namespaces.yaml"):
        shell.run(*kubectl, "apply", "--filename", file)
    wanted = [*([METRICS_SERVER] if metrics_server else []), *OPERATORS, *([KEDA] if keda else [])]
    for number, operator in enumerate(wanted, start=1):
        version = pins[operator.pin]
        shell.say(f"operator {number} of {len(wanted)}: {operator.name} {version} (its image is pulled: minutes)")
        _install(shell, operator, version, context, kubectl)
    crds = [f"crd/{name}" for operator in wanted for name in operator.crds]
    shell.run(*kubectl, "wait", "--for=condition=Established", "--timeout=60s", *crds)


def _install(shell: Shell, operator: Operator, version: str, context: str, kubectl: tuple[str, ...]) -> None:
    chart = (operator.chart, "--version", version, *(("--repo", operator.repository) if operator.repository else ()))
    if operator.own_crds:
        # `helm upgrade` never touches what lies in a chart's crds/; too large for a client-side apply.
        apply = (*kubectl, "apply", "--server-side", "--force-conflicts", "--filename", "-")
        shell.hand_over(("helm", "show", "crds", *chart), *apply)
    shell.run(
        *("helm", "upgrade", "--install", operator.name, *chart),
        *("--namespace", operator.namespace, "--values", f"{_VALUES}/{operator.name}.yaml"),
        *(("--kube-context", context) if context else ()),
        *("--wait", "--timeout", _PATIENCE),
    )
