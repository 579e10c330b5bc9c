import pytest
from tapeline_local.errors import NotRunning
from tapeline_local.stack.options import PARTS, StackOptions
from tapeline_local.stack.stack import Stack


def test_the_real_exchange_needs_no_simulator(tmp_path):
    stack = Stack(tmp_path, PARTS, StackOptions(exchange="bybit", notifier_targets="targets.yaml"))
    assert set(PARTS) - set(stack.parts) == {"simulator"}


def test_a_stack_that_never_ran_raises_not_running_and_down_does_nothing(tmp_path):
    stack = Stack(tmp_path / "state")
    for call in (stack.status, lambda: stack.addresses, lambda: Stack.load(tmp_path / "state")):
        with pytest.raises(NotRunning, match="make up"):
            call()
    stack.down()


def test_describing_a_stack_writes_nothing(tmp_path):
    Stack(tmp_path / "state")
    assert not (tmp_path / "state").exists()
