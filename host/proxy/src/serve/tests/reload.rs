//! Tests of reloads while requests arrive and connections are open.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::HandshakeKind;
use tokio::io::AsyncWrite;
use tokio_rustls::client::TlsStream;

use super::certificates::{client_config, connect_with};
use super::*;
use crate::tls::testing::{Authority, Issued};

fn plugin_with_shared_data() -> &'static [u8] {
    static PLUGIN: OnceLock<Vec<u8>> = OnceLock::new();
    PLUGIN.get_or_init(|| wat::parse_str(include_str!("reload.wat")).unwrap())
}

/// Returns settings in which this word is the plugin's configuration.
fn settings(config: Config, word: &str) -> Settings {
    Settings {
        process: ProcessFacts::default(),
        certificates: Certificates::read(&config.listener).unwrap(),
        config,
        file: word.into(),
        addresses: vec!["127.0.0.1:0".parse().unwrap()],
        workers: NonZeroUsize::MIN,
        module: plugin_with_shared_data(),
        module_cache: None,
        provider_access: ProviderAccess::default(),
        open_files: OPEN_FILES,
        drain_time: limits::GRACE,
    }
}

fn config(upstream: &Upstream) -> Config {
    read(&file(&[
        json!({"to": upstream.url(), "allow_websockets": true}),
    ]))
}

fn rig(config: Config, word: &str) -> Rig {
    let routes = config.routes.iter().map(|route| route.id.clone()).collect();
    let mut settings = settings(config, word);
    settings.workers = NonZeroUsize::new(2).unwrap();
    Rig {
        running: start(settings).unwrap(),
        routes,
    }
}

/// Sends a request on an open connection and returns its status, and the word of the configuration that permitted it.
async fn send_on(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    request: &str,
) -> (u16, String) {
    stream.write_all(request.as_bytes()).await.unwrap();
    let head = read_until(stream, "\r\n\r\n").await;
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    within("a body", stream.read_exact(&mut body))
        .await
        .unwrap();
    let answer = Answer(head + &String::from_utf8(body).unwrap());
    let word = answer.seen("x-identity").unwrap_or_default().to_owned();
    (answer.status(), word)
}

fn passed_with(word: &str) -> (u16, String) {
    (200, format!("\"{word}\""))
}

const DENIED: (u16, String) = (403, String::new());

#[tokio::test]
async fn the_next_request_gets_the_new_configuration_on_an_open_connection_too() {
    let upstream = Upstream::start().await;
    let mut rig = rig(config(&upstream), "alpha");
    let request = rig.request("GET", "/", 0, "");
    let mut stream = rig.connect().await;
    assert_eq!(send_on(&mut stream, &request).await, passed_with("alpha"));
    rig.running
        .reload(settings(config(&upstream), "denies"))
        .unwrap();
    assert_eq!(send_on(&mut stream, &request).await, DENIED);
    rig.running
        .reload(settings(config(&upstream), "beta"))
        .unwrap();
    assert_eq!(send_on(&mut stream, &request).await, passed_with("beta"));
    let answer = rig.get("/", 0, "").await;
    assert_eq!(
        answer.seen("x-first"),
        Some("\"alpha\""),
        "what is shared stays"
    );
}

#[tokio::test]
async fn the_next_request_finds_the_new_routes() {
    let (mut one, mut two) = (Upstream::start().await, Upstream::start().await);
    let mut rig = rig(config(&one), "alpha");
    assert_eq!(rig.get("/first", 0, "").await.status(), 200);
    let next = config(&two);
    let old = std::mem::replace(&mut rig.routes, vec![next.routes[0].id.clone()]);
    rig.running.reload(settings(next, "alpha")).unwrap();
    assert_eq!(rig.get("/second", 0, "").await.status(), 200);
    rig.routes = old;
    assert_eq!(
        rig.get("/third", 0, "").await.status(),
        503,
        "that route is gone"
    );
    assert_eq!(
        (one.take(), two.take()),
        (vec!["/first".to_owned()], vec!["/second".to_owned()])
    );
}

