"""A pod that answers as Kibana does where Kibana's own image cannot be had: behind ECK's Service and certificates.

It takes imports and nothing else, and says in its log what it took.
"""

import json
from typing import Any

from support import eventually

from cluster import platform, running
from cluster.kube import apply, get, kubectl, run

NAME = "kibana-stand-in"
_SCRIPT = """
import base64, hashlib, http.server, json, pathlib, ssl
secret = pathlib.Path("/secrets/user")
user, password = ((secret / name).read_text() for name in ("username", "password"))
known = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
class Answers(http.server.BaseHTTPRequestHandler):
    def told(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.told(200, {"status": {"overall": {"level": "available"}}})
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Authorization"] != known:
            return self.told(401, {"message": "who is that"})
        lines = [line.strip() for line in body.splitlines() if line.startswith(b"{")]
        told = {"path": self.path, "count": len(lines), "sha256": hashlib.sha256(b"\\n".join(lines)).hexdigest()}
        print(json.dumps(told), flush=True)
        self.told(200, {"success": True, "successCount": len(lines)})
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("0.0.0.0", 5601), Answers)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/secrets/tls/tls.crt", "/secrets/tls/tls.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


def _pod() -> dict[str, Any]:
    secrets = {"tls": "tapeline-kb-http-certs-internal", "user": "tapeline-es-dashboards"}
    container = {
        "name": "kibana",
        "image": f"{platform.REGISTRY}/tapeline/dashboards:{running.VERSION}",
        "command": ["python", "-c", _SCRIPT],
        "ports": [{"containerPort": 5601}],
        "readinessProbe": {"tcpSocket": {"port": 5601}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
        "volumeMounts": [{"name": name, "mountPath": f"/secrets/{name}", "readOnly": True} for name in secrets],
    }
    volumes = [
        {"name": name, "secret": {"secretName": secret, "defaultMode": 0o440}} for name, secret in secrets.items()
    ]
    # What the Service of ECK selects by; not all that the ReplicaSet does, which therefore leaves it alone.
    labels = {"common.k8s.elastic.co/type": "kibana", "kibana.k8s.elastic.co/name": "tapeline"}
    return running.restricted_pod(NAME, labels, 10001, container, volumes)


def start() -> None:
    """Start it, and wait until the Service leads to it."""
    answer = apply([_pod()])
    assert answer.code == 0, answer.err
    is_ready = lambda: running.ready(get("pod", NAME, platform.NAMESPACE))  # noqa: E731
    eventually(is_ready, "what stands in for Kibana is ready", 120)


def stop() -> None:
    """Take it away, if it is there."""
    run("kubectl", "-n", platform.NAMESPACE, "delete", "pod", NAME, "--ignore-not-found", "--grace-period=0")


def taken() -> list[dict[str, Any]]:
    """Return what it was sent, in order."""
    lines = kubectl("-n", platform.NAMESPACE, "logs", NAME).splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]
