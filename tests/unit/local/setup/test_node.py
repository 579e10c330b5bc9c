import pytest
from tapeline_local.errors import SetupError
from tapeline_local.setup import node


def test_child_processes_of_node_find_node(tmp_path):
    inner = "process.stdout.write(require('node:child_process').execFileSync('node', ['-p', '1 + 1']))"
    assert node.run(["-e", inner], tmp_path) == "2\n"


def test_a_failure_holds_the_output_of_node(tmp_path):
    with pytest.raises(SetupError, match="no such thing"):
        node.run(["-e", "throw new Error('no such thing')"], tmp_path)
