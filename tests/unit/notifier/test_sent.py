import resource
import signal
import subprocess
import sys
import textwrap

import pytest
from tapeline_notifier.errors import SentLogUnusable, StateInUse
from tapeline_notifier.message import Message, subject
from tapeline_notifier.sent import SentLog

from unit.notifier.made import NOW_MS, alert


@pytest.fixture
def sent(tmp_path):
    log = SentLog(tmp_path)
    yield log
    log.close()


def reopened(log: SentLog, folder) -> SentLog:
    log.close()
    return SentLog(folder)


def test_a_message_is_remembered_with_its_alerts_until_it_has_ended(sent, tmp_path):
    message = Message.of("phone", [alert(1), alert(2)])
    sent.begin("phone", message, NOW_MS)
    sent = reopened(sent, tmp_path)
    (begun,) = sent.begun("phone")
    assert begun.message == message and begun.is_doubtful
    assert sent.begun("hook") == []
    assert not sent.is_settled("phone", alert(1).alert_id)
    sent.end("phone", message, "sent", NOW_MS + 5)
    sent = reopened(sent, tmp_path)
    assert sent.begun("phone") == []
    assert sent.is_settled("phone", alert(1).alert_id) and sent.is_settled("phone", alert(2).alert_id)
    assert not sent.is_settled("hook", alert(1).alert_id)
    assert sent.sent_at_ms("phone") == {subject(alert(1)): NOW_MS + 5, subject(alert(2)): NOW_MS + 5}
    sent.close()


def test_what_was_refused_is_not_doubtful_until_it_is_tried_again(sent):
    message = Message.of("phone", [alert(1)])
    sent.begin("phone", message, NOW_MS)
    sent.missed("phone", message)
    assert [each.is_doubtful for each in sent.begun("phone")] == [False]
    sent.begin("phone", message, NOW_MS)
    assert [each.is_doubtful for each in sent.begun("phone")] == [True]


def test_what_expired_is_settled_and_begins_no_cool_down(sent):
    sent.settle("phone", [alert(1)], "expired", NOW_MS)
    assert sent.is_settled("phone", alert(1).alert_id)
    assert sent.sent_at_ms("phone") == {}


def test_old_entries_are_forgotten(sent):
    sent.settle("phone", [alert(1)], "sent", NOW_MS)
    sent.settle("phone", [alert(2)], "sent", NOW_MS + 10)
    assert sent.forget(NOW_MS + 10) == 1
    assert not sent.is_settled("phone", alert(1).alert_id)
    assert sent.is_settled("phone", alert(2).alert_id)


def test_a_second_process_is_refused(sent, tmp_path):
    with pytest.raises(StateInUse, match="another notifier"):
        SentLog(tmp_path)


def test_a_file_that_is_no_sent_log_stops_the_start(tmp_path):
    (tmp_path / "sent.sqlite").write_bytes(b"no database at all, but long enough to be looked at" * 20)
    with pytest.raises(SentLogUnusable, match=r"sent\.sqlite"):
        SentLog(tmp_path)


def test_a_folder_that_cannot_be_made_stops_the_start(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SentLogUnusable):
        SentLog(tmp_path / "file" / "state")


def test_a_full_disk_lets_nothing_begin_and_breaks_nothing(tmp_path):
    """RLIMIT_FSIZE makes a write fail as a full disk does; in a process of its own, for it cannot be undone."""
    program = textwrap.dedent(
        """
        import resource, signal, sys
        from pathlib import Path
        from tapeline_notifier.errors import SentLogUnusable
        from tapeline_notifier.message import Message
        from tapeline_notifier.sent import SentLog
        from unit.notifier.made import alert
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        log = SentLog(Path(sys.argv[1]))
        log.begin("phone", Message.of("phone", [alert(0)]), 1)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            log.begin("phone", Message.of("phone", [alert(1, message="x" * 900)] * 50), 2)
        except SentLogUnusable as error:
            sys.exit(7)
        """
    )
    assert resource.RLIMIT_FSIZE and signal.SIGXFSZ
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd="tests", check=False, timeout=30)
    assert done.returncode == 7
    log = SentLog(tmp_path)
    assert [begun.message.alerts[0].symbol for begun in log.begun("phone")] == ["SYM0USDT"]
    log.close()


def test_in_memory_nothing_is_left(tmp_path):
    log = SentLog(None)
    log.settle("phone", [alert(1)], "sent", NOW_MS)
    assert log.is_settled("phone", alert(1).alert_id)
    log.close()
    assert list(tmp_path.iterdir()) == []
