"""One Kafka and one Elasticsearch that let nobody in unknown or unencrypted, as in a cluster.

Kafka: SASL_SSL and SCRAM-SHA-512 only, rights by Kafka's own authorizer. Elasticsearch: https, users and roles of
the file realm. Both are the local stack's servers and configurations with lines laid over them; certificates and
passwords are made for the run. The rights stand in rights.py, in the words that the charts have to repeat.
"""

import base64
import datetime
import hashlib
import ipaddress
import json
import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from confluent_kafka.cimpl import NewTopic
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from elasticsearch import ApiError, Elasticsearch, TransportError
from support import eventually
from tapeline import names
from tapeline.service.connection import ElasticsearchConnection, KafkaConnection
from tapeline_local import paths
from tapeline_local.stack import processes
from tapeline_local.stack.options import StackOptions
from tapeline_local.stack.state import StateFolder

from stack import rights

HOST = "127.0.0.1"
_PBKDF2_ROUNDS = 10_000
_KAFKA = """
listeners=SASL_SSL://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=SASL_SSL://127.0.0.1:{port}
listener.security.protocol.map=SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
inter.broker.listener.name=SASL_SSL
sasl.enabled.mechanisms=SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location={store}
ssl.truststore.type=PEM
ssl.truststore.location={authority}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:admin;User:ANONYMOUS
"""
_ELASTICSEARCH = """
xpack.security.enabled: true
xpack.security.http.ssl.enabled: true
xpack.security.http.ssl.certificate: server.crt
xpack.security.http.ssl.key: server.key
xpack.security.authc.realms.file.file1.order: 0
"""