///
#[tokio::test]
async fn no_request_is_lost_or_passes_undecided_while_the_configuration_changes() {
    const RELOADS: usize = 100;
    let upstream = Upstream::start().await;
    let mut rig = rig(config(&upstream), "alpha");
    let address = rig.running.addresses[0];
    let request = rig.request("GET", "/", 0, "");
    let done = Shutdown::default();
    let client = async |fresh: bool| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let (mut passes, mut denials) = (0, 0);
        loop {
            if fresh {
                stream = TcpStream::connect(address).await.unwrap();
            }
            match send_on(&mut stream, &request).await {
                answer if answer == DENIED => denials += 1,
                answer if [passed_with("alpha"), passed_with("beta")].contains(&answer) => {
                    passes += 1
                }
                other => panic!("{other:?}"),
            }
            if tokio::time::timeout(Duration::ZERO, done.triggered())
                .await
                .is_ok()
            {
                return (passes, denials);
            }
        }
    };
    let reloads = async {
        let words = ["beta", "denies", "alpha", "!refused"];
        for word in words.iter().cycle().take(RELOADS) {
            let settings = settings(config(&upstream), word);
            let reloading = tokio::task::spawn_blocking(move || {
                let result = rig.running.reload(settings);
                (rig, result)
            });
            let result;
            (rig, result) = reloading.await.unwrap();
            assert_eq!(result.is_ok(), *word != "!refused", "{result:?}");
        }
        done.trigger();
        rig
    };
    let (_rig, one, two, three) = tokio::join!(reloads, client(false), client(false), client(true));
    // Fast reloads leave little time: a single client may meet one decision only.
    let seen = [one, two, three];
    let passes: u32 = seen.iter().map(|(passes, _)| passes).sum();
    let denials: u32 = seen.iter().map(|(_, denials)| denials).sum();
    assert!(passes > 0 && denials > 0, "{seen:?}");
}

///
#[tokio::test]
async fn unusable_settings_change_nothing() {
    let upstream = Upstream::start().await;
    let mut rig = rig(config(&upstream), "alpha");
    let refused = rig.running.reload(settings(config(&upstream), "!no"));
    let message = format!("{:#}", refused.unwrap_err());
    assert!(message.contains("refused its configuration"), "{message}");

    let missing = json!({"to": "https://a.test", "tls_custom_ca_file": "/no/such/file"});
    let refused = rig
        .running
        .reload(settings(read(&file(&[missing])), "beta"));
    let message = format!("{:#}", refused.unwrap_err());
    assert!(message.contains("/no/such/file"), "{message}");

    for _ in 0..4 {
        assert_eq!(
            rig.get("/", 0, "").await.seen("x-identity"),
            Some("\"alpha\"")
        );
    }
    rig.running
        .reload(settings(config(&upstream), "beta"))
        .unwrap();
    assert_eq!(
        rig.get("/", 0, "").await.seen("x-identity"),
        Some("\"beta\"")
    );
}

