"""nginx: the upstream of all proxies, and a plain reverse proxy to compare with."""

from dataclasses import dataclass
from pathlib import Path

from names import TRANSFER_BYTES
from openssl import Certificate

#: Enough for the idle WebSockets, each of which has two connections.
_CONNECTIONS = 8192


def upstream(folder: Path, port: int) -> str:
    """A server with an answer of twelve bytes, a download, and uploads that it answers when it has read them."""
    root = folder / "files"
    root.mkdir()
    (root / "download").write_bytes(bytes(TRANSFER_BYTES))
    # Only a proxied request waits for its body: so this server asks itself, without the body.
    upload = f"""
        proxy_pass http://127.0.0.1:{port}/read; proxy_pass_request_body off; proxy_set_header Content-Length "";
        client_max_body_size 0; client_body_buffer_size {2 * TRANSFER_BYTES};
        add_header X-Received $request_length;"""
    return f"""server {{ listen 127.0.0.1:{port};
        location / {{ return 200 "hello, world"; }}
        location = /download {{ root {root}; default_type application/octet-stream; }}
        location = /upload {{ {upload} }}
    }}"""


@dataclass
class Front:
    """The side that clients see."""

    port: int
    certificate: Certificate | None = None
    http2: bool = False

    def _listen(self) -> str:
        words = f"127.0.0.1:{self.port}"
        if not self.certificate:
            return f"listen {words};"
        words += " ssl http2" if self.http2 else " ssl"
        return f"""listen {words}; ssl_certificate {self.certificate.chain}; ssl_certificate_key {self.certificate.key};
            ssl_protocols TLSv1.2 TLSv1.3; ssl_session_tickets on;"""


def proxy(front: Front, upstream_port: int, websockets: bool = False) -> str:
    """A plain reverse proxy that keeps its connections and passes bodies on while it reads them, as Jetway does."""
    upgrade = 'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";'
    keep = 'proxy_set_header Connection "";'
    return f"""upstream app {{ server 127.0.0.1:{upstream_port}; keepalive 64; keepalive_requests 100000000; }}
        server {{ {front._listen()} location / {{
            proxy_pass http://app; proxy_http_version 1.1; {upgrade if websockets else keep}
            proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $http_host;
            client_max_body_size 0; proxy_request_buffering off; proxy_max_temp_file_size 0;
        }} }}"""


def write(folder: Path, name: str, servers: str) -> Path:
    """Writes the whole configuration around some servers."""
    path, work = folder / f"{name}.conf", folder / f"{name}-files"
    work.mkdir()
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = " ".join(f"{kind}_temp_path {work}/{kind};" for kind in kinds)
    path.write_text(
        f"""daemon off; worker_processes 1; worker_rlimit_nofile {4 * _CONNECTIONS};
        pid {work}/pid; error_log stderr warn;
        events {{ worker_connections {_CONNECTIONS}; }}
        http {{ access_log off; keepalive_requests 100000000; {temporary} {servers} }}"""
    )
    return path
