//! Every limit of the proxy in one place, each with its reason. [`jetway_core::limits`] has the limits that apply in Envoy too.

mod budget;
mod client_network;
mod hit;

pub use budget::raise_open_files;
pub(crate) use budget::{Budget, client_share};
pub(crate) use client_network::ClientNetwork;
pub(crate) use hit::Hit;

use std::time::Duration;

use jetway_core::http::head_size;

/// Bytes of one request's head in HTTP/2, with 32 more for each field (RFC 9113, 6.5.2). A larger one is answered with 431.
pub(crate) const HTTP2_HEAD_BYTES: usize = head_size::READ_BYTES + 32 * head_size::READ_FIELDS;

/// Bytes of the head of an upstream's response. It is generous, because applications set large policies and many cookies.
pub const RESPONSE_HEAD_BYTES: usize = 256 * 1024;

/// Read buffer of one HTTP/1 connection. It must be above [`head_size::READ_BYTES`], or the limit on heads has no effect.
pub(crate) const CONNECTION_BUFFER: usize = head_size::READ_BYTES + 4 * 1024;

/// Descriptors that the process itself needs: standard streams, signals, the files that a reload reads, and name lookups.
pub(crate) const PROCESS_DESCRIPTORS: u64 = 64;
/// Descriptors of one worker: three for its runtime, and as many in reserve.
pub(crate) const DESCRIPTORS_PER_WORKER: u64 = 6;
/// Descriptors of one worker per address: the listener, and one accepted connection that has no slot yet.
pub(crate) const DESCRIPTORS_PER_LISTENER: u64 = 2;
/// The limit on open files that is assumed where the system has none.
pub(crate) const UNLIMITED_OPEN_FILES: u64 = 1 << 20;

/// Connections to the identity provider, idle ones included. Calls are short, and each takes one connection.
pub(crate) const PROVIDER_CONNECTIONS: u64 = 64;
/// The proxy refuses to start with room for fewer client connections than this.
pub(crate) const MIN_CLIENTS: u64 = 16;

/// Idle client connections are evicted while fewer than a sixteenth of all slots is free, so that a new connection seldom
/// waits for an eviction.
pub(crate) const FREE_SLOTS_DIVISOR: usize = 16;
/// One scan for idle connections evicts up to a sixty-fourth of all slots: a scan visits every connection, so that
/// evicting them one by one would be slow.
pub(crate) const EVICTION_BATCH_DIVISOR: usize = 64;
/// How long to wait before the next scan when a scan found fewer idle connections than it may evict.
pub(crate) const EVICTION_SCAN_INTERVAL: Duration = Duration::from_millis(100);
/// How long an evicted connection may take to flush its last frames: one round trip.
pub(crate) const EVICTION_FLUSH: Duration = Duration::from_millis(250);
/// How long a new connection waits for the slot of an evicted one: twice the time that an evicted one may take.
pub(crate) const SLOT_WAIT: Duration = Duration::from_millis(500);

/// How often the log sums up the hits of a limit.
pub(crate) const HIT_SUMMARY: Duration = Duration::from_secs(10);

/// Concurrent requests on one HTTP/2 connection: the least that RFC 9113 6.5.2 recommends, and what browsers use.
pub(crate) const HTTP2_STREAMS: u32 = 100;

/// How long a TLS handshake may take: several round trips on the worst mobile network.
pub(crate) const TLS_HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a proxy in front may take to send its PROXY protocol header. It sends it at once, so that one round trip and a
/// lost packet fit.
pub(crate) const PROXY_HEADER: Duration = Duration::from_secs(5);

/// How long one HTTP/1 request head may take to arrive, from its first byte on.
pub(crate) const REQUEST_HEAD: Duration = Duration::from_secs(30);

/// How long a client may take to begin reading a response of the proxy itself, which is small and available at once: as
/// long as for a request's head.
pub(crate) const LOCAL_RESPONSE: Duration = REQUEST_HEAD;

/// How long a connection that was asked to end may take to flush its buffers.
pub(crate) const CONNECTION_FLUSH: Duration = Duration::from_secs(5);

/// How often an HTTP/2 client gets a ping, and how long it may take to answer it.
pub(crate) const HTTP2_PING: (Duration, Duration) =
    (Duration::from_secs(30), Duration::from_secs(20));

/// Silence after which the kernel sends a TCP keep-alive probe, so that tunnels to machines that vanished end.
pub(crate) const TCP_KEEPALIVE: Duration = Duration::from_secs(60);

/// How long requests in progress may take to end when the proxy stops, unless the operator says otherwise: container engines
/// kill after 10 seconds, service supervisors after 30 to 90.
pub const GRACE: Duration = Duration::from_secs(10);

/// The end of that time in which no connection is accepted, at most: every request that was accepted before has it.
pub(crate) const LAST_REQUESTS: Duration = Duration::from_secs(5);

/// How long a connection without a request in progress is kept when the proxy stops, so that a request that is on its way
/// is answered: round trips on a slow network, TLS included.
pub(crate) const LAST_REQUEST: Duration = Duration::from_secs(1);

/// How often the service manager gets the state of the proxy.
pub(crate) const SERVICE_STATUS: Duration = Duration::from_secs(5);