class Authority:
    """A certificate authority of one run."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tapeline test authority")])
        usage = x509.BasicConstraints(ca=True, path_length=None)
        self.file = folder / "ca.crt"
        self.file.write_bytes(_pem(self._builder(self._name, self._key).add_extension(usage, True), self._key))

    def issue(self) -> tuple[bytes, bytes]:
        """Return key and certificate, in PEM, of a server on the loopback address."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "server")])
        place = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))])
        certificate = _pem(self._builder(name, key).add_extension(place, False), self._key)
        plain = serialization.NoEncryption()
        encoded = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        return encoded, certificate

    def _builder(self, subject: x509.Name, key: rsa.RSAPrivateKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(tz=datetime.UTC)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        return builder.not_valid_before(now - datetime.timedelta(minutes=5)).not_valid_after(
            now + datetime.timedelta(days=1)
        )


def _pem(builder: x509.CertificateBuilder, key: rsa.RSAPrivateKey) -> bytes:
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


class Passwords:
    """A made password for each user, each in a file of its own with the line end that editors add."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.known: dict[str, str] = {}

    def __getitem__(self, user: str) -> str:
        if user not in self.known:
            self.change(user)
        return self.known[user]

    def change(self, user: str) -> None:
        """Give a user a new password, one that is easily quoted wrongly; the tool that makes `admin` does so."""
        self.known[user] = secrets.token_hex(8) + ("" if user == "admin" else '"\\;{=')
        self.file(user).write_text(self.known[user] + "\n")

    def file(self, user: str) -> Path:
        """Return the file of a user's password."""
        return self._folder / f"{user}.password"


class Secured:
    """Both servers; use it as a context."""

    def __init__(self, state: Path, options: StackOptions) -> None:
        self.state = StateFolder(state)
        self._options = options
        self._running: list[subprocess.Popen[bytes]] = []
        saved = self.state.prepare(("kafka", "elasticsearch"), options)
        self.ports = saved.ports
        self.authority = Authority(self.state.root / "authority")
        self.passwords = Passwords(self.state.root / "authority")

    def __enter__(self) -> Self:
        try:
            self._secure_kafka()
            self._secure_elasticsearch()
            for part in ("kafka", "elasticsearch"):
                command = [sys.executable, "-m", "tapeline_local.stack.launch", str(self.state.run / f"{part}.json")]
                with self.state.log(part).open("wb") as log:
                    self._running.append(
                        subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
                    )
            self._wait()
            self._admit()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        processes.kill_marked(str(self.state.root))
        self.state.remove()

    def kafka(self, user: str, **changes: Any) -> KafkaConnection:
        """Return how a user reaches Kafka."""
        fields = {
            "kafka_bootstrap": f"{HOST}:{self.ports['kafka']}",
            "kafka_security_protocol": "SASL_SSL",
            "kafka_username": user,
            "kafka_password_file": self.passwords.file(user),
            "kafka_ca_file": self.authority.file,
        }
        return KafkaConnection(**(fields | changes))

    def elastic(self, user: str, **changes: Any) -> ElasticsearchConnection:
        """Return how a user reaches Elasticsearch."""
        fields = {
            "elasticsearch_url": f"https://{HOST}:{self.ports['elasticsearch']}",
            "elasticsearch_username": user,
            "elasticsearch_password_file": self.passwords.file(user),
            "elasticsearch_ca_file": self.authority.file,
        }
        return ElasticsearchConnection(**(fields | changes))

    def kafka_admin(self) -> AdminClient:
        """Return an administrator's client."""
        return AdminClient({**self.kafka("admin").librdkafka(), "log_level": 0})

    def elastic_admin(self) -> Elasticsearch:
        """Return a client that may do anything."""
        access = self.elastic("admin")
        return Elasticsearch(access.elasticsearch_url, **access.client_options(), request_timeout=30, max_retries=0)

    def set_kafka_password(self, user: str) -> None:
        """Let the broker know the password that the user's file holds."""
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        change = UserScramCredentialUpsertion(user, info, self.passwords[user].encode())
        admin = self.kafka_admin()
        for future in admin.alter_user_scram_credentials([change]).values():
            future.result(30)

    def _secure_kafka(self) -> None:
        folder = self.state.root / "kafka"
        store = folder / "server.pem"
        store.write_bytes(b"".join(self.authority.issue()))
        properties = folder / "server.properties"
        extra = _KAFKA.format(
            port=self.ports["kafka"],
            controller=self.ports["kafka_controller"],
            store=store,
            authority=self.authority.file,
        )
        properties.write_text(properties.read_text() + extra)
        path = self.state.run / "kafka.json"
        fields = json.loads(path.read_text())
        fields["init_argv"] += ["--add-scram", f"SCRAM-SHA-512=[name=admin,password={self.passwords['admin']}]"]
        path.write_text(json.dumps(fields))

    def _secure_elasticsearch(self) -> None:
        config = self.state.elasticsearch / "config"
        yml = config / "elasticsearch.yml"
        yml.write_text(yml.read_text().replace("xpack.security.enabled: false\n", "") + _ELASTICSEARCH)
        key, certificate = self.authority.issue()
        (config / "server.key").write_bytes(key)
        (config / "server.crt").write_bytes(certificate)
        users = {**dict.fromkeys(rights.ELASTICSEARCH), "admin": None}
        (config / "users").write_text("".join(f"{user}:{_hashed(self.passwords[user])}\n" for user in users))
        (config / "users_roles").write_text("superuser:admin\n" + "".join(f"{u}:{u}\n" for u in rights.ELASTICSEARCH))
        # One role a line: the file is cut at every line that is not indented, and only then read as YAML.
        roles = (f"{role}: {json.dumps(rules)}\n" for role, rules in rights.ELASTICSEARCH.items())
        (config / "roles.yml").write_text("".join(roles))
        if paths.needs_unprivileged_user():
            for entry in config.iterdir():
                os.chown(entry, paths.UNPRIVILEGED_ID, paths.UNPRIVILEGED_ID)

    def _wait(self) -> None:
        admin = self.kafka_admin()

        def kafka_answers() -> bool:
            try:
                return bool(admin.list_topics(timeout=2).brokers)
            except KafkaException:
                return False

        def elasticsearch_answers() -> bool:
            try:
                with self.elastic_admin() as elastic:
                    return bool(elastic.cluster.health()["status"] != "red")
            except (ApiError, TransportError):
                return False

        eventually(kafka_answers, f"Kafka: {self.state.log('kafka')}", 120)
        eventually(elasticsearch_answers, f"Elasticsearch: {self.state.log('elasticsearch')}", 240)

    def _admit(self) -> None:
        """Make the topics, the users, and the rights that rights.py names."""
        admin = self.kafka_admin()
        records = (names.TOPIC_GAPS, names.TOPIC_REJECTS, names.TOPIC_COUNTS, names.TOPIC_ALERTS)
        topics = (names.TOPIC_TRADES, *records, names.TOPIC_SHARDS)
        made = admin.create_topics([NewTopic(topic, 2, 1) for topic in topics])
        for user in rights.KAFKA:
            self.set_kafka_password(user)
        bindings: list[AclBinding] = [b for user, rules in rights.KAFKA.items() for b in rights.bindings(user, rules)]
        for future in (*made.values(), *admin.create_acls(bindings).values()):
            future.result(30)


def _hashed(password: str) -> str:
    """Return a password as the file realm keeps it."""
    salt = secrets.token_bytes(32)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _PBKDF2_ROUNDS, 32)
    return f"{{PBKDF2}}{_PBKDF2_ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"
