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
    #: All routes. The last one is for every path of `HOST`.
    routes: int = 1
    #: Whether the other routes are for paths of `HOST`, and not for hosts of their own.
    one_host: bool = False
    #: A word that changes the file without changing what it does.
    page_name: str = "bench"


def write(folder: Path, name: str, settings: Settings) -> Path:
    """Writes the file. JSON is YAML."""
    config = {
        "address": f"127.0.0.1:{settings.port}",
        "idp_provider": "oidc",
        "idp_provider_url": settings.issuer,
        "idp_client_id": CLIENT,
        "page_name": settings.page_name,
        "routes": _routes(settings),
        **_listener(settings.certificate),
    }
    path = folder / f"{name}.yaml"
    # In one step: a running proxy reads a file that changes.
    new = path.with_suffix(".new")
    new.write_text(json.dumps(config, indent=1))
    new.replace(path)
    return path


def _routes(settings: Settings) -> list[dict]:
    route = {"from": f"https://{HOST}", "to": f"http://127.0.0.1:{settings.upstream}", "policy": _POLICY}
    if settings.websockets:
        route["allow_websockets"] = True
    others = range(1, settings.routes)
    if settings.one_host:
        return [{**route, "prefix": f"/app-{number}/"} for number in others] + [route]
    return [{**route, "from": f"https://app-{number}.localhost"} for number in others] + [route]


def _listener(certificate: Certificate | None) -> dict:
    if not certificate:
        return {"insecure_server": True}
    return {"certificate_file": str(certificate.chain), "certificate_key_file": str(certificate.key)}
