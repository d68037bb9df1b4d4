//! Conversations by chance: an ordinary request, changed in a few places.

mod fields;
mod framing;
mod line;
mod target;

use std::net::Ipv4Addr;

use super::deployment::Deployment;
use super::recorder::CASE;
use super::request::{Conversation, Protocol, Request};
use super::sessions::Sessions;
use crate::{APP, Dice, OTHER, WILD};

/// Clients come from these: a proxy replaces 127.0.0.1 by an address of its own.
const SOURCES: [Ipv4Addr; 3] = [
    Ipv4Addr::new(127, 0, 0, 7),
    Ipv4Addr::new(127, 0, 0, 8),
    Ipv4Addr::new(127, 1, 2, 3),
];

/// The PROXY protocol header of a client that is like others.
const ORDINARY_CLIENT: &str = "PROXY TCP4 203.0.113.9 192.0.2.1 40000 443\r\n";

/// The material of conversations.
pub(crate) struct Material<'a> {
    pub(crate) deployment: &'a Deployment,
    /// The port in the public addresses.
    pub(crate) public: u16,
    /// Sessions, and what is none.
    pub(crate) sessions: &'a Sessions,
}

/// Where the requests of known differences go: the first configuration of every run.
pub(crate) struct Place {
    /// Host and port of the application.
    pub(crate) authority: String,
}

impl Place {
    pub(crate) fn new(public: u16) -> Self {
        Self {
            authority: format!("{APP}:{public}"),
        }
    }

    /// A request to the route that everybody may use.
    pub(crate) fn public(&self, method: &str) -> Request {
        Request::new(method, &self.authority, "/public/x")
    }

    /// A GET with this target.
    pub(crate) fn at(&self, target: &str) -> Request {
        Request::new("GET", &self.authority, target)
    }

    /// A conversation that begins with this request. The second one shows whether the connection is kept.
    pub(crate) fn example(&self, protocol: Protocol, request: Request) -> Conversation {
        Conversation {
            protocol,
            server_name: APP,
            source: SOURCES[0],
            preface: ORDINARY_CLIENT.as_bytes().to_owned(),
            requests: vec![request, self.public("GET")],
        }
    }
}

/// Numbers the requests of a conversation, so that the recorder knows them.
pub(crate) fn number(case: usize, conversation: &mut Conversation) {
    for (place, request) in conversation.requests.iter_mut().enumerate() {
        request.add(CASE, format!("{case}.{place}"));
    }
}

/// A conversation of one to four requests.
pub(crate) fn conversation(dice: &mut Dice, case: usize, material: &Material<'_>) -> Conversation {
    let protocol = if dice.once_in(3) {
        Protocol::Http2
    } else {
        Protocol::Http1
    };
    let count = 1 + dice.below(4);
    let mut requests: Vec<Request> = (0..count)
        .map(|_| request(dice, material, protocol))
        .collect();
    for request in requests.iter_mut().skip(1) {
        request.pipelined = protocol == Protocol::Http1 && dice.once_in(6);
    }
    if protocol == Protocol::Http1 {
        requests.push(last(material));
    }
    let source = dice.pick(&SOURCES);
    let preface = if material.deployment.proxy_protocol {
        proxy_header(dice)
    } else {
        Vec::new()
    };
    let mut conversation = Conversation {
        protocol,
        server_name: dice.pick(&[APP, APP, APP, OTHER, WILD]),
        source,
        preface,
        requests,
    };
    number(case, &mut conversation);
    conversation
}

/// Asks for the end of the connection, so that everything behind the requests before can be read.
fn last(material: &Material<'_>) -> Request {
    let authority = format!("{APP}:{}", material.public);
    Request::new("GET", &authority, "/public/last").field("Connection", "close")
}

fn request(dice: &mut Dice, material: &Material<'_>, protocol: Protocol) -> Request {
    let host = dice.pick(&[APP, APP, APP, OTHER, WILD]);
    let method = dice.pick(&["GET", "GET", "GET", "GET", "POST", "HEAD", "PUT"]);
    let path = target::path(dice, &material.deployment.paths);
    let mut request = Request::new(method, &format!("{host}:{}", material.public), &path);
    fields::add_ordinary(dice, &mut request);
    fields::add_session(dice, &mut request, material.sessions, host);
    if matches!(method, "POST" | "PUT") {
        framing::add_ordinary(dice, &mut request, protocol);
    }
    for _ in 0..dice.pick(&[0, 0, 1, 1, 1, 2, 3]) {
        change(dice, &mut request, material, protocol);
    }
    // A sign-out would make the cases depend on their order.
    if request.method == "POST" && request.target.contains("sign_out") {
        "GET".clone_into(&mut request.method);
    }
    if protocol == Protocol::Http2 {
        if !request.body.is_empty() && dice.once_in(6) {
            request.trailers = dice.pick(framing::TRAILERS);
        }
        for (name, _) in &mut request.fields {
            name.make_ascii_lowercase();
        }
    }
    request
}

fn change(dice: &mut Dice, request: &mut Request, material: &Material<'_>, protocol: Protocol) {
    match dice.below(12) {
        0 => line::change_method(dice, request),
        1 => line::change_authority(dice, request, material.public),
        2..=4 => target::change(dice, request, material.public),
        5..=7 => fields::change(dice, request, protocol),
        8 => fields::ask_for_answer(dice, request),
        9 => fields::ask_for_upgrade(dice, request),
        10 => framing::change(dice, request, protocol),
        _ if protocol == Protocol::Http1 => line::change_lines(dice, request),
        _ => fields::change(dice, request, protocol),
    }
}

fn proxy_header(dice: &mut Dice) -> Vec<u8> {
    let one = dice.pick(&[
        ORDINARY_CLIENT,
        "PROXY TCP4 198.51.100.7 192.0.2.1 1 443\r\n",
        "PROXY TCP6 2001:db8::9 2001:db8::1 40000 443\r\n",
        "PROXY TCP6 ::ffff:203.0.113.9 2001:db8::1 40000 443\r\n",
        "PROXY TCP4 10.1.2.3 192.0.2.1 40000 443\r\n",
    ]);
    one.as_bytes().to_owned()
}
