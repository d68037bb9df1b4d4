//! Where Envoy connects to: one cluster per route with upstreams, and one per origin of the provider.

use std::collections::HashSet;
use std::time::Duration;

use jetway_core::config::{Config, Endpoint, Origin, Route, UpstreamTls, Upstreams};
use jetway_core::limits;

use crate::endpoint::{Discovery, endpoint};
use crate::yaml::Map;
use crate::{Error, Options, tls};

/// How long an unused connection to a peer is kept. Servers close theirs after a minute or more (nginx 75 s); a request
/// sent while they do so would be lost.
const IDLE_CONNECTION: Duration = Duration::from_secs(60);

/// Bytes that Envoy keeps of what one connection to a peer brings before it stops reading: the value of Envoy's guide for
/// edge proxies. Each stream of a client has a connection of its own, so that a client that reads nothing makes Envoy keep
/// this many times [`crate::connection::HTTP2_STREAMS`], some 3 MiB; with Envoy's default it were 100 MiB.
const CONNECTION_BUFFER_BYTES: u32 = 32 * 1024;

/// Where Envoy looks for the key by which an endpoint chooses its TLS.
const SOCKET_MATCH: &str = "envoy.transport_socket_match";

/// All clusters: the routes' upstreams in the order of the routes, then the provider's origins.
pub(crate) fn clusters(config: &Config, options: &Options) -> Result<Vec<Map>, Error> {
    let upstreams = config.routes.iter().filter_map(|route| {
        let upstreams = route.target.upstreams()?;
        Some(upstream(route, upstreams, options))
    });
    let origins = config
        .provider
        .iter()
        .flat_map(|provider| provider.origins());
    upstreams
        .chain(origins.map(|origin| provider(origin, options)))
        .collect()
}

/// Name of a route's cluster.
pub(crate) fn name(route: &Route) -> String {
    format!("route-{}", route.id)
}

fn upstream(route: &Route, upstreams: &Upstreams, options: &Options) -> Result<Map, Error> {
    let origins = upstreams
        .endpoints
        .iter()
        .map(|endpoint| endpoint.origin.to_string())
        .collect::<Vec<_>>();
    let map = Map::new()
        .note(format!("{} to {}", route.name, origins.join(", ")))
        .set("name", name(route));
    Cluster {
        name: &name(route),
        endpoints: &upstreams.endpoints,
        tls: &upstreams.tls,
        route: &route.name,
        options,
    }
    .connections(map)
}

/// A cluster for the module's own calls. Its name is the origin as text, by which the module asks for it.
fn provider(origin: &Origin, options: &Options) -> Result<Map, Error> {
    let name = origin.to_string();
    let map = Map::new()
        .note("The identity provider, called by the module under this name.")
        .set("name", name.as_str());
    let only = Endpoint {
        origin: origin.clone(),
        weight: 1,
    };
    Cluster {
        name: &name,
        endpoints: &[only],
        tls: &UpstreamTls::default(),
        route: "",
        options,
    }
    .connections(map)
}

/// What the connections of a cluster depend on.
struct Cluster<'a> {
    name: &'a str,
    endpoints: &'a [Endpoint],
    tls: &'a UpstreamTls,
    /// The route's name, for errors.
    route: &'a str,
    options: &'a Options,
}

