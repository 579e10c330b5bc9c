"""Installs the operators of our charts' resources at their pinned versions, and waits for them.

Each operator is a separate release: a release with an operator and its resources cannot be installed, and on uninstall
the resources would outlive the operator that must finalise them.
To add one: a line in OPERATORS, values below k8s/operators/.
"""

from dataclasses import dataclass

from tapeline_local.cluster import checks
from tapeline_local.cluster.shell import Shell

_VALUES = "k8s/operators"
_TIMEOUT = "10m"


@dataclass(frozen=True)
class Operator:
    """One Helm release.

    Attributes:
        name: of the release, and of its file of values.
        chart: name in its repository, or an oci:// address.
        repository: address of the repository; empty for oci.
        pin: name of the version in versions.env.
        namespace: of the release.
        crds: to wait for.
        own_crds: whether Helm installs its CRDs only once, so that an upgrade must apply them.
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
    """Create the namespaces, install or upgrade every operator, and wait until each is ready.

    Args:
        shell: runs the commands.
        pins: of versions.env.
        context: of the kubeconfig; empty: the current one.
        keda: install KEDA, for scaling on metrics other than CPU.
        metrics_server: install the metrics server, which a kind cluster lacks.

    Raises:
        ClusterError: a tool is missing, or an operator did not become ready.
    """
    if not shell.dry_run:
        checks.require_tools(("kubectl", "helm"), shell.environment.get("PATH", ""), pins)
    kubectl = ("kubectl", "--context", context) if context else ("kubectl",)
    target = context or shell.capture("kubectl", "config", "current-context").text or "the current context"
    shell.say(f"into {target}")
    for file in ("k8s/namespaces.yaml", f"{_VALUES}/namespaces.yaml"):
        shell.run(*kubectl, "apply", "--filename", file)
    selected = [*([METRICS_SERVER] if metrics_server else []), *OPERATORS, *([KEDA] if keda else [])]
    for number, operator in enumerate(selected, start=1):
        version = pins[operator.pin]
        shell.say(f"operator {number} of {len(selected)}: {operator.name} {version} (pulls its image, takes minutes)")
        _install(shell, operator, version, context, kubectl)
    crds = [f"crd/{name}" for operator in selected for name in operator.crds]
    shell.run(*kubectl, "wait", "--for=condition=Established", "--timeout=60s", *crds)


def _install(shell: Shell, operator: Operator, version: str, context: str, kubectl: tuple[str, ...]) -> None:
    chart = (operator.chart, "--version", version, *(("--repo", operator.repository) if operator.repository else ()))
    if operator.own_crds:
        # `helm upgrade` never updates a chart's crds/; the CRDs are too large for a client-side apply.
        apply = (*kubectl, "apply", "--server-side", "--force-conflicts", "--filename", "-")
        shell.pipe(("helm", "show", "crds", *chart), *apply)
    shell.run(
        *("helm", "upgrade", "--install", operator.name, *chart),
        *("--namespace", operator.namespace, "--values", f"{_VALUES}/{operator.name}.yaml"),
        *(("--kube-context", context) if context else ()),
        *("--wait", "--timeout", _TIMEOUT),
    )
