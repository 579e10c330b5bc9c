"""Validates the connection settings of Kafka and Elasticsearch, and the options that each client gets."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict
from tapeline.service.connection import ElasticsearchConnection, InvalidConnection, KafkaConnection

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
CANARY = 'c4n"ary\\with;{signs}'


class Prefixed(KafkaConnection, ElasticsearchConnection):
    """As a service's settings: a prefix before every variable."""

    model_config = ConfigDict(env_prefix="STREAM_", frozen=True)  # type: ignore[typeddict-unknown-key]
    kafka_bootstrap: str = "broker:9093"


@pytest.fixture
def password(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(CANARY + "\n")
    return path


@pytest.fixture
def authorities(tmp_path: Path) -> Path:
    path = tmp_path / "ca.crt"
    path.write_text(PEM)
    return path


def sasl(password: Path | None, **changes: Any) -> Prefixed:
    fields = {"kafka_security_protocol": "SASL_SSL", "kafka_username": "me", "kafka_password_file": password}
    return Prefixed(**{**fields, **changes})


def https(password: Path | None, **changes: Any) -> Prefixed:
    fields = {"elasticsearch_url": "https://es:9200", "elasticsearch_username": "me"}
    return Prefixed(**{**fields, "elasticsearch_password_file": password, **changes})


def test_without_a_word_kafka_is_spoken_to_plainly() -> None:
    access = Prefixed()
    assert access.librdkafka() == {"bootstrap.servers": "broker:9093", "security.protocol": "PLAINTEXT"}
    assert access.spark() == {"kafka.bootstrap.servers": "broker:9093", "kafka.security.protocol": "PLAINTEXT"}
    assert Prefixed(elasticsearch_url="http://127.0.0.1:9200").client_options() == {}


def test_librdkafka_gets_user_password_and_authorities(password: Path, authorities: Path) -> None:
    assert sasl(password, kafka_ca_file=authorities).librdkafka() == {
        "bootstrap.servers": "broker:9093",
        "security.protocol": "SASL_SSL",
        "ssl.ca.location": str(authorities),
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "me",
        "sasl.password": CANARY,
    }


def test_spark_gets_a_pem_truststore_and_a_password_that_cannot_end_its_own_quotes(
    password: Path, authorities: Path
) -> None:
    assert sasl(password, kafka_ca_file=authorities).spark() == {
        "kafka.bootstrap.servers": "broker:9093",
        "kafka.security.protocol": "SASL_SSL",
        "kafka.ssl.truststore.type": "PEM",
        "kafka.ssl.truststore.location": str(authorities),
        "kafka.sasl.mechanism": "SCRAM-SHA-512",
        "kafka.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required "
            'username="me" password="c4n\\"ary\\\\with;{signs}";'
        ),
    }


def test_elasticsearch_gets_user_password_and_authorities(password: Path, authorities: Path) -> None:
    options = https(password, elasticsearch_ca_file=authorities).client_options()
    assert options == {"basic_auth": ("me", CANARY), "ca_certs": str(authorities)}


def test_authorities_of_the_system_are_used_where_none_are_named(password: Path) -> None:
    assert "ssl.ca.location" not in sasl(password).librdkafka()
    assert "kafka.ssl.truststore.location" not in sasl(password).spark()
    assert "ca_certs" not in https(password).client_options()


def test_password_is_read_for_every_client_anew(password: Path) -> None:
    access = sasl(password)
    password.write_text("another")
    assert access.librdkafka()["sasl.password"] == "another"


@pytest.mark.parametrize(("written", "meant"), [("p", "p"), ("p\n", "p"), ("p\r\n", "p"), (" p ", " p ")])
def test_one_line_end_is_no_part_of_a_password(password: Path, written: str, meant: str) -> None:
    password.write_bytes(written.encode())
    assert sasl(password).kafka_user() == ("me", meant)


