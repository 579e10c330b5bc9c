"""Valid and invalid combinations of settings."""

import pytest
from tapeline.service.connection import InvalidConnection
from tapeline_dashboards.settings import Settings


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"kibana_url": "https://me:secret@kibana:5601"}, "an address with a user in it"),
        ({"kibana_url": "kibana:5601"}, "http or https"),
        ({"username": "me"}, "DASHBOARDS_PASSWORD_FILE"),
        ({"password_file": "/x"}, "DASHBOARDS_USERNAME"),
        ({"kibana_url": "http://kibana:5601", "username": "me", "password_file": "/x"}, "readable"),
    ],
)
def test_invalid_settings_are_refused_with_a_remedy(given, word):
    with pytest.raises(InvalidConnection, match=word) as refused:
        Settings(**given)
    assert "secret" not in str(refused.value)


def test_settings_that_work():
    Settings(kibana_url="https://kibana:5601", username="me", password_file="/x")
    Settings(kibana_url="http://localhost:5601", username="me", password_file="/x")
    assert Settings().space == ""
