//! Tests the listeners for metrics, probes and operators of a whole proxy.

use super::*;

/// Starts a proxy with one route and a socket for operators.
async fn start(upstream: &Upstream, folder: &tempfile::TempDir) -> (Rig, std::path::PathBuf) {
    let path = folder.path().join("admin.sock");
    let mut file = file(&[json!({"to": upstream.url(), "allow_websockets": true, "name": "desk"})]);
    file["admin_address"] = format!("unix:{}", path.display()).into();
    (Rig::start(read(&file)), path)
}

async fn ask(path: &std::path::Path, page: &str) -> Answer {
    let mut stream = tokio::net::UnixStream::connect(path).await.unwrap();
    let request = format!("GET {page} HTTP/1.1\r\nhost: admin\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    Answer::read(&mut stream).await
}

#[tokio::test]
async fn requests_and_websockets_are_counted_by_route() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::start().await;
    let (rig, path) = start(&upstream, &folder).await;
    assert_eq!(rig.get("/", 0, "").await.status(), 200);
    assert_eq!(rig.get("/", 7, "").await.status(), 503);
    let mut socket = rig.connect().await;
    let request = rig.request("GET", "/websocket", 0, upstream::WEBSOCKET);
    socket.write_all(request.as_bytes()).await.unwrap();
    read_until(&mut socket, "\r\n\r\n").await;
    check_echo(&mut socket).await;
    let metrics = ask(&path, "/metrics").await;
    assert_eq!(metrics.status(), 200);
    for line in [
        r#"jetway_requests_total{route="desk",status="2xx"} 1"#,
        r#"jetway_requests_total{route="",status="5xx"} 1"#,
        r#"jetway_route_duration_seconds_count{route="desk"} 1"#,
        "jetway_websockets_opened_total 1",
        "jetway_websockets_open 1.0",
        "jetway_plugin_instances 1.0",
        "jetway_configuration_routes 1.0",
        r#"jetway_outgoing_connection_failures_total{to="upstream"} 0"#,
    ] {
        assert!(
            metrics.0.lines().any(|own| own == line),
            "{line}\n{metrics:?}"
        );
    }
}

#[tokio::test]
async fn readiness_and_status_describe_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::start().await;
    let (rig, path) = start(&upstream, &folder).await;
    assert_eq!(ask(&path, "/healthz").await.status(), 200);
    let ready = ask(&path, "/readyz").await;
    assert_eq!(ready.status(), 200, "{ready:?}");
    let status = ask(&path, "/status").await;
    let (_, body) = status.0.split_once("\r\n\r\n").unwrap();
    let status: Value = serde_json::from_str(body).unwrap();
    assert_eq!(status["workers"], 1);
    assert_eq!(status["configuration"]["routes"], 1);
    assert_eq!(status["websockets_open"], 0);
    assert_eq!(status["checks"]["plugin"], true);
    rig.running.overview.set_stage(Stage::Stopping);
    let stopping = ask(&path, "/readyz").await;
    assert_eq!(stopping.status(), 503, "{stopping:?}");
    assert!(stopping.0.contains("\"listeners\": false"), "{stopping:?}");
    let metrics = ask(&path, "/metrics").await;
    assert!(metrics.0.contains("\njetway_ready 0.0"), "{metrics:?}");
}

/// A client that connects and is silent holds one of a few connections for a limited time, and the workers none.
#[tokio::test]
async fn silent_clients_do_not_keep_workers_from_serving() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::start().await;
    let (rig, path) = start(&upstream, &folder).await;
    let mut silent = Vec::new();
    for _ in 0..limits::ADMIN_CONNECTIONS * 2 {
        silent.push(tokio::net::UnixStream::connect(&path).await.unwrap());
    }
    assert_eq!(rig.get("/", 0, "").await.status(), 200);
    drop(silent);
    assert_eq!(ask(&path, "/healthz").await.status(), 200);
}
