import dataclasses
import importlib
from pathlib import Path

import pytest
from tapeline_local.setup.jvm import Jvm
from tapeline_local.stack import parts, ports
from tapeline_local.stack.options import StackOptions

SERVICES = {
    "inference": "tapeline_inference",
    "board": "tapeline_board",
    "notifier": "tapeline_notifier",
    "spark": "tapeline_spark",
    "simulator": "tapeline_simulator",
    "producer": "tapeline_producer",
}


def context(**options: object) -> parts.LaunchContext:
    return parts.LaunchContext(
        state=Path("/state"),
        elasticsearch=Path("/elsewhere/elasticsearch"),
        elasticsearch_home=Path("/tools/elasticsearch-9"),
        jars=Path("/tools/jars"),
        jvm=Jvm("found", "/java", "/java-launch", 25, ()),
        ports={use: 20_000 + number for number, use in enumerate(ports.uses(3))},
        options=StackOptions.model_validate(options),
        cluster_id="-id",
        class_archives={"kafka": Path("/classes/kafka.jsa"), "spark": Path("/classes/spark.jsa")},
    )


@pytest.mark.parametrize("part", SERVICES)
def test_a_service_has_every_setting_that_the_stack_gives_it(part, monkeypatch):
    launch = parts.launch(
        part, context(capture="/captures/a.parquet", symbols=("BTCUSDT",), notifier_targets="/t.yaml")
    )
    settings = importlib.import_module(f"{SERVICES[part]}.settings").Settings
    prefix = settings.model_config["env_prefix"]
    given = {name.removeprefix(prefix).lower() for name in launch.env if name.startswith(prefix)}
    assert given
    assert given <= set(settings.model_fields)
    for name, value in launch.env.items():
        monkeypatch.setenv(name, value)
    settings()


def test_the_real_exchange_gets_no_address_of_the_simulator():
    env = parts.launch("producer", context(exchange="bybit")).env
    assert env["PRODUCER_EXCHANGE"] == "bybit"
    assert not {"PRODUCER_WEBSOCKET_URL", "PRODUCER_REST_URL"} & set(env)


def test_a_capture_makes_the_simulator_replay_it():
    env = parts.launch("simulator", context(capture="/captures/a.parquet", speed=10)).env
    assert (env["SIMULATOR_SOURCE"], env["SIMULATOR_CAPTURE"]) == ("replay", "/captures/a.parquet")
    assert env["SIMULATOR_SPEED"] == "10.0"


def test_an_extra_variable_overrides_the_stack_and_goes_to_its_part_only():
    options = context(extra_env={"spark": {"STREAM_CHECKPOINT": "/other"}})
    assert parts.launch("spark", options).env["STREAM_CHECKPOINT"] == "/other"
    assert "STREAM_CHECKPOINT" not in parts.launch("producer", options).env


def test_kafka_formats_its_folder_once():
    launch = parts.launch("kafka", context())
    assert "--cluster-id=-id" in launch.init_argv
    assert launch.init_creates == "/state/kafka/data/meta.properties"


def test_elasticsearch_lives_where_its_user_can_go():
    launch = parts.launch("elasticsearch", context())
    assert launch.cwd == "/elsewhere/elasticsearch"
    assert launch.env["ES_PATH_CONF"] == "/elsewhere/elasticsearch/config"
    assert launch.env["ES_JAVA_HOME"] == "/java"


def test_spark_starts_with_the_java_that_takes_its_flags():
    assert parts.launch("spark", context()).env["JAVA_HOME"] == "/java-launch"


def test_producer_alone_joins_no_group_and_several_join_one():
    assert "PRODUCER_GROUP" not in parts.launch("producer", context()).env
    several = context(producers=3)
    envs = [parts.launch(part, several).env for part in ("producer", "producer-2", "producer-3")]
    assert len({env["PRODUCER_GROUP"] for env in envs}) == 1
    assert len({env["PRODUCER_HEALTH_PORT"] for env in envs}) == 3


def test_variable_of_the_producer_goes_to_all_replicas_and_one_of_a_replica_wins():
    extra = {"producer": {"PRODUCER_TOP": "5"}, "producer-2": {"PRODUCER_TOP": "6"}}
    options = context(producers=3, extra_env=extra)
    tops = [parts.launch(part, options).env["PRODUCER_TOP"] for part in ("producer", "producer-2", "producer-3")]
    assert tops == ["5", "6", "5"]


@pytest.mark.parametrize("fast_jit", [False, True])
def test_kafka_and_spark_start_from_their_class_archives(fast_jit):
    given = context(fast_jit=fast_jit)
    kafka, spark = parts.launch("kafka", given), parts.launch("spark", given)
    assert "-XX:SharedArchiveFile=/classes/kafka.jsa" in kafka.argv
    assert "-XX:SharedArchiveFile=/classes/kafka.jsa" in kafka.init_argv
    assert "-XX:SharedArchiveFile=/classes/spark.jsa" in spark.env["JDK_JAVA_OPTIONS"].split()


def test_without_class_archives_both_start_all_the_same():
    given = dataclasses.replace(context(), class_archives={})
    assert not [word for word in parts.launch("kafka", given).argv if "Archive" in word]
    assert "JDK_JAVA_OPTIONS" not in parts.launch("spark", given).env
