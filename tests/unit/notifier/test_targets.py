import pytest
import yaml
from tapeline_notifier.errors import SecretUnusable, TargetsUnusable
from tapeline_notifier.targets import load, secret

from unit.notifier.made import alert, telegram, webhook, written

API = "http://127.0.0.1:1"


def test_a_file_of_both_kinds_is_read_with_what_it_leaves_out(tmp_path):
    phone, hook = written(tmp_path, telegram(tmp_path, API), webhook(tmp_path, API))
    assert (phone.name, phone.least_severity, phone.most_alerts) == ("phone", "info", 20)
    assert (hook.name, hook.key_file) == ("hook", None)


def test_telegrams_own_address_is_the_default(tmp_path):
    told = telegram(tmp_path, API)
    del told["api_url"], told["pause_s"]
    (phone,) = written(tmp_path, told)
    assert phone.api_url == "https://api.telegram.org"
    assert phone.pause_s >= 3, "20 messages a minute into a group"


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
def test_what_breaks_a_rule_is_named_and_its_value_is_not_shown(tmp_path, broken, word):
    with pytest.raises(TargetsUnusable, match=word) as refused:
        written(tmp_path, telegram(tmp_path, API, **broken))
    assert "123:AA" not in str(refused.value)


def test_two_targets_of_one_name_are_refused(tmp_path):
    with pytest.raises(TargetsUnusable, match="once"):
        written(tmp_path, telegram(tmp_path, API), telegram(tmp_path, API))


@pytest.mark.parametrize("text", ["", "[]", "targets: []", "targets: {", "\xff"])
def test_a_file_that_is_none_is_refused(tmp_path, text):
    path = tmp_path / "targets.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(TargetsUnusable):
        load(path)
    with pytest.raises(TargetsUnusable):
        load(tmp_path / "absent.yaml")


def test_yaml_that_would_make_objects_is_refused(tmp_path):
    (tmp_path / "targets.yaml").write_text("targets: !!python/object/apply:os.getcwd []")
    with pytest.raises(TargetsUnusable):
        load(tmp_path / "targets.yaml")


def test_a_target_wants_its_kinds_from_its_severity_on(tmp_path):
    (phone,) = written(tmp_path, telegram(tmp_path, API, kinds=["price_move", "feed_gap"], least_severity="warning"))
    assert phone.wants(alert(severity="critical"))
    assert phone.wants(alert(severity="warning", kind="feed_gap"))
    assert not phone.wants(alert(severity="info"))
    assert not phone.wants(alert(severity="critical", kind="silent_symbol"))


@pytest.mark.parametrize("held", ["", "\n", "one\ntwo", "k\u00e9y", "a\x00b"])
def test_a_file_without_one_plain_line_is_no_secret(tmp_path, held):
    (tmp_path / "token").write_text(held)
    with pytest.raises(SecretUnusable, match="token_file"):
        secret(tmp_path / "token", "token_file")


def test_a_secret_is_read_without_its_line_end(tmp_path):
    (tmp_path / "token").write_text("abc\r\n")
    assert secret(tmp_path / "token", "token_file") == "abc"


def test_the_readme_shows_a_file_that_is_right(tmp_path):
    from tapeline_local import paths

    text = (paths.CHECKOUT / "services" / "notifier" / "README.md").read_text()
    shown = text.partition("```yaml\n")[2].partition("```")[0]
    assert yaml.safe_load(shown)["targets"]
    (tmp_path / "targets.yaml").write_text(shown)
    assert len(load(tmp_path / "targets.yaml")) == 2
