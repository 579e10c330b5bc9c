from tapeline_inference import metrics


def test_the_exposition_names_every_metric_with_its_unit_and_help() -> None:
    body, content_type = metrics.exposition()
    text = body.decode()
    assert content_type.startswith("text/plain")
    for name in (
        "tapeline_predict_requests_total",
        "tapeline_predict_rows_total",
        "tapeline_predict_duration_seconds",
        "tapeline_predict_running_requests",
        "tapeline_model_info",
        "tapeline_model_age_seconds",
        "tapeline_model_refusals_total",
    ):
        assert f"# HELP {name} " in text