async fn open(rig: &Rig) -> TcpStream {
    let mut stream = rig.connect().await;
    let request = rig.request("GET", "/websocket", 0, upstream::WEBSOCKET);
    stream.write_all(request.as_bytes()).await.unwrap();
    let head = read_until(&mut stream, "\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    stream
}

#[tokio::test]
async fn an_open_websocket_stays_with_its_plugin_which_ends_with_it() {
    let upstream = Upstream::start().await;
    let mut rig = rig(config(&upstream), "alpha");
    let mut stream = open(&rig).await;
    rig.running
        .reload(settings(config(&upstream), "beta"))
        .unwrap();
    check_echo(&mut stream).await;
    drop(stream);
    // Both workers had an instance. The one with the WebSocket is deleted last, and not after the WebSocket ends.
    let gone = async {
        while rig.get("/", 0, "").await.seen("x-gone") != Some("\"alpha\"") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    within("the old plugin is deleted", gone).await;
}

#[tokio::test]
async fn a_websocket_that_outlives_too_many_configurations_is_closed() {
    let upstream = Upstream::start().await;
    let mut rig = rig(config(&upstream), "alpha");
    let mut oldest = open(&rig).await;
    let mut others = Vec::new();
    for _ in 0..limits::OLD_GENERATIONS {
        rig.running
            .reload(settings(config(&upstream), "beta"))
            .unwrap();
        // Both workers get connections, so that each keeps this generation. The kernel distributes them at random.
        for _ in 0..32 {
            others.push(open(&rig).await);
        }
        check_echo(&mut oldest).await;
    }
    rig.running
        .reload(settings(config(&upstream), "gamma"))
        .unwrap();
    let mut rest = Vec::new();
    within("the end", oldest.read_to_end(&mut rest))
        .await
        .unwrap();
    assert_eq!(rest, b"\x88\x19\x03\xe9the proxy is restarting".as_slice());
    for other in &mut others {
        check_echo(other).await;
    }
}

#[tokio::test]
async fn certificates_change_and_connections_stay() {
    let upstream = Upstream::start().await;
    let authority = Authority::new("server");
    let secured = |server: &Issued| {
        let mut file = file(&[json!({"to": upstream.url()})]);
        file["insecure_server"] = false.into();
        file["certificate"] = STANDARD.encode(&server.certificate).into();
        file["certificate_key"] = STANDARD.encode(&server.key).into();
        read(&file)
    };
    let (old, new) = (
        authority.issue(&["app.test"], 1),
        authority.issue(&["app.test"], 1),
    );
    let mut rig = rig(secured(&old), "alpha");
    let request = rig.request("GET", "/", 0, "");
    let shown = |stream: &TlsStream<TcpStream>| {
        let (_, session) = stream.get_ref();
        session.peer_certificates().unwrap()[0].to_vec()
    };
    let mut before = rig.shake_hands(None, b"http/1.1").await.unwrap();
    assert_eq!(send_on(&mut before, &request).await, passed_with("alpha"));
    rig.running.reload(settings(secured(&new), "beta")).unwrap();
    assert_eq!(send_on(&mut before, &request).await, passed_with("beta"));
    let mut after = rig.shake_hands(None, b"http/1.1").await.unwrap();
    assert_eq!(send_on(&mut after, &request).await, passed_with("beta"));
    assert_ne!(shown(&before), shown(&after));
}

/// A ticket is not accepted where clients show certificates, because a resumed session would keep the certificate.
#[tokio::test]
async fn sessions_are_resumed_by_every_worker_and_after_a_reload() {
    let upstream = Upstream::start().await;
    let server = Authority::new("server").issue(&["app.test"], 1);
    let secured = |clients: Option<&Authority>| {
        let mut file = file(&[json!({"to": upstream.url()})]);
        file["insecure_server"] = false.into();
        file["certificate"] = STANDARD.encode(&server.certificate).into();
        file["certificate_key"] = STANDARD.encode(&server.key).into();
        if let Some(clients) = clients {
            file["downstream_mtls"] =
                json!({"ca": STANDARD.encode(&clients.pem), "enforcement": "policy"});
        }
        read(&file)
    };
    let mut rig = rig(secured(None), "alpha");
    let request = rig.request("GET", "/", 0, "connection: close\r\n");
    let client = Arc::new(client_config(None, b"http/1.1"));
    let shake_hands = async |rig: &Rig| {
        let stream = rig.connect().await;
        let mut stream = connect_with(&client, stream).await.unwrap();
        send_on(&mut stream, &request).await;
        stream.get_ref().1.handshake_kind().unwrap()
    };
    assert_eq!(shake_hands(&rig).await, HandshakeKind::Full);
    for _ in 0..8 {
        assert_eq!(shake_hands(&rig).await, HandshakeKind::Resumed);
    }
    rig.running.reload(settings(secured(None), "beta")).unwrap();
    assert_eq!(shake_hands(&rig).await, HandshakeKind::Resumed);
    let clients = Authority::new("clients");
    let mutual = secured(Some(&clients));
    rig.running.reload(settings(mutual, "gamma")).unwrap();
    assert_eq!(shake_hands(&rig).await, HandshakeKind::Full);
}

#[tokio::test]
async fn a_connection_whose_certificate_was_checked_by_earlier_authorities_ends() {
    let upstream = Upstream::start().await;
    let authority = Authority::new("server");
    let server = authority.issue(&["app.test"], 1);
    let secured = |clients: &Authority| {
        let mut file = file(&[json!({"to": upstream.url()})]);
        file["insecure_server"] = false.into();
        file["certificate"] = STANDARD.encode(&server.certificate).into();
        file["certificate_key"] = STANDARD.encode(&server.key).into();
        file["downstream_mtls"] =
            json!({"ca": STANDARD.encode(&clients.pem), "enforcement": "reject_connection"});
        read(&file)
    };
    let (ours, others) = (Authority::new("ours"), Authority::new("others"));
    let alice = ours.issue(&["alice.test"], 1);
    let mut rig = rig(secured(&ours), "alpha");
    let request = rig.request("GET", "/", 0, "");
    let mut stream = rig.shake_hands(Some(&alice), b"http/1.1").await.unwrap();
    assert_eq!(send_on(&mut stream, &request).await, passed_with("alpha"));
    rig.running
        .reload(settings(secured(&others), "beta"))
        .unwrap();
    let mut rest = Vec::new();
    let _ = within("the end", stream.read_to_end(&mut rest)).await;
    assert_eq!(rest, b"");
}
