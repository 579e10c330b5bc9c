"""For every run of the tests: no test is timed, and the run prints last where its time went."""

from collections import defaultdict

import pytest
from hypothesis import settings

SLOWEST = 25

# A deadline an example would be a measurement, and tests run side by side.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print seconds by module, set-up and tear-down included: a slow suite is mended where it is slow."""
    seconds: dict[str, float] = defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                seconds[report.nodeid.partition("::")[0]] += report.duration
    if not seconds:
        return
    ranked = sorted(seconds.items(), key=lambda item: -item[1])
    terminalreporter.section(f"seconds by module, the slowest {min(SLOWEST, len(ranked))} of {len(ranked)}")
    for module, duration in ranked[:SLOWEST]:
        terminalreporter.write_line(f"{duration:8.1f} s  {module}")
    terminalreporter.write_line(f"{sum(seconds.values()):8.1f} s  all")
