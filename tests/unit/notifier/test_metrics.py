from tapeline_notifier.metrics import Metrics


def test_every_metric_is_on_the_page_with_the_services_prefix():
    metrics = Metrics()
    metrics.settled.labels("phone", "sent").inc()
    page, kind = metrics.page()
    named = [line.split()[2] for line in page.decode().splitlines() if line.startswith("# TYPE")]
    assert "tapeline_notifier_alerts_settled_total" in named
    assert all(name.startswith("tapeline_notifier_") for name in named)
    assert kind.startswith("text/plain")
