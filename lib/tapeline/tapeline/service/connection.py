"""Connection settings of Kafka and Elasticsearch: address, user, password file, certificate authority.

Settings classes inherit from these two, so every service has the same names under its own prefix.
No client library is imported: each method returns what one of them takes. A password is always a file,
read again for each client, so it is in no variable, no log line and no serialised settings.
To support another client: add a method that returns its options.
"""

import unicodedata
from pathlib import Path
from typing import Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, model_validator

from tapeline.service.renamed_settings import RefusesRenamedSettings

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]

_MECHANISM: Final = "SCRAM-SHA-512"
_LOGIN_MODULE: Final = "org.apache.kafka.common.security.scram.ScramLoginModule"
_CERTIFICATE: Final = "-----BEGIN CERTIFICATE-----"


class InvalidConnection(Exception):
    """A setting that cannot work, alone or with another.

    No ValueError: pydantic would wrap it and show its input, including an address with a password.
    """

    def __init__(self, setting: str, was: object, rule: str, way_out: str) -> None:
        super().__init__(f"{setting} was {was}; {rule}: {way_out}")


def _variable(model: BaseModel, field: str) -> str:
    """Return the environment variable of a field, which is what a person can change."""
    prefix = dict(type(model).model_config).get("env_prefix", "")
    return f"{prefix}{field}".upper()


