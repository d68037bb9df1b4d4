//! The table of known differences.

use super::super::observation::{Answered, Outcome};
use super::super::recorder::ANSWER;
use super::super::request::{Early, Protocol, Request};
use super::{Known, Pair, Sign, change};

/// Every known difference.
pub const KNOWN: &[Known] = &[
    Known {
        what: "A request that both proxies refuse, each for its own reason or at its own place",
        host: "a page that says what is wrong, or an empty 400 where the HTTP library refuses",
        envoy: "Envoy's own answer, the end of the connection, or a page of the module",
        why: "Where a request has two faults, each proxy reports the one that it sees first. The parsers answer before the module and before a page can be chosen. Nothing is forwarded in either.",
        sign: Sign::Fork(is_refused_by_both),
        example: Some(|place| {
            let request = place
                .public("GET")
                .framed(&["Content-Length: five"], b"hello");
            place.example(Protocol::Http1, request)
        }),
    },
    Known {
        what: "`<`, `>` or `` ` `` in the path, `\"`, `<` or `>` in the query, not as escapes",
        host: "400 over HTTP/1.1; over HTTP/2 the stream is reset",
        envoy: "passed on; the module escapes those in the path and leaves the query as it is",
        why: "The host's HTTP library refuses these characters. Browsers send them as escapes, except the `` ` `` of a query, which both pass on.",
        sign: Sign::Fork(|pair| {
            host_refuses(pair) && pair.request.target.contains(['<', '>', '`', '"'])
        }),
        example: Some(|place| place.example(Protocol::Http1, place.at("/public/a<b"))),
    },
    Known {
        what: "A request line with more or other white space than two spaces, a header field over several lines, a carriage return in a value, bytes between a chunk and its end",
        host: "400",
        envoy: "taken as if it were written properly",
        why: "The host's HTTP library is strict where RFC 9112 allows both. Envoy's parser has no setting for it, and passes the request on in its proper form.",
        sign: Sign::Fork(|pair| host_refuses(pair) && is_badly_written(pair.request)),
        example: Some(|place| {
            let mut request = place.public("GET");
            request.method.push(' ');
            place.example(Protocol::Http1, request)
        }),
    },
    Known {
        what: "A user or a password in an absolute target, as in `GET https://user@app.example.com/`",
        host: "400",
        envoy: "left out",
        why: "RFC 9110 section 4.2.4 lets a recipient treat it as an error; no client sends it.",
        sign: Sign::Fork(|pair| host_refuses(pair) && pair.request.target.contains("user:word@")),
        example: Some(|place| {
            let target = format!("https://user:word@{}/public/x", place.authority);
            place.example(Protocol::Http1, place.at(&target))
        }),
    },
    Known {
        what: "Over HTTP/1.1, an absolute target with two `Host` fields",
        host: "400",
        envoy: "the host of the target counts",
        why: "RFC 9112 section 3.2 asks for 400. Envoy replaces `Host` by the target's before it looks. Routes, policy and upstream use the host of the target.",
        sign: Sign::Fork(|pair| {
            host_refuses(pair) && pair.request.target.contains("://") && has_two_hosts(pair.request)
        }),
        example: Some(|place| {
            let target = format!("https://{}/public/x", place.authority);
            place.example(
                Protocol::Http1,
                place.at(&target).field("Host", "other.localhost"),
            )
        }),
    },
    Known {
        what: "Over HTTP/1.1, a method that Envoy's parser does not know, such as `BREW` or `M-SEARCH`",
        host: "passed on if the policy allows it",
        envoy: "400",
        why: "Envoy's setting `allow_custom_methods` is marked as work in progress, outside its threat model. Over HTTP/2 both pass them on.",
        sign: Sign::Fork(|pair| {
            envoy_refuses(pair) && !ENVOYS_METHODS.contains(&pair.request.method.as_str())
        }),
        example: Some(|place| place.example(Protocol::Http1, place.public("BREW"))),
    },
    Known {
        what: "`#` in the target over HTTP/2",
        host: "everything from the `#` on is left out before the decision, and the upstream does not get it either",
        envoy: "400",
        why: "The host's HTTP/2 library cuts the target there and does not tell. Routes, policy and upstream see the same path. Over HTTP/1.1 both answer 400.",
        sign: Sign::Fork(|pair| envoy_refuses(pair) && pair.request.target.contains('#')),
        example: Some(|place| place.example(Protocol::Http2, place.at("/public/a#b"))),
    },
    Known {
        what: "An answer that is ready before the body of its request is read",
        host: "what is left of a small body is read and the connection is kept",
        envoy: "the connection ends",
        why: "The libraries differ; both bound what they read.",
        sign: Sign::Change(change::without_end_of_unread),
        example: Some(|place| {
            let lines = ["Transfer-Encoding: chunked"];
            let request = Request::new("POST", &place.authority, "/private/x");
            place.example(
                Protocol::Http1,
                request.framed(&lines, b"5\r\nhello\r\n0\r\n\r\n"),
            )
        }),
    },
    Known {
        what: "Requests of HTTP/1.1 that do not wait for the answers to those before (pipelining)",
        host: "answered one after another",
        envoy: "the connection ends when more than two answers wait",
        why: "Envoy's codec has this fixed limit. Browsers do not send requests so.",
        sign: Sign::Fork(|pair| {
            let ends = pair.envoy.ends || pair.envoy.answer.status == 0;
            ends && pair.is_pipelined
        }),
        example: Some(|place| {
            // The module answers by itself, so that all answers are there before one is written.
            let mut along = place.at("/private/x");
            let mut example = place.example(Protocol::Http1, along.clone());
            along.pipelined = true;
            example.requests.extend(vec![along; 8]);
            example
        }),
    },
    Known {
        what: "Several lines of one header field, of a request or of an answer",
        host: "passed on as several, except those of `Cookie`, which are joined by `; `, and those of `Accept` and `Authorization`, which are joined by a comma",
        envoy: "those of some fields, such as `Accept`, `Authorization`, `User-Agent` and `Vary`, are joined by a comma; those of `Cookie` are joined over HTTP/2, where an empty one is left out, and over HTTP/1.1 where the module removes a cookie",
        why: "It means the same (RFC 9110 section 5.3, RFC 9113 section 8.2.3). Clients send one line of cookies over HTTP/1.1.",
        sign: Sign::Change(change::joined),
        example: Some(|place| {
            place.example(
                Protocol::Http1,
                place.public("GET").field(ANSWER, "own-headers"),
            )
        }),
    },
    Known {
        what: "An `X-Request-Id` from a trusted proxy in front (`xff_num_trusted_hops`) that is longer than 128 bytes, has other characters than letters, digits, `-`, `_` and `.`, or is there twice",
        host: "a new one",
        envoy: "kept",
        why: "The host writes the id to its log and its pages as it is. Ids name requests and decide nothing. Both keep every other id of a trusted proxy.",
        sign: Sign::Fork(has_odd_id),
        example: Some(|place| {
            place.example(
                Protocol::Http1,
                place.public("GET").field("X-Request-Id", "not one word"),
            )
        }),
    },
    Known {
        what: "Over HTTP/2, a `host` that differs from `:authority`",
        host: "400",
        envoy: "`host` is ignored",
        why: "RFC 9113 section 8.3.1 advises to refuse such a request. Envoy has no setting for it. Routes, policy and upstream use `:authority` in both.",
        sign: Sign::Fork(|pair| host_refuses(pair) && pair.request.has_field("host")),
        example: Some(|place| {
            place.example(
                Protocol::Http2,
                place.public("GET").field("host", "other.localhost"),
            )
        }),
    },
    Known {
        what: "Over HTTP/2, trailers of a request that no message may have, such as `:path` or `transfer-encoding`",
        host: "not looked at, as all trailers are dropped",
        envoy: "the connection ends, before the answer or after it",
        why: "Envoy's codec reads them first. No trailers reach the upstream in either.",
        sign: Sign::Fork(|pair| {
            let mut names = pair.request.trailers.iter().map(|(name, _)| *name);
            let ends = pair.envoy.ends || pair.envoy.answer.status == 0;
            ends && names.any(|name| name.starts_with(':') || NEVER_TRAILERS.contains(&name))
        }),
        example: Some(|place| {
            let mut request = place.public("POST").framed(&[], b"hello");
            request.trailers = &[(":path", "/public/x")];
            place.example(Protocol::Http2, request)
        }),
    },
    Known {
        what: "Over HTTP/2, a body that is longer than its `content-length`",
        host: "the stream is reset, and nothing is passed on",
        envoy: "the stream is reset; the upstream may have got a request with the stated length",
        why: "Envoy passes the head on before the body has come.",
        sign: Sign::Fork(|pair| {
            let outcomes = [pair.host, pair.envoy];
            let are_reset = outcomes.iter().all(|one| one.answer.status == 0);
            are_reset && pair.host.forwarded.is_empty() && pair.request.has_field("content-length")
        }),
        example: None,
    },
    Known {
        what: "A client's IPv4 address that a PROXY protocol header writes as IPv6 (`::ffff:203.0.113.9`)",
        host: "`203.0.113.9` in `X-Forwarded-For`",
        envoy: "`::ffff:203.0.113.9` in `X-Forwarded-For`",
        why: "Envoy writes the address of the connection as it came. Policies see `203.0.113.9` in both.",
        sign: Sign::Change(change::unmapped),
        example: Some(|place| {
            let mut example = place.example(Protocol::Http1, place.public("GET"));
            example.preface = b"PROXY TCP6 ::ffff:203.0.113.9 2001:db8::1 40000 443\r\n".to_vec();
            example
        }),
    },
    Known {
        what: "The name `websocket` in capitals, as in `Upgrade: WebSocket`",
        host: "the upstream gets `Upgrade: websocket`",
        envoy: "the upstream gets it as it came",
        why: "The host writes the handshake itself. It means the same (RFC 9110 section 7.8).",
        sign: Sign::Change(change::in_small_letters),
        example: Some(|place| {
            let request = place.public("GET").field("Connection", "Upgrade");
            let request = request
                .field("Upgrade", "WebSocket")
                .field("Sec-WebSocket-Version", "13");
            let key = "dGhlIHNhbXBsZSBub25jZQ==";
            place.example(Protocol::Http1, request.field("Sec-WebSocket-Key", key))
        }),
    },
    Known {
        what: "Fields of an answer that its `Connection` names",
        host: "removed",
        envoy: "passed on",
        why: "They are of the connection to the upstream (RFC 9110 section 7.6.1). Envoy looks at those of requests only.",
        sign: Sign::Change(change::without_named),
        example: Some(|place| {
            place.example(
                Protocol::Http1,
                place.public("GET").field(ANSWER, "hop-by-hop"),
            )
        }),
    },
    Known {
        what: "A refusal for a request with `Content-Type: application/grpc`",
        host: "its status and its page or JSON",
        envoy: "200 with `grpc-status`",
        why: "Envoy writes every answer of its own to such requests so. gRPC has no sign-in.",
        sign: Sign::Fork(|pair| {
            let is_grpc = |value: &str| value.starts_with("application/grpc");
            pair.envoy.answer.values("content-type").any(is_grpc)
                && pair.host.forwarded == pair.envoy.forwarded
        }),
        example: Some(|place| {
            let request = Request::new("POST", &place.authority, "/private/x");
            place.example(
                Protocol::Http2,
                request.field("content-type", "application/grpc"),
            )
        }),
    },
    Known {
        what: "An upstream that breaks off in its head or answers what is no HTTP",
        host: "503 when it broke off, 502 when it is no HTTP, with a page",
        envoy: "503 when it broke off before the first byte, else 502, with a page",
        why: "The host's HTTP library does not tell whether some bytes of a head have come.",
        sign: Sign::Fork(|pair| {
            let outcomes = [pair.host, pair.envoy];
            outcomes
                .iter()
                .all(|one| matches!(one.answer.status, 502 | 503))
                && is_breaking(pair.request)
        }),
        example: Some(|place| {
            place.example(
                Protocol::Http1,
                place.public("GET").field(ANSWER, "half-head"),
            )
        }),
    },
    Known {
        what: "`TE` with `trailers` or nothing of a request, and `Trailer` of a request or an answer",
        host: "removed",
        envoy: "passed on",
        why: "The host drops trailers, because the module does not see them, and does not announce what it drops. Envoy drops them over HTTP/1.1, too.",
        sign: Sign::Change(change::without_trailers),
        example: Some(|place| {
            place.example(
                Protocol::Http1,
                place.public("GET").field(ANSWER, "trailers"),
            )
        }),
    },
    Known {
        what: "Over HTTP/2, a `content-length` that begins with zeros, such as `05`",
        host: "the upstream gets `5`",
        envoy: "the upstream gets `05`",
        why: "The host writes the length of the body itself. It is the same number.",
        sign: Sign::Change(change::without_zeros),
        example: Some(|place| {
            let request = place.public("POST").field("content-length", "05");
            place.example(Protocol::Http2, request.framed(&[], b"hello"))
        }),
    },
];

