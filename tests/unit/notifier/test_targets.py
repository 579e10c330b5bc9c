import pytest
import yaml
from tapeline_notifier.errors import SecretUnusable, TargetsUnusable
from tapeline_notifier.targets import load, read_secret

from unit.notifier.factories import alert, telegram, webhook, write_targets

API = "http://127.0.0.1:1"


def test_a_file_of_both_kinds_is_loaded_with_defaults(tmp_path):
    phone, hook = write_targets(tmp_path, telegram(tmp_path, API), webhook(tmp_path, API))
    assert (phone.name, phone.least_severity, phone.most_alerts) == ("phone", "info", 20)
    assert (hook.name, hook.key_file) == ("hook", None)


def test_telegrams_own_address_is_the_default(tmp_path):
    fields = telegram(tmp_path, API)
    del fields["api_url"], fields["pause_s"]
    (phone,) = write_targets(tmp_path, fields)
    assert phone.api_url == "https://api.telegram.org"
    assert phone.pause_s >= 3, "Telegram allows 20 messages a minute in a group"


@pytest.mark.parametrize(
    ("broken", "word"),
    [
        ({"kind": "pigeon"}, "pigeon"),
        ({"token": "123:AA"}, "token"),
        ({"chat_id": 17}, "chat_id"),
        ({"name": "My Phone"}, "name"),
        ({"cool_down_s": -1}, "cool_down_s"),
        ({"least_severity": "loud"}, "least_severity"),
        ({"kinds": ["price_move", "weather"]}, "kinds"),
    ],
)
def test_an_invalid_field_is_named_and_its_value_is_not_shown(tmp_path, broken, word):
    with pytest.raises(TargetsUnusable, match=word) as refused:
        write_targets(tmp_path, telegram(tmp_path, API, **broken))
    assert "123:AA" not in str(refused.value)


def test_two_targets_of_one_name_are_refused(tmp_path):
    with pytest.raises(TargetsUnusable, match="once"):
        write_targets(tmp_path, telegram(tmp_path, API), telegram(tmp_path, API))


@pytest.mark.parametrize("text", ["", "[]", "targets: []", "targets: {", "\xff"])
def test_an_invalid_file_is_refused(tmp_path, text):
    path = tmp_path / "targets.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(TargetsUnusable):
        load(path)
    with pytest.raises(TargetsUnusable):
        load(tmp_path / "absent.yaml")


def test_yaml_that_constructs_objects_is_refused(tmp_path):
    (tmp_path / "targets.yaml").write_text("targets: !!python/object/apply:os.getcwd []")
    with pytest.raises(TargetsUnusable):
        load(tmp_path / "targets.yaml")


def test_a_target_matches_its_kinds_from_its_severity_up(tmp_path):
    (phone,) = write_targets(
        tmp_path, telegram(tmp_path, API, kinds=["price_move", "feed_gap"], least_severity="warning")
    )
    assert phone.matches(alert(severity="critical"))
    assert phone.matches(alert(severity="warning", kind="feed_gap"))
    assert not phone.matches(alert(severity="info"))
    assert not phone.matches(alert(severity="critical", kind="silent_symbol"))


@pytest.mark.parametrize("content", ["", "\n", "one\ntwo", "k\u00e9y", "a\x00b"])
def test_a_secret_file_must_have_one_plain_line(tmp_path, content):
    (tmp_path / "token").write_text(content)
    with pytest.raises(SecretUnusable, match="token_file"):
        read_secret(tmp_path / "token", "token_file")


def test_a_secret_is_read_without_its_line_end(tmp_path):
    (tmp_path / "token").write_text("abc\r\n")
    assert read_secret(tmp_path / "token", "token_file") == "abc"


def test_the_example_in_the_readme_is_valid(tmp_path):
    from tapeline_local import paths

    text = (paths.CHECKOUT / "services" / "notifier" / "README.md").read_text()
    shown = text.partition("```yaml\n")[2].partition("```")[0]
    assert yaml.safe_load(shown)["targets"]
    (tmp_path / "targets.yaml").write_text(shown)
    assert len(load(tmp_path / "targets.yaml")) == 2
