"""What every run of the tests prints last: where its time went."""

from collections import defaultdict

import pytest

SLOWEST = 25


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