/// Fields of trailers for which Envoy ends a connection (RFC 9113 section 8.2.2, RFC 9110 section 6.5.1).
const NEVER_TRAILERS: &[&str] = &["transfer-encoding", "content-length"];

/// The methods of Envoy's parser (Envoy 1.40, without `allow_custom_methods`).
const ENVOYS_METHODS: &[&str] = &[
    "ACL",
    "BIND",
    "CHECKOUT",
    "CONNECT",
    "COPY",
    "DELETE",
    "GET",
    "HEAD",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MOVE",
    "MSEARCH",
    "NOTIFY",
    "OPTIONS",
    "PATCH",
    "POST",
    "PROPFIND",
    "PROPPATCH",
    "PURGE",
    "PUT",
    "QUERY",
    "REBIND",
    "REPORT",
    "SEARCH",
    "SOURCE",
    "SUBSCRIBE",
    "TRACE",
    "UNBIND",
    "UNLINK",
    "UNLOCK",
    "UNSUBSCRIBE",
];

/// Statuses of what is refused before a policy is asked; 0 is no answer.
const BEFORE_POLICY: &[u16] = &[0, 400, 405, 413, 426, 431, 501, 505];

fn has_two_hosts(request: &Request) -> bool {
    usize::from(request.authority.is_some()) + request.values("host").count() > 1
}

