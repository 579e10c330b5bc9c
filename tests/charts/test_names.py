"""Names of resources stand in one file of each chart, templates/_names.tpl, and nowhere else."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tapeline import names

from charts.pods import config_map
from charts.render import CHARTS, NAMESPACE, Document, of_kind, one, rendered, template

NAMES = "_names.tpl"
TEMPLATES = [
    path
    for chart in ("apps", "elastic", "kafka", "tapeline")
    for path in sorted((CHARTS / chart / "templates").rglob("*"))
    if path.is_file() and path.name != NAMES
]
# What stands for a template's expression while its YAML is read.
EXPRESSION = "EXPRESSION"
# Keys whose value is the name of a resource, or a list of them.
REFERENCES = {
    *("serviceAccountName", "secretName", "claimName", "policyName", "serviceName", "configMapName", "resourceNames"),
    *("strimzi.io/cluster", "elasticsearch.k8s.elastic.co/cluster-name", "kibana.k8s.elastic.co/name"),
}
# Objects whose `name` is the name of a resource; so is that of a `resource` of Kafka's rules of access.
NAMED = {
    *("metadata", "configMap", "configMapRef", "configMapKeyRef", "secret", "secretRef", "secretKeyRef"),
    *("scaleTargetRef", "roleRef", "elasticsearchRef", "subjects", "imagePullSecrets", "persistentVolumeClaim"),
}
# Arguments of templates and functions that are names of resources.
ARGUMENTS = (
    re.compile(r'lookup "[^"]*" "[^"]*" [^"\s]+ "([^"]+)"'),
    re.compile(r'printf "(?:[a-z]+://)?([a-z0-9-]+)\.%s\.svc'),
)


def without_comments(text: str) -> str:
    text = re.sub(r"\{\{-?\s*/\*.*?\*/\s*-?\}\}", "", text, flags=re.DOTALL)
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))


def yaml_parts(text: str) -> Iterator[yaml.Node]:
    """Read a template's YAML, each named template and document by itself, expressions as one word.

    A line of nothing but expressions is left out. Nodes keep both branches of an `if`, which may say a key twice.
    """
    for part in re.split(r"\{\{-? define [^}]*\}\}|^---$", without_comments(text), flags=re.MULTILINE):
        lines = re.sub(r"\{\{.*?\}\}", EXPRESSION, part, flags=re.DOTALL).splitlines()
        kept = [line for line in lines if line.replace(EXPRESSION, "").strip()]
        node = yaml.compose("\n".join(kept), Loader=yaml.CSafeLoader)
        if node is not None:
            yield node


def scalars(node: yaml.Node) -> list[str]:
    if isinstance(node, yaml.SequenceNode):
        return [value for each in node.value for value in scalars(each)]
    return [str(node.value)] if isinstance(node, yaml.ScalarNode) else []


def names_in(node: yaml.Node, key: str = "") -> Iterator[tuple[str, str]]:
    """Return (place, value) of everything that names a resource."""
    if isinstance(node, yaml.SequenceNode):
        for each in node.value:
            yield from names_in(each, key)
    if isinstance(node, yaml.MappingNode):
        keys = {str(key_node.value) for key_node, _ in node.value}
        for key_node, value in node.value:
            inner = str(key_node.value)
            if inner in REFERENCES:
                yield from ((inner, each) for each in scalars(value))
            if inner == "name" and (key in NAMED or (key == "resource" and "patternType" in keys)):
                yield from ((f"{key}.name", each) for each in scalars(value))
            yield from names_in(value, inner)


def literals(text: str) -> list[str]:
    """Return the places of a template where a name of a resource is written out, wholly or in part."""
    found = [
        f"{place}: {value}"
        for part in yaml_parts(text)
        for place, value in names_in(part)
        if value.replace(EXPRESSION, "").strip("-")
    ]
    plain = without_comments(text)
    found += [match[0] for pattern in ARGUMENTS for match in pattern.finditer(plain)]
    return found + re.findall(r"(?<![\w.-])tapeline-[a-z-]*", plain)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(CHARTS)))
def test_no_template_writes_a_name_of_a_resource_out(path):
    if path.name == "NOTES.txt":
        plain = path.read_text()
        assert not re.findall(r"tapeline-[a-z-]*|(?<=/)tapeline\b", plain)
    else:
        assert not literals(path.read_text())


PLANTED = {
    "metadata:\n  name: widget\n": "metadata.name: widget",
    "metadata:\n  name: widget-{{ .Release.Revision }}\n": "metadata.name: widget-EXPRESSION",
    "metadata: {name: widget}\n": "metadata.name: widget",
    "a: 1\n---\nmetadata:\n  labels: {}\n  name: widget\n": "metadata.name: widget",
    "spec:\n  template:\n    spec:\n      serviceAccountName: inference\n": "serviceAccountName: inference",
    "{{- if .a }}\nserviceName: one\n{{- else }}\nserviceName: {{ .b }}\n{{- end }}\n": "serviceName: one",
    "volumes:\n  - name: x\n    secret:\n      secretName: s\n": "secretName: s",
    "volumes:\n  - name: x\n    configMap: {name: s, items: [{key: a, path: a}]}\n": "configMap.name: s",
    "volumes:\n  - name: x\n    configMap:\n      items: []\n      name: s\n": "configMap.name: s",
    "volumes:\n  - name: x\n    persistentVolumeClaim: {claimName: s}\n": "claimName: s",
    "envFrom:\n  - configMapRef: {name: inference}\n": "configMapRef.name: inference",
    "env:\n  - name: A\n    valueFrom:\n      secretKeyRef: {name: s, key: k}\n": "secretKeyRef.name: s",
    "subjects:\n  - {kind: ServiceAccount, name: s, namespace: x}\n": "subjects.name: s",
    "roleRef: {kind: Role, name: s}\n": "roleRef.name: s",
    "rules:\n  - resourceNames: [inference]\n": "resourceNames: inference",
    "acls:\n  - resource: {type: topic, name: bybit-trades, patternType: literal}\n": "resource.name: bybit-trades",
    "labels:\n  strimzi.io/cluster: tapeline\n": "strimzi.io/cluster: tapeline",
    '{{- define "a" -}}\nspec:\n  policyName: s\n{{- end }}\n': "policyName: s",
    '{{- $a := lookup "v1" "Secret" .Release.Namespace "s" }}\n': 'lookup "v1" "Secret" .Release.Namespace "s"',
    '{{- $a := printf "http://inference.%s.svc:8000" .Release.Namespace }}\n': 'printf "http://inference.%s.svc',
    "data:\n  GROUP: tapeline-producer\n": "tapeline-producer",
}


@pytest.mark.parametrize(("text", "fault"), PLANTED.items())
def test_a_name_that_is_written_out_is_found(text, fault):
    assert fault in literals(text)


@pytest.mark.parametrize(
    "text",
    [
        'metadata:\n  name: {{ include "apps.name" "board" }}\n',
        'metadata:\n  name: {{ include "apps.name" "bootstrap" }}-{{ .Release.Revision }}\n',
        "{{/* As tapeline-producer. */}}\n# tapeline-producer\ncontainers:\n  - name: producer\n",
        'labels:\n  {{- include "apps.labels" (dict "root" . "name" "board") | nindent 2 }}\n',
        "secret:\n  secretName: {{ .name }}\n",
        "metrics:\n  - type: Resource\n    resource: {name: cpu}\n",
    ],
)
def test_what_is_no_name_of_a_resource_or_comes_from_the_file_of_names_is_let_through(text):
    assert not literals(text)


def names_file(chart: str) -> str:
    return (CHARTS / chart / "templates" / NAMES).read_text()


@pytest.mark.parametrize(("chart", "helper"), [("apps", "apps.name"), ("elastic", "elastic.name")])
def test_every_name_of_the_file_is_used_and_every_name_used_is_in_it(chart, helper):
    offered = set(re.findall(r'^  "([a-z-]+)" ', names_file(chart), re.MULTILINE))
    text = "\n".join(path.read_text() for path in TEMPLATES)
    used = set(re.findall(rf'include "{re.escape(helper)}" "([a-z-]+)"', text))
    # The head of a network policy is given the name of its service.
    used |= set(re.findall(r'"policies.head" \(dict "root" \. "name" "([a-z]+)"\)', text)) if chart == "apps" else set()
    assert used == offered


def test_an_unknown_name_is_refused_with_the_place_to_add_it(tmp_path):
    chart = copy_of("apps", tmp_path)
    (chart / "templates" / "new.yaml").write_text('kind: {{ include "apps.name" "widget" }}\n')
    result = template(chart=chart)
    assert result.code != 0
    assert "widget has no name in charts/apps/templates/_names.tpl: add it there." in result.err


def copy_of(chart: str, folder: Path) -> Path:
    for path in sorted((CHARTS / chart).rglob("*")):
        if path.is_file():
            target = folder / chart / path.relative_to(CHARTS / chart)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return folder / chart


def groups(user: Document) -> set[str]:
    return {
        acl["resource"]["name"] for acl in user["spec"]["authorization"]["acls"] if acl["resource"]["type"] == "group"
    }


def test_names_that_two_charts_write_are_the_same_in_both():
    """Each chart installs alone, so that names of the others stand in its own file as well."""
    found = rendered("default")
    producer = config_map(found, NAMESPACE, "tapeline-producer")["data"]
    assert producer["PRODUCER_GROUP"] in groups(one(found, "KafkaUser", "tapeline-producer"))
    assert set().union(*(groups(user) for user in of_kind(found, "KafkaUser"))) == {
        *(names.GROUP_PRODUCER, names.GROUP_RESUME, names.GROUP_STREAM_PREFIX, names.GROUP_LOOKBACK),
        names.GROUP_NOTIFIER,
    }
    (kafka,) = of_kind(found, "Kafka")
    (elastic,) = of_kind(found, "Elasticsearch")
    assert producer["PRODUCER_KAFKA_BOOTSTRAP"].startswith(f"{kafka['metadata']['name']}-kafka-bootstrap.")
    stream = config_map(found, NAMESPACE, "tapeline-spark")["data"]
    assert stream["STREAM_ELASTICSEARCH_URL"].startswith(f"https://{elastic['metadata']['name']}-es-http.")
