//! Builds the clusters: one per route with upstreams, and one per origin of the provider.

use std::collections::HashSet;
use std::time::Duration;

use jetway_core::config::{Config, Endpoint, Origin, Route, UpstreamTls, Upstreams};
use jetway_core::limits;

use crate::endpoint::{Discovery, build_endpoint};
use crate::yaml::Map;
use crate::{Error, Options, tls};

/// How long an idle connection to an upstream is kept. Servers close theirs after a minute or more (nginx 75 s), and a
/// request that is sent at that moment would be lost.
const IDLE_CONNECTION: Duration = Duration::from_secs(60);

/// Bytes that Envoy buffers from one upstream connection before it stops reading: the value of Envoy's guide for edge
/// proxies. Each stream of a client has a connection of its own, so that a client that reads nothing makes Envoy buffer this
/// many times [`crate::connection::HTTP2_STREAMS`], some 3 MiB; with Envoy's default it would be 100 MiB.
const CONNECTION_BUFFER_BYTES: u32 = 32 * 1024;

/// The metadata by which Envoy chooses the TLS socket of an endpoint.
const SOCKET_MATCH: &str = "envoy.transport_socket_match";

/// Builds all clusters: the routes' upstreams in the order of the routes, then the provider's origins.
pub(crate) fn build_clusters(config: &Config, options: &Options) -> Result<Vec<Map>, Error> {
    let upstreams = config.routes.iter().filter_map(|route| {
        let upstreams = route.target.upstreams()?;
        Some(build_upstream_cluster(route, upstreams, options))
    });
    let origins = config
        .provider
        .iter()
        .flat_map(|provider| provider.origins());
    upstreams
        .chain(origins.map(|origin| build_provider_cluster(origin, options)))
        .collect()
}

/// Returns the name of a route's cluster.
pub(crate) fn cluster_name(route: &Route) -> String {
    format!("route-{}", route.id)
}

fn build_upstream_cluster(
    route: &Route,
    upstreams: &Upstreams,
    options: &Options,
) -> Result<Map, Error> {
    let origins = upstreams
        .endpoints
        .iter()
        .map(|endpoint| endpoint.origin.to_string())
        .collect::<Vec<_>>();
    let map = Map::new()
        .note(format!("{} to {}", route.name, origins.join(", ")))
        .set("name", cluster_name(route));
    Cluster {
        name: &cluster_name(route),
        endpoints: &upstreams.endpoints,
        tls: &upstreams.tls,
        route: &route.name,
        options,
    }
    .set_connections(map)
}

/// Builds a cluster for the module's own calls. Its name is the origin, which the module uses.
fn build_provider_cluster(origin: &Origin, options: &Options) -> Result<Map, Error> {
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
    .set_connections(map)
}

/// The parameters of a cluster's connections.
struct Cluster<'a> {
    name: &'a str,
    endpoints: &'a [Endpoint],
    tls: &'a UpstreamTls,
    /// The route's name, for errors.
    route: &'a str,
    options: &'a Options,
}

impl Cluster<'_> {
    fn set_connections(&self, map: Map) -> Result<Map, Error> {
        let discovery = Discovery::of(self.endpoints.iter().map(|endpoint| &endpoint.origin));
        let localities = self.has_several() && discovery == Discovery::Dns;
        let map = discovery
            .set(map)
            .note("The limits of the bundled host. Open WebSockets count as requests and connections; excess requests get a 503.")
            .set("circuit_breakers", build_breakers())
            .set("connect_timeout", self.options.connect_timeout)
            .note("Limits the part of a response that Envoy buffers for a client that does not read it.")
            .set("per_connection_buffer_limit_bytes", CONNECTION_BUFFER_BYTES)
            .set("typed_extension_protocol_options", build_http_options())
            .note("A name with several addresses gets no larger share than the others.")
            .set_some(
                "common_lb_config",
                localities.then(|| Map::new().set("locality_weighted_lb_config", Map::new())),
            );
        let names = self.collect_names();
        Ok(self.set_sockets(map, &names)?.set(
            "load_assignment",
            Map::new().set("cluster_name", self.name).set(
                "endpoints",
                self.build_groups(localities, discovery, names.first().copied()),
            ),
        ))
    }

    fn has_several(&self) -> bool {
        self.endpoints.len() > 1
    }

    /// Returns the distinct server names of the endpoints in TLS; none without TLS.
    fn collect_names(&self) -> Vec<&str> {
        let mut seen = HashSet::new();
        self.endpoints
            .iter()
            .filter(|one| one.origin.tls)
            .map(|one| tls::server_name(&one.origin, self.tls))
            .filter(|name| seen.insert(*name))
            .collect()
    }

    /// Sets the TLS sockets: that of the first name for the cluster, and those of the others for their endpoints.
    fn set_sockets(&self, map: Map, names: &[&str]) -> Result<Map, Error> {
        let Some((first, others)) = names.split_first() else {
            return Ok(map);
        };
        let socket = |name: &str| tls::build_upstream(name, self.tls, self.route, self.options);
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
            .note("Used instead for the endpoints with another name.")
            .set("transport_socket_matches", matches))
    }

    /// Builds the groups of endpoints: one for all, or one for each, so that the addresses of a name share its weight.
    fn build_groups(
        &self,
        localities: bool,
        discovery: Discovery,
        first: Option<&str>,
    ) -> Vec<Map> {
        let build = |one: &Endpoint| self.build_lb_endpoint(one, discovery, first);
        if !localities {
            let weight = |one: &Endpoint| self.has_several().then_some(one.weight);
            let all = self
                .endpoints
                .iter()
                .map(|one| build(one).set_some("load_balancing_weight", weight(one)));
            return vec![Map::new().set("lb_endpoints", all.collect::<Vec<_>>())];
        }
        let group = |(place, one): (u32, &Endpoint)| {
            Map::new()
                .set("locality", Map::new().set("sub_zone", place.to_string()))
                .set("load_balancing_weight", one.weight)
                .set("lb_endpoints", vec![build(one)])
        };
        (1..).zip(self.endpoints).map(group).collect()
    }

    /// Builds an endpoint with its address, `Host` and TLS; `first` is the server name of the cluster's own TLS socket.
    fn build_lb_endpoint(&self, one: &Endpoint, discovery: Discovery, first: Option<&str>) -> Map {
        let hostname = self.has_several().then(|| one.origin.authority());
        let place = build_endpoint(&one.origin, discovery).set_some("hostname", hostname);
        let name = tls::server_name(&one.origin, self.tls);
        let other = first.is_some_and(|first| first != name);
        Map::new()
            .set("endpoint", place)
            .set_some("metadata", other.then(|| build_socket_choice(name)))
    }
}

fn build_socket_choice(name: &str) -> Map {
    let own = Map::new().set(SOCKET_MATCH, Map::new().set("name", name));
    Map::new().set("filter_metadata", own)
}

/// Builds the circuit breakers, which equal the limits of the bundled host.
fn build_breakers() -> Map {
    let threshold = Map::new()
        .set("max_connections", limits::UPSTREAM_CONNECTIONS)
        .set("max_pending_requests", limits::UPSTREAM_PENDING)
        .set("max_requests", limits::UPSTREAM_REQUESTS);
    Map::new().set("thresholds", vec![threshold])
}

fn build_http_options() -> Map {
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
