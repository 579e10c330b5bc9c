import hashlib
import tomllib
from pathlib import Path

import pytest
from tapeline_local import paths
from tapeline_local.errors import ArtifactDamaged, ArtifactUnavailable, SetupError
from tapeline_local.setup import artifacts, pins

BODY = b"the right bytes"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(artifacts, "_PAUSE_S", 0)


def artifact(name: str = "thing", body: bytes = BODY) -> artifacts.Artifact:
    return artifacts.Artifact("a.b", name, "1.0", "jar", hashlib.sha256(body).hexdigest(), len(body), "kafka")


def downloads(*bodies: bytes | Exception):
    """A download that downloads one body after the other, and leaves half a file behind when it fails."""
    rest = list(bodies)

    def download(_: artifacts.Artifact, cache: Path) -> Path:
        path = cache / "file"
        assert not path.exists()
        body = rest.pop(0)
        path.write_bytes(b"half" if isinstance(body, Exception) else body)
        if isinstance(body, Exception):
            raise body
        return path

    return download


def test_a_download_is_stored_in_its_folder(tmp_path):
    artifacts.fetch_one(artifact(), tmp_path, downloads(BODY))
    assert (tmp_path / "kafka" / "thing-1.0.jar").read_bytes() == BODY
    assert [path.name for path in tmp_path.iterdir()] == ["kafka"]


def test_a_failed_download_is_retried_with_an_empty_cache(tmp_path):
    artifacts.fetch_one(artifact(), tmp_path, downloads(OSError("reset"), b"wrong", BODY))
    assert not artifacts.missing([artifact()], tmp_path)


def test_a_file_with_a_wrong_digest_is_never_stored(tmp_path):
    with pytest.raises(ArtifactDamaged, match=r"sha256 of a.b:thing:1.0:jar was"):
        artifacts.fetch_one(artifact(), tmp_path, downloads(b"1", b"2", b"3"))
    assert artifacts.missing([artifact()], tmp_path)


def test_an_unavailable_file_is_named_with_the_path_to_put_it(tmp_path):
    absent = RuntimeError("not found in remote repositories")
    with pytest.raises(ArtifactUnavailable) as refusal:
        artifacts.fetch_one(artifact(), tmp_path, downloads(absent, absent, absent))
    assert "a.b:thing:1.0:jar" in str(refusal.value)
    assert str(tmp_path / "kafka" / "thing-1.0.jar") in str(refusal.value)


def test_a_file_of_another_size_counts_as_missing(tmp_path):
    (tmp_path / "kafka").mkdir()
    artifact().path(tmp_path).write_bytes(b"half")
    assert artifacts.missing([artifact()], tmp_path) == [artifact()]


def test_a_line_of_another_shape_is_refused_with_its_number():
    with pytest.raises(SetupError, match=r"line 2 of artifacts.lock was 'org.x:y:1'"):
        artifacts.parse("# comment\norg.x:y:1\n")


def test_the_lock_agrees_with_the_pins():
    pinned = pins.read(paths.CHECKOUT)
    listed = artifacts.parse((paths.CHECKOUT / "local" / "artifacts.lock").read_text())
    versions = {(a.folder, a.group, a.name): a.version for a in listed}
    kafka, scala = pinned["KAFKA_VERSION"], pinned["SCALA_VERSION"]
    apache = "org.apache"
    assert versions["kafka", f"{apache}.kafka", f"kafka_{scala}"] == kafka
    assert {v for (f, g, _), v in versions.items() if f == "kafka" and g == f"{apache}.kafka"} == {kafka}
    log4j = {v for (_, g, _), v in versions.items() if g == f"{apache}.logging.log4j"}
    assert log4j == {pinned["LOG4J_VERSION"]}
    connector = f"spark-sql-kafka-0-10_{scala}"
    token = f"spark-token-provider-kafka-0-10_{scala}"
    assert versions["spark", f"{apache}.spark", connector] == pinned["SPARK_VERSION"]
    assert versions["spark", f"{apache}.spark", token] == pinned["SPARK_TOKEN_PROVIDER_VERSION"]
    assert versions["spark", f"{apache}.kafka", "kafka-clients"] == pinned["SPARK_KAFKA_CLIENTS_VERSION"]
    assert versions["spark", f"{apache}.commons", "commons-pool2"] == pinned["COMMONS_POOL_VERSION"]
    (server,) = [a for a in listed if a.folder == "elasticsearch"]
    assert server.version == pinned["ELASTICSEARCH_VERSION"]


def test_pyspark_in_the_lock_of_packages_is_the_pinned_spark():
    packages = tomllib.loads((paths.CHECKOUT / "uv.lock").read_text())["package"]
    (version,) = [package["version"] for package in packages if package["name"] == "pyspark"]
    assert version == pins.read(paths.CHECKOUT)["SPARK_VERSION"]
