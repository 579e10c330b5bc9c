"""What cannot work is refused before anything is made, and the refusal says the way out."""

import pytest

from charts.render import INFERENCE, OPERATORS, template


@pytest.mark.parametrize(
    ("missing", "way_out"),
    [
        ("kafka.strimzi.io/v1/Kafka", "--set kafka.enabled=false"),
        ("elasticsearch.k8s.elastic.co/v1/Elasticsearch", "--set elastic.enabled=false"),
        ("kibana.k8s.elastic.co/v1/Kibana", "make operators"),
    ],
)
def test_an_operator_that_is_missing_is_named_with_the_way_to_it(missing, way_out):
    result = template(knows=tuple(kind for kind in OPERATORS if kind != missing))
    assert result.code != 0
    assert way_out in result.err
    assert "make operators" in result.err


def test_nothing_of_an_operator_is_needed_where_its_servers_are_outside():
    result = template("--set", "kafka.enabled=false", "--set", "elastic.enabled=false", knows=())
    assert result.code == 0, result.err


@pytest.mark.parametrize(
    ("settings", "way_out"),
    [
        (("apps.producer.autoscaling.kind=keda", "apps.prometheus.url=http://p:9090"), "make operators KEDA=1"),
        (("apps.monitoring.enabled=true",), "install the Prometheus operator"),
    ],
)
def test_an_option_whose_operator_is_missing_is_refused(settings, way_out):
    result = template(*(word for one in settings for word in ("--set", one)), knows=OPERATORS[:3])
    assert result.code != 0
    assert way_out in result.err


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("apps.producer.autoscaling.kind=keda", "prometheus.url is empty"),
        (f"global.inferenceNamespace={'tapeline'}", "It must be another one"),
        ("apps.inference.model.delivery=volume", "name a claim"),
        ("apps.registry.secret=login", "would travel in the clear"),
        ("apps.notifier.enabled=true", "say whom to tell"),
    ],
)
def test_choices_that_contradict_each_other_are_refused(setting, reason):
    result = template("--set", setting)
    assert result.code != 0
    assert reason in result.err


def test_a_cluster_without_image_volumes_is_refused_with_the_other_way():
    result = template("--kube-version", "1.34.0")
    assert result.code != 0
    assert "inference.model.delivery=init-container" in result.err
    other = template("--kube-version", "1.34.0", "--set", "apps.inference.model.delivery=init-container")
    assert other.code == 0, other.err


def test_a_first_install_without_a_model_is_refused_with_the_way_to_make_one():
    result = template(model=None)
    assert result.code != 0
    assert "make bootstrap-model" in result.err
    assert INFERENCE not in result.out
