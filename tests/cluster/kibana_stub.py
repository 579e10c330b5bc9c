"""A stub of Kibana in a pod behind ECK's Service and certificates, for clusters that cannot pull Kibana's image.

The stub accepts imports only and logs them.
"""

import json
from typing import Any

from support import eventually

from cluster import platform, running
from cluster.kube import apply, get, kubectl, run

NAME = "kibana-stub"
_SCRIPT = """
import base64, hashlib, http.server, json, pathlib, ssl
secret = pathlib.Path("/secrets/user")
user, password = ((secret / name).read_text() for name in ("username", "password"))
known = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
class Handler(http.server.BaseHTTPRequestHandler):
    def respond(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.respond(200, {"status": {"overall": {"level": "available"}}})
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Authorization"] != known:
            return self.respond(401, {"message": "unauthorized"})
        lines = [line.strip() for line in body.splitlines() if line.startswith(b"{")]
        received = {"path": self.path, "count": len(lines), "sha256": hashlib.sha256(b"\\n".join(lines)).hexdigest()}
        print(json.dumps(received), flush=True)
        self.respond(200, {"success": True, "successCount": len(lines)})
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("0.0.0.0", 5601), Handler)
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
    # The selector labels of ECK's Service, but not all of the ReplicaSet's, which would adopt the pod.
    labels = {"common.k8s.elastic.co/type": "kibana", "kibana.k8s.elastic.co/name": "tapeline"}
    return running.restricted_pod(NAME, labels, 10001, container, volumes)


def start() -> None:
    """Start the stub and wait until it is ready."""
    result = apply([_pod()])
    assert result.code == 0, result.err
    is_ready = lambda: running.is_ready(get("pod", NAME, platform.NAMESPACE))  # noqa: E731
    eventually(is_ready, "the stub of Kibana is ready", 120)


def stop() -> None:
    """Delete the stub, if it exists."""
    run("kubectl", "-n", platform.NAMESPACE, "delete", "pod", NAME, "--ignore-not-found", "--grace-period=0")


def received_imports() -> list[dict[str, Any]]:
    """Return the received imports, in order."""
    lines = kubectl("-n", platform.NAMESPACE, "logs", NAME).splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]