impl Cluster<'_> {
    fn connections(&self, map: Map) -> Result<Map, Error> {
        let discovery = Discovery::of(self.endpoints.iter().map(|endpoint| &endpoint.origin));
        let localities = self.several() && discovery == Discovery::Dns;
        let map = discovery
            .set(map)
            .note("The limits of the bundled host. Open websockets count as requests and connections; excess requests get a 503.")
            .set("circuit_breakers", breakers())
            .set("connect_timeout", self.options.connect_timeout)
            .note("Of an answer that its client does not read, Envoy takes in so much and no more.")
            .set("per_connection_buffer_limit_bytes", CONNECTION_BUFFER_BYTES)
            .set("typed_extension_protocol_options", http_options())
            .note("A name with several addresses has no larger share than the others.")
            .set_some(
                "common_lb_config",
                localities.then(|| Map::new().set("locality_weighted_lb_config", Map::new())),
            );
        let names = self.names();
        Ok(self.sockets(map, &names)?.set(
            "load_assignment",
            Map::new().set("cluster_name", self.name).set(
                "endpoints",
                self.groups(localities, discovery, names.first().copied()),
            ),
        ))
    }

    fn several(&self) -> bool {
        self.endpoints.len() > 1
    }

    /// The different names by which the endpoints are known in TLS; none without TLS.
    fn names(&self) -> Vec<&str> {
        let mut seen = HashSet::new();
        self.endpoints
            .iter()
            .filter(|one| one.origin.tls)
            .map(|one| tls::server_name(&one.origin, self.tls))
            .filter(|name| seen.insert(*name))
            .collect()
    }

    /// TLS: of the first name for the cluster, of every other for the endpoints of that name.
    fn sockets(&self, map: Map, names: &[&str]) -> Result<Map, Error> {
        let Some((first, others)) = names.split_first() else {
            return Ok(map);
        };
        let socket = |name: &str| tls::upstream(name, self.tls, self.route, self.options);
        let map = map.set("transport_socket", socket(first)?);
        if others.is_empty() {
            return Ok(map);
        }
        let matches = others
            .iter()
            .map(|name| {
                Ok(Map::new()
                    .set("name", *name)
                    .set("match", Map::new().set("name", *name))
                    .set("transport_socket", socket(name)?))
            })
            .collect::<Result<Vec<_>, Error>>()?;
        Ok(map
            .note("Instead of it, for the endpoints with another name.")
            .set("transport_socket_matches", matches))
    }

    /// The endpoints in groups: one for all, or one for each so that the addresses of a name share its weight.
    fn groups(&self, localities: bool, discovery: Discovery, first: Option<&str>) -> Vec<Map> {
        let found = |one: &Endpoint| self.found(one, discovery, first);
        if !localities {
            let weight = |one: &Endpoint| self.several().then_some(one.weight);
            let all = self
                .endpoints
                .iter()
                .map(|one| found(one).set_some("load_balancing_weight", weight(one)));
            return vec![Map::new().set("lb_endpoints", all.collect::<Vec<_>>())];
        }
        let group = |(place, one): (u32, &Endpoint)| {
            Map::new()
                .set("locality", Map::new().set("sub_zone", place.to_string()))
                .set("load_balancing_weight", one.weight)
                .set("lb_endpoints", vec![found(one)])
        };
        (1..).zip(self.endpoints).map(group).collect()
    }

    /// Address, `Host` and TLS of an endpoint; `first` is the name for which the cluster's own TLS is meant.
    fn found(&self, one: &Endpoint, discovery: Discovery, first: Option<&str>) -> Map {
        let hostname = self.several().then(|| one.origin.authority());
        let place = endpoint(&one.origin, discovery).set_some("hostname", hostname);
        let name = tls::server_name(&one.origin, self.tls);
        let other = first.is_some_and(|first| first != name);
        Map::new()
            .set("endpoint", place)
            .set_some("metadata", other.then(|| socket_choice(name)))
    }
}

fn socket_choice(name: &str) -> Map {
    let own = Map::new().set(SOCKET_MATCH, Map::new().set("name", name));
    Map::new().set("filter_metadata", own)
}

/// Returns the circuit breakers that the bundled host has, too.
fn breakers() -> Map {
    let threshold = Map::new()
        .set("max_connections", limits::UPSTREAM_CONNECTIONS)
        .set("max_pending_requests", limits::UPSTREAM_PENDING)
        .set("max_requests", limits::UPSTREAM_REQUESTS);
    Map::new().set("thresholds", vec![threshold])
}

fn http_options() -> Map {
    const KEY: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let options = Map::typed(KEY)
        .set(
            "common_http_protocol_options",
            Map::new().set("idle_timeout", IDLE_CONNECTION),
        )
        .set(
            "explicit_http_config",
            Map::new().set("http_protocol_options", Map::new()),
        );
    Map::new().set(KEY, options)
}