fn is_refused_by_both(pair: &Pair<'_>) -> bool {
    // The host reports two `Upgrade` fields before the module runs, in which Envoy sees one.
    let asks_twice = pair.request.values("upgrade").count() > 1;
    let outcomes = [pair.host, pair.envoy];
    // A request that came early has the number of the refused one, and is one of its own where the connection goes on.
    let is_early = pair.request.early == Early::Request;
    let refused = |outcome: &&Outcome| {
        (is_early || outcome.forwarded.is_empty()) && !matches!(outcome.answer.status, 100..=299)
    };
    outcomes.iter().all(refused)
        && (asks_twice || outcomes.iter().any(|one| is_before_policy(&one.answer)))
}

/// Whether an answer is certainly none of a policy. Envoy's 403 to upgrades is empty.
fn is_before_policy(answer: &Answered) -> bool {
    let is_empty = answer.body.is_empty() && answer.values("content-type").next().is_none();
    BEFORE_POLICY.contains(&answer.status) || answer.status == 403 && is_empty
}

/// Whether the id of a request is none that the host keeps, and nothing but the id differs in what is forwarded.
fn has_odd_id(pair: &Pair<'_>) -> bool {
    let mut ids = pair.request.values("x-request-id");
    let first = ids.next();
    let is_plain = |id: &[u8]| {
        let is_in_id = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
        (1..=128).contains(&id.len()) && id.iter().all(is_in_id)
    };
    let is_odd = first.is_some_and(|id| !is_plain(id)) || ids.next().is_some();
    let forwarded = |outcome: &Outcome| change::without_id(outcome).forwarded;
    is_odd
        && pair.host.answer.status == pair.envoy.answer.status
        && forwarded(pair.host) == forwarded(pair.envoy)
}

