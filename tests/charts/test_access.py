"""Who may do what: Kafka's and Elasticsearch's rights, Secrets, and the network."""

import base64
import re
import zipfile
from typing import Any

import pytest
import yaml
from stack import rights
from tapeline import names
from tapeline_local import paths

from charts.pods import secret_references, workloads
from charts.render import VALUES, Document, label, namespace, of_kind, one, rendered

EVERYTHING = pytest.mark.parametrize("values", VALUES)
WITH_SERVERS = pytest.mark.parametrize("values", [name for name in VALUES if name != "outside"])


def normal(rules: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted((*sorted(rule["resource"].items()), *sorted(rule["operations"])) for rule in rules)


@WITH_SERVERS
def test_kafkas_users_may_do_what_was_proven_to_be_enough_and_no_more(values):
    """tests/stack/test_access.py proves these rights, both ways, against a real broker."""
    found = {
        user["metadata"]["name"]: normal(user["spec"]["authorization"]["acls"])
        for user in of_kind(rendered(values), "KafkaUser")
    }
    assert found == {name: normal(rules) for name, rules in rights.KAFKA.items()}


@WITH_SERVERS
def test_elasticsearchs_users_may_do_what_was_proven_to_be_enough_and_no_more(values):
    found = rendered(values)
    roles = yaml.safe_load(base64.b64decode(one(found, "Secret", "tapeline-es-roles")["data"]["roles.yml"]))
    assert roles == {f"tapeline_{name.rpartition('-')[2]}": rights.ELASTICSEARCH[name] for name in rights.ELASTICSEARCH}


@WITH_SERVERS
def test_elasticsearch_knows_every_user_that_a_service_uses(values):
    """One that is not is refused like a wrong password."""
    (elasticsearch,) = of_kind(rendered(values), "Elasticsearch")
    realm = {each["secretName"] for each in elasticsearch["spec"]["auth"]["fileRealm"]}
    without = set() if of_kind(rendered(values), "Kibana") else {"tapeline-es-dashboards"}
    assert realm == set(rights.ELASTICSEARCH) - without


@WITH_SERVERS
def test_topics_are_those_that_the_code_names(values):
    found = {topic["metadata"]["name"] for topic in of_kind(rendered(values), "KafkaTopic")}
    others = {names.TOPIC_GAPS, names.TOPIC_REJECTS, names.TOPIC_COUNTS, names.TOPIC_ALERTS}
    assert found == {names.TOPIC_TRADES, names.TOPIC_SHARDS} | others


@WITH_SERVERS
def test_no_trade_is_written_with_fewer_copies_than_one_loss_takes(values):
    found = rendered(values)
    kafka = one(found, "Kafka", "tapeline")["spec"]["kafka"]["config"]
    brokers = sum(
        pool["spec"]["replicas"] for pool in of_kind(found, "KafkaNodePool") if "broker" in pool["spec"]["roles"]
    )
    for topic in of_kind(found, "KafkaTopic"):
        assert topic["spec"]["replicas"] == kafka["default.replication.factor"] <= brokers
        needed = topic["spec"]["config"]["min.insync.replicas"]
        assert needed == kafka["min.insync.replicas"]
        assert needed < brokers or brokers == 1
    assert kafka["auto.create.topics.enable"] is False


@WITH_SERVERS
def test_the_only_listener_is_encrypted_and_asks_who_is_there(values):
    (listener,) = one(rendered(values), "Kafka", "tapeline")["spec"]["kafka"]["listeners"]
    assert (listener["port"], listener["tls"]) == (9093, True)
    assert listener["authentication"] == {"type": "scram-sha-512"}


def forbidden_in_strimzi() -> tuple[list[str], list[str]]:
    """Return the prefixes that the operator drops from `config`, and the exceptions, out of its own classes."""
    (jar,) = (paths.JARS / "strimzi").glob("api-*.jar")
    content = zipfile.ZipFile(jar).read("io/strimzi/api/kafka/model/kafka/KafkaClusterSpec.class")
    lists = [text.decode().split(", ") for text in re.findall(rb"[a-z.A-Z-]+(?:, [a-zA-Z.-]+){9,}", content)]
    (refused,) = [each for each in lists if "advertised." in each]
    (allowed,) = [each for each in lists if "ssl.cipher.suites" in each]
    return refused, allowed


@WITH_SERVERS
def test_no_setting_of_the_broker_is_one_that_the_operator_drops(values):
    """It drops them with a warning in the status, which nobody reads."""
    refused, allowed = forbidden_in_strimzi()
    assert "sasl." in refused
    config = one(rendered(values), "Kafka", "tapeline")["spec"]["kafka"]["config"]
    dropped = [key for key in config if key not in allowed and any(key.startswith(prefix) for prefix in refused)]
    assert not dropped


def made_by_operators(found: tuple[Document, ...]) -> set[tuple[str, str]]:
    """Return (Secret, key) of what Strimzi and ECK write for what is rendered."""
    made = {(user["metadata"]["name"], "password") for user in of_kind(found, "KafkaUser")}
    for kafka in of_kind(found, "Kafka"):
        made.add((f"{kafka['metadata']['name']}-cluster-ca-cert", "ca.crt"))
    for kibana in of_kind(found, "Kibana"):
        made.add((f"{kibana['metadata']['name']}-kb-http-certs-public", "ca.crt"))
    for elasticsearch in of_kind(found, "Elasticsearch"):
        made.add((f"{elasticsearch['metadata']['name']}-es-http-certs-public", "ca.crt"))
    return made


# What the reader makes, where the values say so.
BY_HAND = {
    "all-on": {
        *(("registry-login", "username"), ("registry-login", "password")),
        *(("telegram", "token"), ("hook", "url"), ("hook", "key")),
    },
    "folder": {(f"tapeline-es-{user}", "password") for user in ("writer", "trainer", "board", "bootstrap")},
}


@EVERYTHING
def test_every_secret_that_is_used_is_made_by_somebody(values):
    found = rendered(values)
    made = made_by_operators(found) | BY_HAND.get(values, set())
    for secret in of_kind(found, "Secret"):
        made |= {(secret["metadata"]["name"], key) for key in secret["data"]}
    for workload in workloads(found):
        assert secret_references(workload) <= made, workload.name
    for elasticsearch in of_kind(found, "Elasticsearch"):
        auth = elasticsearch["spec"]["auth"]
        assert {each["secretName"] for each in auth["fileRealm"] + auth["roles"]} <= {name for name, _ in made}


@EVERYTHING
def test_secrets_reach_pods_as_files(values):
    """Variables leak into crash dumps and descriptions; the name of a user is no secret."""
    for workload in workloads(rendered(values)):
        for container in workload.containers:
            from_secrets = [each for each in container.get("env", []) if "secretKeyRef" in each.get("valueFrom", {})]
            assert {each["name"] for each in from_secrets} <= {"TRAINER_REGISTRY_USERNAME"}
            assert not any("secretRef" in each for each in container.get("envFrom", []))


@EVERYTHING
def test_passwords_are_made_anew_for_every_install_and_nowhere_written_down(values):
    found = rendered(values)
    passwords = [each["data"]["password"] for each in of_kind(found, "Secret") if "password" in each.get("data", {})]
    assert len(passwords) == len(set(passwords))
    assert all(len(password) >= 40 for password in passwords)


def test_nothing_may_talk_that_no_rule_names():
    found = rendered("default")
    closed = {
        namespace(each)
        for each in of_kind(found, "NetworkPolicy")
        if each["spec"]["podSelector"] == {}
        and set(each["spec"]["policyTypes"]) == {"Ingress", "Egress"}
        and not {"ingress", "egress"} & set(each["spec"])
    }
    assert closed == {"tapeline", "tapeline-inference"}


def selects(selector: Document, labels: dict[str, str]) -> bool:
    """Return whether a label selector finds a pod."""
    if not selector.get("matchLabels", {}).items() <= labels.items():
        return False
    return all(labels.get(each["key"]) in each["values"] for each in selector.get("matchExpressions", []))


def rules(found: tuple[Document, ...], where: str, labels: dict[str, str], way: str) -> list[Document]:
    """Return the rules of one direction for a pod."""
    return [
        rule
        for policy in of_kind(found, "NetworkPolicy")
        if namespace(policy) == where and selects(policy["spec"]["podSelector"], labels)
        for rule in policy["spec"].get(way, [])
    ]


def may(found: tuple[Document, ...], source: tuple[str, dict[str, str]], target: tuple[str, dict[str, str]], port: int):
    """Return whether the policy of a pod of ours, and that of its target, let it reach the other on a port."""

    def lets(rule: Document, side: str, here: str, other: tuple[str, dict[str, str]]) -> bool:
        ports = {each["port"] for each in rule.get("ports", [])}
        for peer in rule[side]:
            if "ipBlock" in peer:
                continue
            inside = peer.get("namespaceSelector", {"matchLabels": {"kubernetes.io/metadata.name": here}})
            fits = selects(inside, {"kubernetes.io/metadata.name": other[0]}) and selects(
                peer.get("podSelector", {}), other[1]
            )
            if fits and (not ports or port in ports):
                return True
        return False

    out = any(lets(rule, "to", source[0], target) for rule in rules(found, *source, "egress"))
    in_ = any(lets(rule, "from", target[0], source) for rule in rules(found, *target, "ingress"))
    return out, in_


def ours(name: str, where: str = "tapeline") -> tuple[str, dict[str, str]]:
    return where, {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "tapeline"}


ELASTICSEARCH = (
    "tapeline",
    {"common.k8s.elastic.co/type": "elasticsearch", "elasticsearch.k8s.elastic.co/cluster-name": "tapeline"},
)
KIBANA = ("tapeline", {"common.k8s.elastic.co/type": "kibana", "kibana.k8s.elastic.co/name": "tapeline"})
DRIVER, EXECUTOR = ("tapeline", {"spark-role": "driver"}), ("tapeline", {"spark-role": "executor"})
SERVICE = ours("inference", "tapeline-inference")
PAIRS = {
    ("producer", "simulator", 8082): True,
    ("spark", "inference", 8000): True,
    ("executor", "inference", 8000): True,
    ("trainer", "inference", 8000): True,
    ("test", "inference", 8000): True,
    ("producer", "inference", 8000): False,
    ("simulator", "inference", 8000): False,
    ("bootstrap", "inference", 8000): False,
    ("board", "inference", 8000): True,
    ("board", "elasticsearch", 9200): True,
    ("board", "elasticsearch", 9300): False,
    ("notifier", "elasticsearch", 9200): False,
    ("notifier", "inference", 8000): False,
    ("producer", "notifier", 8080): False,
    ("board", "producer", 8080): False,
    ("producer", "board", 8090): False,
    ("kibana", "board", 8090): False,
    ("spark", "elasticsearch", 9200): True,
    ("executor", "elasticsearch", 9200): True,
    ("trainer", "elasticsearch", 9200): True,
    ("bootstrap", "elasticsearch", 9200): True,
    ("test", "elasticsearch", 9200): True,
    ("kibana", "elasticsearch", 9200): True,
    ("producer", "elasticsearch", 9200): False,
    ("simulator", "elasticsearch", 9200): False,
    ("inference", "elasticsearch", 9200): False,
    ("spark", "elasticsearch", 9300): False,
    ("spark", "executor", 7078): True,
    ("executor", "spark", 7078): True,
    ("producer", "spark", 7078): False,
    ("inference", "producer", 8080): False,
    ("trainer", "producer", 8080): False,
    ("kibana", "inference", 8000): False,
    ("dashboards", "kibana", 5601): True,
    ("dashboards", "elasticsearch", 9200): False,
    ("producer", "kibana", 5601): False,
}
PLACES = {
    **{name: ours(name) for name in ("producer", "trainer", "simulator", "bootstrap", "board", "notifier", "test")},
    "dashboards": ours("dashboards"),
    **{"spark": DRIVER, "executor": EXECUTOR, "inference": SERVICE, "elasticsearch": ELASTICSEARCH, "kibana": KIBANA},
}


@pytest.mark.parametrize(("source", "target", "port"), PAIRS)
def test_who_may_reach_whom(source, target, port):
    both = PAIRS[source, target, port]
    assert may(rendered("all-on"), PLACES[source], PLACES[target], port) == (both, both), "(goes out, comes in)"


def test_kafka_is_reached_by_those_who_write_or_read_it_alone():
    found = rendered("all-on")
    broker = {"strimzi.io/cluster": "tapeline", "strimzi.io/kind": "Kafka"}
    (listener,) = one(found, "Kafka", "tapeline")["spec"]["kafka"]["listeners"]

    def reaches(where: str, labels: dict[str, str]) -> tuple[bool, bool]:
        out = any(
            selects(peer.get("podSelector", {"matchLabels": {"none": "none"}}), broker)
            for rule in rules(found, where, labels, "egress")
            for peer in rule["to"]
        )
        return out, any(selects(peer["podSelector"], labels) for peer in listener["networkPolicyPeers"])

    clients = {"producer", "spark", "executor", "notifier"}
    assert {name for name, place in PLACES.items() if all(reaches(*place))} == clients
    assert {name for name, place in PLACES.items() if any(reaches(*place))} == clients


def test_inference_may_reach_nobody_unless_it_fetches_its_model():
    assert not rules(rendered("all-on"), *SERVICE, "egress")
    targets = rules(rendered("fetched"), *SERVICE, "egress")
    assert {port["port"] for rule in targets for port in rule["ports"]} == {53, 5000}


def test_only_the_exchange_is_reached_on_the_internet_and_nothing_private_as_if_it_were():
    (exchange,) = [
        rule
        for rule in rules(rendered("default"), *ours("producer"), "egress")
        if {"cidr": "0.0.0.0/0"}.items() <= rule["to"][0].get("ipBlock", {}).items()
    ]
    assert [port["port"] for port in exchange["ports"]] == [443]
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"} <= set(exchange["to"][0]["ipBlock"]["except"])
    simulated = rules(rendered("all-on"), *ours("producer"), "egress")
    assert not [rule for rule in simulated if "0.0.0.0/0" in str(rule)]


def test_the_notifier_reaches_nothing_private_unless_a_value_allows_it():
    out = [rule for rule in rules(rendered("all-on"), *ours("notifier"), "egress") if "ipBlock" in rule["to"][0]]
    (internet,) = [rule for rule in out if rule["to"][0]["ipBlock"]["cidr"] == "0.0.0.0/0"]
    assert [port["port"] for port in internet["ports"]] == [443]
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"} <= set(internet["to"][0]["ipBlock"]["except"])


@EVERYTHING
def test_every_pod_of_ours_that_runs_has_a_policy_of_its_own(values):
    found = rendered(values)
    policies = of_kind(found, "NetworkPolicy")
    if values == "folder":
        assert not policies
        return
    for workload in workloads(found):
        own = [
            label(policy)
            for policy in policies
            if namespace(policy) == workload.namespace
            and policy["spec"]["podSelector"]
            and selects(policy["spec"]["podSelector"], workload.labels)
        ]
        assert len(own) == 1, workload.name