/// How long it may take to connect to an upstream or provider, TLS included.
pub const CONNECT: Duration = Duration::from_secs(10);

/// How long one of several addresses of a name is tried before the next one.
pub(crate) const CONNECT_ADDRESS: Duration = Duration::from_secs(4);

/// Idle connections kept per upstream and worker: enough for a burst of a browser, and few enough for the upstream.
pub(crate) const POOL_IDLE: usize = 32;

/// How long an idle upstream connection is kept: shorter than common servers keep it (60 s and more).
pub(crate) const POOL_AGE: Duration = Duration::from_secs(50);

/// How often idle upstream connections past their age are closed.
pub(crate) const POOL_SWEEP: Duration = Duration::from_secs(15);

/// Pause after such a sweep. A sweep begins at once when a connection waits for a descriptor, and it visits all upstreams.
pub(crate) const POOL_SWEEP_PAUSE: Duration = Duration::from_millis(100);

/// Bytes of a provider's response. The largest JWKS documents in use are below 100 KiB.
pub const PROVIDER_ANSWER: usize = 1024 * 1024;

/// Bytes of one request's body that are buffered for the plugin, as in Envoy by default. A larger one is answered with 413.
/// The plugin itself refuses more than 64 KiB at its own endpoints, and reads no other bodies.
pub(crate) const PLUGIN_BODY: usize = 1024 * 1024;

/// How long the part of a body that the plugin reads may take to arrive: 64 KiB within it on the worst mobile network.
pub(crate) const PLUGIN_BODY_TIME: Duration = Duration::from_secs(30);

/// Bytes that are read and discarded of the body of a request that was answered without it. This is less than a window of
/// TCP, so that most such bodies are complete then and the connection can be used again.
pub(crate) const DRAINED_BODY: usize = 1024 * 1024;

/// How long the proxy waits for the rest of such a body, as in Envoy rounded up: round trips on the worst network, in which
/// the client reads the response.
pub(crate) const DRAIN_TIME: Duration = Duration::from_secs(2);

/// Most bytes that a tunnel reads at once, and that wait in each direction: one full TLS record.
pub(crate) const TUNNEL_BUFFER: usize = 16 * 1024;

/// The shortest time between two reports to the plugin that the client of a tunnel sent something. Sessions last for
/// minutes and more.
pub(crate) const TUNNEL_SPOKEN: Duration = Duration::from_secs(5);
/// The same for short pieces: often enough to report a user who types between two answers to pings.
pub(crate) const TUNNEL_TYPED: Duration = Duration::from_millis(50);
/// The longest piece that counts as short: a whole control frame, or a key with what an application adds to it.
pub(crate) const TUNNEL_SHORT: usize = 256;
/// Bytes of a piece that the plugin gets.
pub(crate) const TUNNEL_BEGINNING: usize = 16;

/// How long a WebSocket that has to close may take to reach the end of a frame. Nearly always it is there already.
pub(crate) const TUNNEL_FRAME: Duration = Duration::from_secs(1);

/// WebSockets that one worker closes at a time. Closing one costs two close frames, their encryption and a log line: up to
/// half a millisecond, during which other requests wait.
pub(crate) const TUNNEL_CLOSES: usize = 32;
/// How long a worker serves other requests before it closes the next WebSockets.
pub(crate) const TUNNEL_CLOSE_INTERVAL: Duration = Duration::from_millis(5);

/// How long the close frame of a WebSocket may take to be sent, and the peer to close its side: round trips on a slow
/// network. The forwarding of data has stopped before.
pub(crate) const TUNNEL_CLOSE_TIME: Duration = Duration::from_secs(1);

/// How often the proxy looks at the files of the configuration. It reloads at the look after the one that finds a change.
pub(crate) const WATCH: Duration = Duration::from_secs(1);

/// How long a worker may take to prepare a configuration. The plugin may need ten seconds to read a very large one.
pub(crate) const PREPARE: Duration = Duration::from_secs(30);

/// How many configurations may be in use beside the active one, each with a plugin instance (some MiB) in each worker. An
/// operator who changes the file every few minutes keeps WebSockets open for an hour.
pub(crate) const OLD_GENERATIONS: usize = 8;

/// How often configurations that are no longer used are shut down.
pub(crate) const RETIRE: Duration = Duration::from_secs(1);

/// Connections that the kernel queues for one listener until they are accepted.
pub(crate) const ACCEPT_QUEUE: i32 = 1_024;

/// Pause after a failed accept (no free file descriptor), without which the loop would spin.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often refusals without a line of their own are summed up.
pub(crate) const LOG_SUMMARY: Duration = Duration::from_secs(1);

/// Connections of each of the listeners for metrics, probes and operators. They share [`PROCESS_DESCRIPTORS`], and each carries
/// one request of a program that asks every few seconds.
pub(crate) const ADMIN_CONNECTIONS: usize = 8;

/// How long such a request may take, its response included: less than the ten seconds after which monitoring systems give up
/// would cut off slow ones, and more would let idle clients hold all connections.
pub(crate) const ADMIN_REQUEST: Duration = Duration::from_secs(10);

/// Bytes of the head of such a request: monitoring systems and probes send a few hundred. It is the least that hyper allows.
pub(crate) const ADMIN_HEAD_BYTES: usize = 8 * 1024;
