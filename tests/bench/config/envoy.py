"""Envoy: plain, with its own filters that check a token, and with the module."""

import json
from pathlib import Path

import empty_module
from names import CLIENT, EMAIL, TOKEN_COOKIE

_TYPE = "type.googleapis.com/"
_HTTP = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_UPSTREAM_HTTP = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def _typed(message: str, **fields) -> dict:
    return {"@type": _TYPE + message, **fields}


def _named(name: str, message: str, **fields) -> dict:
    return {"name": name, "typed_config": _typed(message, **fields)}


def plain(folder: Path, port: int, upstream: int) -> Path:
    """Envoy with the settings that Jetway's generator makes, without any check and without an access log."""
    return _envoy(folder, "envoy-plain", port, upstream, [])


def with_own_filters(folder: Path, port: int, upstream: int, issuer: str, jwks: dict) -> Path:
    """Envoy's own filters: a signed token in a cookie, verified once and cached, and an address to match."""
    provider = {
        "issuer": issuer,
        "audiences": [CLIENT],
        "local_jwks": {"inline_string": json.dumps(jwks)},
        "from_cookies": [TOKEN_COOKIE],
        "payload_in_metadata": "jwt",
        "jwt_cache_config": {"jwt_cache_size": 1000},
    }
    authn = _named(
        "envoy.filters.http.jwt_authn",
        "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        providers={"bench": provider},
        rules=[{"match": {"prefix": "/"}, "requires": {"provider_name": "bench"}}],
    )
    principals = [
        {
            "metadata": {
                "filter": "envoy.filters.http.jwt_authn",
                "path": [{"key": "jwt"}, {"key": "email"}],
                "value": {"string_match": {"exact": email}},
            }
        }
        for email in (EMAIL, "bob@example.com")
    ]
    rbac = _named(
        "envoy.filters.http.rbac",
        "envoy.extensions.filters.http.rbac.v3.RBAC",
        rules={"action": "ALLOW", "policies": {"bench": {"permissions": [{"any": True}], "principals": principals}}},
    )
    return _envoy(folder, "envoy-jwt", port, upstream, [authn, rbac])


def with_empty_module(folder: Path, port: int, upstream: int) -> Path:
    """Envoy with a module that does nothing."""
    module = folder / "empty.wasm"
    module.write_bytes(empty_module.build())
    code = {"runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": str(module)}}}
    wasm = _named(
        "empty", "envoy.extensions.filters.http.wasm.v3.Wasm", config={"name": "empty", "vm_config": code}
    )
    return _envoy(folder, "envoy-empty", port, upstream, [wasm])


def with_module(folder: Path, text: str) -> Path:
    """The bootstrap that `jetway envoy-config` wrote, without its access log, as no other proxy here writes one."""
    lines, kept, skipping = text.splitlines(), [], None
    for line in lines:
        depth = len(line) - len(line.lstrip())
        if skipping is not None and depth > skipping:
            continue
        skipping = None
        if line.strip() == "access_log:":
            skipping = depth
            continue
        kept.append(line)
    path = folder / "envoy-module.yaml"
    path.write_text("\n".join(kept) + "\n")
    return path


def _envoy(folder: Path, name: str, port: int, upstream: int, filters: list[dict]) -> Path:
    added = {
        "header": {"key": "x-forwarded-host", "value": "%REQ(:AUTHORITY)%"},
        "append_action": "ADD_IF_ABSENT",
    }
    route = {
        "match": {"prefix": "/"},
        "route": {"cluster": "app", "timeout": "30s", "host_rewrite_literal": f"127.0.0.1:{upstream}"},
        "request_headers_to_add": [added],
    }
    router = _named(
        "envoy.filters.http.router", "envoy.extensions.filters.http.router.v3.Router", suppress_envoy_headers=True
    )
    http = _named(
        "envoy.filters.network.http_connection_manager",
        _HTTP,
        stat_prefix="bench",
        use_remote_address=True,
        server_header_transformation="PASS_THROUGH",
        normalize_path=True,
        merge_slashes=True,
        path_with_escaped_slashes_action="REJECT_REQUEST",
        common_http_protocol_options={"idle_timeout": "300s", "headers_with_underscores_action": "REJECT_REQUEST"},
        request_headers_timeout="15s",
        stream_idle_timeout="30s",
        route_config={"name": "bench", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        http_filters=[*filters, router],
    )
    cluster = {
        "name": "app",
        "type": "STATIC",
        "typed_extension_protocol_options": {
            _UPSTREAM_HTTP: _typed(_UPSTREAM_HTTP, explicit_http_config={"http_protocol_options": {}})
        },
        "load_assignment": {
            "cluster_name": "app",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(upstream)}}]}],
        },
    }
    listener = {
        "name": "bench",
        "address": _address(port),
        "per_connection_buffer_limit_bytes": 32768,
        "filter_chains": [{"filters": [http]}],
    }
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"static_resources": {"listeners": [listener], "clusters": [cluster]}}, indent=1))
    return path


def _address(port: int) -> dict:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
