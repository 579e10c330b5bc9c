import json
import urllib.error
import urllib.request

import pytest
from tapeline.service.health import Health, serve


@pytest.fixture
def served():
    health = Health(("kafka", "feed"), max_silence_s=60)
    server = serve(health, "127.0.0.1", 0, lambda: (b"up 1\n", "text/plain"))
    yield health, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def ask(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_a_service_is_ready_when_every_condition_holds(served):
    health, url = served
    health.set_ready("kafka")
    assert ask(f"{url}/health/ready")[0] == 503
    health.set_ready("feed")
    assert ask(f"{url}/health/ready")[0] == 200


def test_an_unready_service_says_what_it_waits_for(served):
    health, url = served
    health.set_ready("kafka")
    health.set_unready("feed", "refused: publicTrade.NOPEUSDT")
    waiting = json.loads(ask(f"{url}/health/ready")[1])["waiting_for"]
    assert waiting == {"feed": "refused: publicTrade.NOPEUSDT"}


def test_a_dependency_that_is_down_does_not_make_a_service_dead(served):
    health, url = served
    health.set_unready("kafka", "away")
    assert ask(f"{url}/health/live")[0] == 200


def test_a_loop_that_stands_still_is_dead():
    health = Health((), max_silence_s=-1)
    assert health.live()[0] is False


def test_metrics_are_served_as_they_are_given(served):
    assert ask(f"{served[1]}/metrics") == (200, b"up 1\n")


def test_an_unknown_condition_is_an_error():
    with pytest.raises(KeyError, match="feed"):
        Health(("feed",), 1).set_ready("food")