fn host_refuses(pair: &Pair<'_>) -> bool {
    matches!(pair.host.answer.status, 0 | 400) && pair.host.forwarded.is_empty()
}

fn envoy_refuses(pair: &Pair<'_>) -> bool {
    pair.envoy.answer.status == 400 && pair.envoy.forwarded.is_empty()
}

fn is_badly_written(request: &Request) -> bool {
    let lines = request.lines.iter();
    let mut within = lines.flat_map(|line| line.iter());
    let folded = within.any(|byte| matches!(byte, b'\r' | b'\n'));
    // A line that begins with white space belongs to the field before.
    let is_continued = |line: &Vec<u8>| {
        line.first()
            .is_some_and(|byte| matches!(byte, b' ' | b'\t'))
    };
    folded
        || request.lines.iter().any(is_continued)
        || request.method.ends_with(' ')
        || request.version.ends_with(' ')
        || request.body.starts_with(b"3\r\nabcX")
}

/// Whether a request asks the recorder to break off or to talk nonsense.
fn is_breaking(request: &Request) -> bool {
    let mut wanted = request.fields.iter().filter(|(name, _)| name == ANSWER);
    wanted.any(|(_, value)| {
        matches!(
            value.as_slice(),
            b"half-head" | b"garbage" | b"nothing" | b"two-lengths" | b"unasked-switch"
        )
    })
}
