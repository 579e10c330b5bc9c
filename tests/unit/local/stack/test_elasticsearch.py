from pathlib import Path

from tapeline_local.stack import elasticsearch

SHIPPED = """# a comment
-XX:+UseG1GC
-Djava.io.tmpdir=${ES_TMPDIR}
20-:--add-modules=jdk.incubator.vector
-XX:+HeapDumpOnOutOfMemoryError
-XX:+ExitOnOutOfMemoryError
-Xlog:gc*,gc+age=trace:file=gc.log
"""


def test_one_collector_is_chosen_whatever_the_archive_ships():
    for fast_jit in (True, False):
        both = elasticsearch.jvm_options(SHIPPED, ()) + elasticsearch.heap_options(512, fast_jit)
        collectors = [line for line in both.splitlines() if line.endswith("GC") and "+Use" in line]
        assert collectors == ["-XX:+UseSerialGC" if fast_jit else "-XX:+UseG1GC"]


def test_a_module_stays_where_the_java_has_it_and_goes_where_not():
    flag = "20-:--add-modules=jdk.incubator.vector"
    assert flag in elasticsearch.jvm_options(SHIPPED, ()).splitlines()
    assert flag not in elasticsearch.jvm_options(SHIPPED, ("jdk.incubator.vector",)).splitlines()


def test_what_is_not_ours_to_choose_is_left_alone():
    kept = elasticsearch.jvm_options(SHIPPED, ()).splitlines()
    assert "-Djava.io.tmpdir=${ES_TMPDIR}" in kept
    assert "-XX:+ExitOnOutOfMemoryError" in kept


def test_a_folder_with_odd_letters_is_quoted():
    text = elasticsearch.elasticsearch_yml(Path("/a: #b"), 1, 2)
    assert 'path.data: "/a: #b/data"' in text.splitlines()
