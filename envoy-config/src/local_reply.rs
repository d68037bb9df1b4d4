//! Builds the pages for upstreams that do not answer, which equal those of the bundled host.

use jetway_core::config::Config;
use jetway_core::http::page::{Page, Theme};
use jetway_core::http::upstream_failure::UpstreamFailure;

use crate::yaml::{Map, Yaml, is_special};

/// Envoy's response flags of requests whose upstream has failed. Responses of the module have none of them, and are not
/// changed.
const FAILED_UPSTREAM: [&str; 9] = ["UF", "UH", "UC", "UR", "LR", "UT", "URX", "UPE", "SI"];

/// Envoy's flag for requests that exceed a circuit breaker.
const OVERFLOW: &str = "UO";

/// The condition on Envoy's response details for a module that failed, or that set no route.
const NO_PERMIT: &str = "response.code_details in ['wasm_fail_stream', 'direct_response']";

/// Request ids that a page may show. Requests with other ids, which only a trusted proxy or a client in the same network can
/// set, get JSON.
const PLAIN_ID: &str = "[A-Za-z0-9._-]+";

/// Hosts that a page may show, or none. The module refuses other ones, but it may be the module that does not respond.
const PLAIN_HOST: &str = "[A-Za-z0-9._:\\[\\]-]*";
/// The headers that may name the host. A route may have rewritten the second one; then the first has the public host.
const HOST_HEADERS: [&str; 2] = ["x-forwarded-host", ":authority"];

/// Placeholders for the request id and the host while a page is rendered. Strings of the operator cannot contain them.
const ID_PLACE: &str = "\u{1}";
const HOST_PLACE: &str = "\u{2}";

/// `Retry-After` in seconds, as in the bundled host.
const RETRY_AFTER: &str = "5";

/// Builds Envoy's local replies: for each kind of failure a page, and JSON for clients that do not accept HTML.
pub(crate) fn build_local_reply(config: &Config) -> Map {
    let look = Theme::new(&config.branding);
    let mappers: Vec<Map> = UpstreamFailure::ALL
        .into_iter()
        .flat_map(|outage| [build_page(outage, &look), build_json(outage)])
        .collect();
    Map::new().set("mappers", mappers)
}

fn build_page(outage: UpstreamFailure, look: &Theme) -> Map {
    let html = look.render_refusal(Page {
        title: outage.title(),
        text: outage.explanation(),
        note: UpstreamFailure::ADVICE,
        host: HOST_PLACE,
        facts: &UpstreamFailure::facts(HOST_PLACE),
        link: Some(UpstreamFailure::AGAIN),
        request_id: ID_PLACE,
        ..Page::default()
    });
    let html = escape_percent(&html)
        .replace(ID_PLACE, REQUEST_ID)
        .replace(HOST_PLACE, PUBLIC_HOST);
    let html = if html.chars().any(|c| c != '\n' && is_special(c)) {
        Yaml::Text(html)
    } else {
        Yaml::Block(html.trim_end().to_owned())
    };
    let accepts = build_header_filter(
        "accept",
        Map::new()
            .set("contains", "text/html")
            .set("ignore_case", true),
    );
    let mut filters = vec![accepts, build_plain_filter("x-request-id", PLAIN_ID)];
    filters.extend(HOST_HEADERS.map(|name| build_plain_filter(name, PLAIN_HOST)));
    let format = Map::new()
        .set("text_format_source", Map::new().set("inline_string", html))
        .set("content_type", "text/html; charset=utf-8");
    let headers = look.headers(None).into_iter();
    build_mapper(outage, filters, headers.collect(), format)
}

fn build_json(outage: UpstreamFailure) -> Map {
    let error = outage.explanation().trim_end_matches('.');
    let fields = Map::new()
        .set("status", "%RESPONSE_CODE%")
        .set("error", error.replacen("The", "the", 1))
        .set("request_id", REQUEST_ID);
    let headers = vec![
        ("cache-control", "no-store".to_owned()),
        ("x-content-type-options", "nosniff".to_owned()),
    ];
    build_mapper(
        outage,
        Vec::new(),
        headers,
        Map::new().set("json_format", fields),
    )
}

const REQUEST_ID: &str = "%REQ(X-REQUEST-ID)%";
/// The host that the client used, from the first of [`HOST_HEADERS`] that is there.
const PUBLIC_HOST: &str = "%REQ(X-FORWARDED-HOST?:AUTHORITY)%";

fn build_mapper(
    outage: UpstreamFailure,
    mut filters: Vec<Map>,
    mut headers: Vec<(&'static str, String)>,
    format: Map,
) -> Map {
    let status = u32::from(outage.status());
    // Envoy requires a runtime key under which the number could be changed.
    let value = Map::new()
        .set("default_value", status)
        .set("runtime_key", "jetway.never_set");
    let comparison = Map::new().set("op", "EQ").set("value", value);
    filters.push(Map::new().set(
        "status_code_filter",
        Map::new().set("comparison", comparison),
    ));
    filters.push(build_cause(outage));
    if outage.status() == 503 {
        headers.push(("retry-after", RETRY_AFTER.to_owned()));
    }
    let headers: Vec<Map> = headers
        .into_iter()
        .map(|(name, value)| {
            let header = Map::new()
                .set("key", name)
                .set("value", escape_percent(&value));
            Map::new()
                .set("header", header)
                .set("append_action", "OVERWRITE_IF_EXISTS_OR_ADD")
        })
        .collect();
    Map::new()
        .set(
            "filter",
            Map::new().set("and_filter", Map::new().set("filters", filters)),
        )
        .set("headers_to_add", headers)
        .set("body_format_override", format)
}

/// Builds the filter that excludes responses of the module and of upstreams.
fn build_cause(outage: UpstreamFailure) -> Map {
    let flags = match outage {
        UpstreamFailure::Undecided => None,
        UpstreamFailure::Overloaded => Some(vec![OVERFLOW]),
        UpstreamFailure::BadAnswer | UpstreamFailure::Unreachable | UpstreamFailure::TooSlow => {
            Some(FAILED_UPSTREAM.to_vec())
        }
    };
    if let Some(flags) = flags {
        return Map::new().set("response_flag_filter", Map::new().set("flags", flags));
    }
    let expression = Map::typed("envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter")
        .set("expression", NO_PERMIT);
    let filter = Map::new()
        .set("name", "envoy.access_loggers.extension_filters.cel")
        .set("typed_config", expression);
    Map::new().set("extension_filter", filter)
}

/// Builds the filter for a header whose value a page may show. A missing header counts as an empty one.
fn build_plain_filter(name: &str, regex: &str) -> Map {
    let string_match = Map::new().set("safe_regex", Map::new().set("regex", regex));
    let matcher = Map::new()
        .set("name", name)
        .set("string_match", string_match)
        .set("treat_missing_header_as_empty", true);
    Map::new().set("header_filter", Map::new().set("header", matcher))
}

fn build_header_filter(name: &str, string_match: Map) -> Map {
    let matcher = Map::new()
        .set("name", name)
        .set("string_match", string_match);
    Map::new().set("header_filter", Map::new().set("header", matcher))
}

/// Escapes per cent signs, which begin a command in Envoy's format strings.
fn escape_percent(text: &str) -> String {
    text.replace('%', "%%")
}