@pytest.mark.parametrize("written", [b"", b"\n", b"p\n\n", b"p\nq", b"p\x00", b"\xff\xfe"])
def test_file_that_is_not_one_line_is_refused_by_name_and_not_quoted(password: Path, written: bytes) -> None:
    password.write_bytes(written)
    with pytest.raises(InvalidConnection, match=r"STREAM_KAFKA_PASSWORD_FILE was .*password") as refused:
        sasl(password).librdkafka()
    assert CANARY not in str(refused.value)


def test_missing_files_are_refused_when_a_client_is_made_not_before(tmp_path: Path, password: Path) -> None:
    gone = tmp_path / "gone"
    for settings, make in (
        (sasl(gone), "librdkafka"),
        (sasl(gone), "spark"),
        (sasl(password, kafka_ca_file=gone), "librdkafka"),
        (https(gone), "client_options"),
        (https(password, elasticsearch_ca_file=gone), "client_options"),
    ):
        with pytest.raises(InvalidConnection, match=f"{gone}.*No such file"):
            getattr(settings, make)()


def test_authorities_that_are_no_pem_are_refused(password: Path) -> None:
    with pytest.raises(InvalidConnection, match=r"STREAM_KAFKA_CA_FILE was .* no certificate"):
        sasl(password, kafka_ca_file=password).spark()


@pytest.mark.parametrize(
    ("fields", "names", "way_out"),
    [
        ({"kafka_security_protocol": "SASL_SSL", "kafka_username": "me"}, "KAFKA_PASSWORD_FILE was not set", "set it"),
        ({"kafka_security_protocol": "SASL_PLAINTEXT"}, "KAFKA_USERNAME was not set", "set it"),
        ({"kafka_username": "me"}, "KAFKA_USERNAME was me", "STREAM_KAFKA_SECURITY_PROTOCOL=SASL_SSL"),
        ({"kafka_security_protocol": "SSL", "kafka_password_file": "/p"}, "KAFKA_PASSWORD_FILE was /p", "SASL_SSL"),
        ({"kafka_ca_file": "/ca"}, "KAFKA_CA_FILE was /ca", "SASL_SSL"),
        ({"elasticsearch_url": "es:9200"}, "ELASTICSEARCH_URL was 'es:9200'", "https://host:port"),
        ({"elasticsearch_url": "https://h", "elasticsearch_username": "me"}, "PASSWORD_FILE was not set", "both"),
        ({"elasticsearch_url": "https://h", "elasticsearch_password_file": "/p"}, "USERNAME was not set", "both"),
        ({"elasticsearch_url": "http://h", "elasticsearch_ca_file": "/ca"}, "CA_FILE was /ca", "https://"),
        (
            {"elasticsearch_url": "http://h", "elasticsearch_username": "me", "elasticsearch_password_file": "/p"},
            "ELASTICSEARCH_USERNAME was me",
            "https://",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused_with_value_rule_and_way_out(
    fields: dict[str, str], names: str, way_out: str
) -> None:
    with pytest.raises(InvalidConnection) as refused:
        Prefixed(**fields)  # type: ignore[arg-type]
    message = str(refused.value)
    assert message.startswith("STREAM_") and names in message and way_out in message


def test_address_with_a_password_in_it_is_refused_without_repeating_it() -> None:
    with pytest.raises(InvalidConnection, match="STREAM_ELASTICSEARCH_URL was an address with a user") as refused:
        Prefixed(elasticsearch_url=f"https://me:{'canary'}@es:9200")
    assert "canary" not in str(refused.value)


def test_settings_hold_paths_and_never_what_the_files_hold(password: Path, authorities: Path) -> None:
    access: BaseModel = Prefixed(
        kafka_security_protocol="SASL_SSL",
        kafka_username="me",
        kafka_password_file=password,
        kafka_ca_file=authorities,
        elasticsearch_url="https://es:9200",
        elasticsearch_username="me",
        elasticsearch_password_file=password,
    )
    for text in (repr(access), str(access), access.model_dump_json()):
        assert str(password) in text
        assert CANARY not in text and "c4n" not in text
