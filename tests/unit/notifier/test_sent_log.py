import contextlib
import resource
import signal
import sqlite3
import subprocess
import sys
import textwrap

import pytest
from tapeline.service.files import OutdatedState
from tapeline_notifier.errors import SentLogUnusable, StateInUse
from tapeline_notifier.message import Message, subject
from tapeline_notifier.sent_log import FORMAT, SentLog

from unit.notifier.factories import NOW_MS, alert


@pytest.fixture
def sent(tmp_path):
    log = SentLog(tmp_path)
    yield log
    log.close()


def reopened(log: SentLog, folder) -> SentLog:
    log.close()
    return SentLog(folder)


def test_a_message_is_kept_with_its_alerts_until_finalised(sent, tmp_path):
    message = Message.from_alerts("phone", [alert(1), alert(2)])
    sent.record_attempt("phone", message, NOW_MS)
    sent = reopened(sent, tmp_path)
    (unfinished,) = sent.unfinished("phone")
    assert unfinished.message == message and unfinished.is_doubtful
    assert sent.unfinished("hook") == []
    assert not sent.is_finalised("phone", alert(1).alert_id)
    sent.finalise_message("phone", message, "sent", NOW_MS + 5)
    sent = reopened(sent, tmp_path)
    assert sent.unfinished("phone") == []
    assert sent.is_finalised("phone", alert(1).alert_id) and sent.is_finalised("phone", alert(2).alert_id)
    assert not sent.is_finalised("hook", alert(1).alert_id)
    assert sent.last_sent_at_ms("phone") == {subject(alert(1)): NOW_MS + 5, subject(alert(2)): NOW_MS + 5}
    sent.close()


def test_a_refused_message_is_not_doubtful_until_the_next_attempt(sent):
    message = Message.from_alerts("phone", [alert(1)])
    sent.record_attempt("phone", message, NOW_MS)
    sent.record_not_delivered("phone", message)
    assert [each.is_doubtful for each in sent.unfinished("phone")] == [False]
    sent.record_attempt("phone", message, NOW_MS)
    assert [each.is_doubtful for each in sent.unfinished("phone")] == [True]


def test_an_expired_alert_is_finalised_and_starts_no_cool_down(sent):
    sent.finalise("phone", [alert(1)], "expired", NOW_MS)
    assert sent.is_finalised("phone", alert(1).alert_id)
    assert sent.last_sent_at_ms("phone") == {}


def test_old_entries_are_purged(sent):
    sent.finalise("phone", [alert(1)], "sent", NOW_MS)
    sent.finalise("phone", [alert(2)], "sent", NOW_MS + 10)
    assert sent.purge(NOW_MS + 10) == 1
    assert not sent.is_finalised("phone", alert(1).alert_id)
    assert sent.is_finalised("phone", alert(2).alert_id)


def test_a_second_process_is_refused(sent, tmp_path):
    with pytest.raises(StateInUse, match="another notifier"):
        SentLog(tmp_path)


def test_an_invalid_file_prevents_the_start(tmp_path):
    (tmp_path / "sent.sqlite").write_bytes(b"no database at all, but long enough to be read as one" * 20)
    with pytest.raises(SentLogUnusable, match=r"sent\.sqlite"):
        SentLog(tmp_path)


def versioned(folder, version: int | None = None) -> int:
    """Set the format number of the file, if one is given, and return the number."""
    with contextlib.closing(sqlite3.connect(folder / "sent.sqlite")) as database:
        if version is not None:
            database.execute(f"PRAGMA user_version = {version}")
        return int(database.execute("PRAGMA user_version").fetchone()[0])


def test_a_new_file_has_the_format_number_and_is_opened_again(tmp_path):
    for _ in range(2):
        SentLog(tmp_path).close()
        assert versioned(tmp_path) == FORMAT


@pytest.mark.parametrize("version", [0, FORMAT + 1])
def test_a_file_of_another_format_is_refused_in_one_line_and_left_as_it_was(tmp_path, version):
    log = SentLog(tmp_path)
    log.finalise("phone", [alert(1)], "sent", NOW_MS)
    log.close()
    versioned(tmp_path, version)
    before = (tmp_path / "sent.sqlite").read_bytes()
    for _ in range(2):
        with pytest.raises(OutdatedState) as refused:
            SentLog(tmp_path)
        assert "\n" not in str(refused.value)
        for part in (str(tmp_path / "sent.sqlite"), f"has format {version}", f"reads format {FORMAT}", "move the file"):
            assert part in str(refused.value)
    assert (tmp_path / "sent.sqlite").read_bytes() == before


def test_a_folder_that_cannot_be_created_prevents_the_start(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SentLogUnusable):
        SentLog(tmp_path / "file" / "state")


def test_a_full_disk_fails_the_attempt_and_keeps_the_log_valid(tmp_path):
    """RLIMIT_FSIZE makes a write fail like a full disk; in a separate process because it cannot be undone."""
    program = textwrap.dedent(
        """
        import resource, signal, sys
        from pathlib import Path
        from tapeline_notifier.errors import SentLogUnusable
        from tapeline_notifier.message import Message
        from tapeline_notifier.sent_log import SentLog
        from unit.notifier.factories import alert
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        log = SentLog(Path(sys.argv[1]))
        log.record_attempt("phone", Message.from_alerts("phone", [alert(0)]), 1)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            log.record_attempt("phone", Message.from_alerts("phone", [alert(1, message="x" * 900)] * 50), 2)
        except SentLogUnusable as error:
            sys.exit(7)
        """
    )
    assert resource.RLIMIT_FSIZE and signal.SIGXFSZ
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd="tests", check=False, timeout=30)
    assert done.returncode == 7
    log = SentLog(tmp_path)
    assert [unfinished.message.alerts[0].symbol for unfinished in log.unfinished("phone")] == ["SYM0USDT"]
    log.close()


def test_an_in_memory_log_leaves_no_file(tmp_path):
    log = SentLog(None)
    log.finalise("phone", [alert(1)], "sent", NOW_MS)
    assert log.is_finalised("phone", alert(1).alert_id)
    log.close()
    assert list(tmp_path.iterdir()) == []