def _text(path: Path, setting: str, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise InvalidConnection(
            setting, f"{path} ({reason})", f"it must be a readable file with {what}", "mount it there, or name another"
        ) from None


def _password(path: Path, setting: str) -> str:
    """Return a file's one line; the line end that editors and `echo` add is not part of the password."""
    text = _text(path, setting, "the password")
    password = text.removesuffix("\n").removesuffix("\r")
    if not password or any(unicodedata.category(sign) == "Cc" for sign in password):
        held = "nothing" if not password else "more than one line, or control characters"
        way_out = "write the password alone into it"
        raise InvalidConnection(setting, f"{path}, which held {held}", "one line is needed", way_out)
    return password


def _authorities(path: Path, setting: str) -> str:
    if _CERTIFICATE not in _text(path, setting, "certificates in PEM form"):
        way_out = "mount the authority's ca.crt there, or name another"
        raise InvalidConnection(setting, f"{path}, which held no certificate", "PEM is needed", way_out)
    return str(path)


class KafkaConnection(RefusesRenamedSettings):
    """How a client reaches Kafka; a base of settings classes."""

    kafka_bootstrap: str
    """Brokers, `host:port`, comma-separated."""
    kafka_security_protocol: SecurityProtocol = "PLAINTEXT"
    """Protocol of the brokers' listener; with SASL the mechanism is SCRAM-SHA-512."""
    kafka_username: str | None = None
    """User of the SASL protocols."""
    kafka_password_file: Path | None = None
    """File with that user's password."""
    kafka_ca_file: Path | None = None
    """PEM file of the authorities that sign the brokers' certificates; None: those the system trusts."""

    @model_validator(mode="after")
    def _kafka_is_consistent(self) -> Self:
        protocol = self.kafka_security_protocol
        setting = _variable(self, "kafka_security_protocol")
        for field in ("kafka_username", "kafka_password_file"):
            value, name = getattr(self, field), _variable(self, field)
            if protocol.startswith("SASL") and not value:
                raise InvalidConnection(
                    name, "not set", f"{setting}={protocol} needs it", "set it, or another protocol"
                )
            if not protocol.startswith("SASL") and value:
                rule = f"{setting}={protocol} would never use it"
                raise InvalidConnection(name, value, rule, f"set {setting}=SASL_SSL, or leave it out")
        if self.kafka_ca_file is not None and not protocol.endswith("SSL"):
            name, rule = _variable(self, "kafka_ca_file"), f"{setting}={protocol} would never use it"
            raise InvalidConnection(name, self.kafka_ca_file, rule, f"set {setting}=SASL_SSL, or leave it out")
        return self

    def librdkafka(self) -> dict[str, str]:
        """Return what confluent-kafka needs to connect; the password is read now.

        Raises:
            InvalidConnection: the password or the authorities cannot be read.
        """
        options = {"bootstrap.servers": self.kafka_bootstrap, "security.protocol": self.kafka_security_protocol}
        if self.kafka_ca_file is not None:
            options["ssl.ca.location"] = _authorities(self.kafka_ca_file, _variable(self, "kafka_ca_file"))
        user = self.kafka_user()
        if user is not None:
            options |= {"sasl.mechanism": _MECHANISM, "sasl.username": user[0], "sasl.password": user[1]}
        return options

    def spark(self) -> dict[str, str]:
        """Return what Spark's Kafka source needs to connect; the password is read now.

        The authorities are passed as a path: driver and executors must have the file at the same path.

        Raises:
            InvalidConnection: the password or the authorities cannot be read.
        """
        options = {
            "kafka.bootstrap.servers": self.kafka_bootstrap,
            "kafka.security.protocol": self.kafka_security_protocol,
        }
        if self.kafka_ca_file is not None:
            options["kafka.ssl.truststore.type"] = "PEM"
            options["kafka.ssl.truststore.location"] = _authorities(
                self.kafka_ca_file, _variable(self, "kafka_ca_file")
            )
        user = self.kafka_user()
        if user is not None:
            name, password = (_quoted(part) for part in user)
            options["kafka.sasl.mechanism"] = _MECHANISM
            options["kafka.sasl.jaas.config"] = f"{_LOGIN_MODULE} required username={name} password={password};"
        return options

    def kafka_user(self) -> tuple[str, str] | None:
        """Return user name and password as the file holds it now, None where the protocol knows no user.

        Raises:
            InvalidConnection: the password cannot be read.
        """
        if self.kafka_username is None or self.kafka_password_file is None:
            return None
        return self.kafka_username, _password(self.kafka_password_file, _variable(self, "kafka_password_file"))


def _quoted(text: str) -> str:
    """Return text as a string of a JAAS configuration."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


class ElasticsearchConnection(RefusesRenamedSettings):
    """How a client reaches Elasticsearch; a base of settings classes."""

    elasticsearch_url: str | None = None
    """Address of Elasticsearch, such as http://127.0.0.1:9200."""
    elasticsearch_username: str | None = None
    """User of the file or native realm; None: none is sent."""
    elasticsearch_password_file: Path | None = None
    """File with that user's password."""
    elasticsearch_ca_file: Path | None = None
    """PEM file of the authorities that sign Elasticsearch's certificate; None: those the system trusts."""

    @model_validator(mode="after")
    def _elasticsearch_is_consistent(self) -> Self:
        parts = urlsplit(self.elasticsearch_url or "")
        setting = _variable(self, "elasticsearch_url")
        if parts.username or parts.password:
            way_out = f"use {_variable(self, 'elasticsearch_username')} and a file for the password"
            raise InvalidConnection(setting, "an address with a user in it", "such an address ends in logs", way_out)
        if self.elasticsearch_url is not None and (parts.scheme not in ("http", "https") or not parts.hostname):
            rule = "http or https and a host are needed"
            raise InvalidConnection(setting, repr(self.elasticsearch_url), rule, "write https://host:port")
        pair = ("elasticsearch_username", "elasticsearch_password_file")
        for field, other in (pair, pair[::-1]):
            if getattr(self, other) and not getattr(self, field):
                rule = f"{_variable(self, other)} alone says nothing"
                raise InvalidConnection(_variable(self, field), "not set", rule, "set both, or neither")
        for field in (*pair, "elasticsearch_ca_file"):
            value = getattr(self, field)
            if value and parts.scheme != "https":
                rule = f"only https protects a password and has a certificate, and {setting} is no https address"
                raise InvalidConnection(
                    _variable(self, field), value, rule, f"give {setting} as https://, or leave it out"
                )
        return self

    def client_options(self) -> dict[str, Any]:
        """Return what elasticsearch.Elasticsearch needs beside the address; the password is read now.

        Raises:
            InvalidConnection: the password or the authorities cannot be read.
        """
        options: dict[str, Any] = {}
        if self.elasticsearch_ca_file is not None:
            setting = _variable(self, "elasticsearch_ca_file")
            options["ca_certs"] = _authorities(self.elasticsearch_ca_file, setting)
        if self.elasticsearch_username is not None and self.elasticsearch_password_file is not None:
            setting = _variable(self, "elasticsearch_password_file")
            password = _password(self.elasticsearch_password_file, setting)
            options["basic_auth"] = (self.elasticsearch_username, password)
        return options
