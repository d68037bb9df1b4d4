"""Jetway: one file for the host, with or without the module, and for the generator of Envoy's configuration."""

import json
from dataclasses import dataclass
from pathlib import Path

from names import CLIENT, EMAIL, HOST
from openssl import Certificate

_POLICY = [{"allow": {"or": [{"email": {"is": EMAIL}}, {"email": {"is": "bob@example.com"}}]}}]


@dataclass
class Settings:
    """The parts in which the configurations differ."""

    port: int
    upstream: int
    issuer: str
    certificate: Certificate | None = None
    websockets: bool = False
    #: All routes, the one of `HOST` included, which is the last.
    routes: int = 1
    #: A word that changes the file without changing what it does.
    page_name: str = "bench"


def write(folder: Path, name: str, settings: Settings) -> Path:
    """Writes the file. JSON is YAML."""
    hosts = [f"app-{number}.localhost" for number in range(1, settings.routes)] + [HOST]
    config = {
        "address": f"127.0.0.1:{settings.port}",
        "idp_provider": "oidc",
        "idp_provider_url": settings.issuer,
        "idp_client_id": CLIENT,
        "page_name": settings.page_name,
        "routes": [_route(host, settings) for host in hosts],
        **_listener(settings.certificate),
    }
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(config, indent=1))
    return path


def _route(host: str, settings: Settings) -> dict:
    route = {"from": f"https://{host}", "to": f"http://127.0.0.1:{settings.upstream}", "policy": _POLICY}
    return {**route, "allow_websockets": True} if settings.websockets else route


def _listener(certificate: Certificate | None) -> dict:
    if not certificate:
        return {"insecure_server": True}
    return {"certificate_file": str(certificate.chain), "certificate_key_file": str(certificate.key)}
