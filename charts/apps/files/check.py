"""`helm test`: inference is ready, and Elasticsearch answers its user. Exit code 1 says which not."""

import base64
import json
import os
import ssl
import sys
import time
import urllib.request
from pathlib import Path

SECRETS = Path("/secrets")


def ask(url: str) -> dict[str, object]:
    """Return the JSON that a URL answers with.

    Raises:
        OSError: no answer, or one above 399.
    """
    request = urllib.request.Request(url)
    authority = SECRETS / "elasticsearch-ca" / "ca.crt"
    context = ssl.create_default_context(cafile=str(authority) if authority.exists() else None)
    password = SECRETS / "elasticsearch" / "password"
    if password.exists() and url.startswith(os.environ["TEST_ELASTICSEARCH_URL"]):
        user = f"{os.environ['TEST_ELASTICSEARCH_USERNAME']}:{password.read_text().strip()}"
        request.add_header("Authorization", f"Basic {base64.b64encode(user.encode()).decode()}")
    with urllib.request.urlopen(request, timeout=5, context=context) as answer:
        found: dict[str, object] = json.load(answer)
        return found


def insist(what: str, url: str, deadline: float) -> bool:
    """Ask until it answers well or the deadline passes; say how it went."""
    while True:
        try:
            answer = ask(url)
        except (OSError, ValueError) as error:
            reason = str(error)
        else:
            if answer.get("status") != "red":
                sys.stdout.write(f"ok    {what}: {url}\n")
                return True
            reason = "its health is red"
        if time.monotonic() > deadline:
            sys.stdout.write(f"FAIL  {what}: {url}: {reason}\n")
            return False
        time.sleep(1)


def main() -> int:
    """Ask both; 0 if both answered well."""
    deadline = time.monotonic() + float(os.environ["TEST_PATIENCE_S"])
    questions = {
        "inference is ready": os.environ.get("TEST_INFERENCE_URL", "")
        and os.environ["TEST_INFERENCE_URL"] + "/health/ready",
        "Elasticsearch answers": os.environ["TEST_ELASTICSEARCH_URL"] + "/_cluster/health",
    }
    # Every question is asked, so that all that is wrong is said at once.
    answers = [insist(what, url, deadline) for what, url in questions.items() if url]
    return int(not all(answers))


if __name__ == "__main__":
    sys.exit(main())
