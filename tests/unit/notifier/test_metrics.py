from tapeline_notifier.metrics import Metrics


def test_every_metric_is_exposed_with_the_prefix_of_the_service():
    metrics = Metrics()
    metrics.finalised.labels("phone", "sent").inc()
    page, kind = metrics.page()
    named = [line.split()[2] for line in page.decode().splitlines() if line.startswith("# TYPE")]
    assert "tapeline_notifier_alerts_finalised_total" in named
    assert all(name.startswith("tapeline_notifier_") for name in named)
    assert kind.startswith("text/plain")
