//! The outcome of each request at a proxy, without the parts that differ every time.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::client::Answer;
use super::head::{Head, escaped};
use super::recorder::Recorded;
use super::request::{Conversation, Protocol};

/// Fields of one connection, and the time: what they mean is compared by itself.
const LEFT_OUT: [&str; 4] = ["connection", "keep-alive", "transfer-encoding", "date"];

/// One answer in a form that can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The status; 0 without an answer.
    pub status: u16,
    /// Fields by name; those of one name in their order.
    pub fields: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// One request as the upstream has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// The request line.
    pub first: String,
    /// Fields by name; those of one name in their order.
    pub fields: Vec<(String, String)>,
    /// The body, without its framing.
    pub body: String,
    /// The bytes that came through the tunnel.
    pub tunnelled: String,
}

/// The outcome of one request at one proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The answer.
    pub answer: Answered,
    /// The answers that came behind it although every request was answered, or through the tunnel that it opened.
    pub more: Vec<Answered>,
    /// The requests that the upstream got.
    pub forwarded: Vec<Forwarded>,
    /// Whether the connection ended before the next request was answered.
    pub ends: bool,
}

/// The outcomes of the requests of a conversation, as far as the connection lasted.
pub(crate) fn outcomes(
    conversation: &Conversation,
    answers: &[Answer],
    recorded: &[Recorded],
) -> Vec<Outcome> {
    let requests = &conversation.requests;
    let mut answered: Vec<Answered> = answers.iter().map(Answered::new).collect();
    if is_end_of_unread(conversation, answers) {
        answered.pop();
    }
    let count = answered.len().min(requests.len());
    let one = |(place, answer): (usize, &Answered)| {
        let is_last = place + 1 == count;
        let of_request = |one: &&Recorded| one.head.case().is_some_and(|(_, own)| own == place);
        Outcome {
            answer: answer.clone(),
            more: answered[if is_last { count } else { answered.len() }..].to_vec(),
            forwarded: recorded
                .iter()
                .filter(of_request)
                .map(Forwarded::new)
                .collect(),
            ends: is_last && count < requests.len(),
        }
    };
    answered.iter().take(count).enumerate().map(one).collect()
}

/// Whether the last answer is none but the end that a request before it has brought: a proxy that has answered before it has
/// read a body may end the connection, and does not announce it. Over HTTP/2 an end is that of one stream.
fn is_end_of_unread(conversation: &Conversation, answers: &[Answer]) -> bool {
    let before = answers
        .len()
        .checked_sub(2)
        .and_then(|place| conversation.requests.get(place));
    conversation.protocol == Protocol::Http1
        && answers.last() == Some(&Answer::End)
        && before.is_some_and(|request| !request.body.is_empty())
}

impl Answered {
    fn new(answer: &Answer) -> Self {
        let (head, body) = match answer {
            Answer::Whole { head, body } => (head, escaped(body)),
            Answer::BrokenOff(head) => (head, "(broken off)".to_owned()),
            Answer::End => return Self::without_status("(the end)"),
            Answer::Silence => return Self::without_status("(silence)"),
        };
        let mut fields = fields_of(head, |_, value| mask(value));
        let body = if head.first == "tunnel" {
            format!("tunnel: {body}")
        } else {
            let body = mask(&body);
            let ageless = without_ages(&body);
            if ageless != body {
                fields.retain(|(name, _)| name != "content-length");
            }
            ageless
        };
        Self {
            status: head.status().unwrap_or_default(),
            fields,
            body,
        }
    }

    fn without_status(body: &str) -> Self {
        Self {
            status: 0,
            fields: Vec::new(),
            body: body.to_owned(),
        }
    }

    /// The values of a field.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let of_name = self.fields.iter().filter(move |(own, _)| own == name);
        of_name.map(|(_, value)| value.as_str())
    }
}

impl Forwarded {
    fn new(recorded: &Recorded) -> Self {
        let fields = fields_of(&recorded.head, |name, value| match name {
            "x-request-id" => mask(value),
            _ => value
                .split(' ')
                .map(assertion)
                .collect::<Vec<_>>()
                .join(" "),
        });
        Self {
            first: recorded.head.first.clone(),
            fields,
            body: escaped(&recorded.body),
            tunnelled: escaped(&recorded.tunnelled),
        }
    }
}

fn fields_of(head: &Head, value: impl Fn(&str, &str) -> String) -> Vec<(String, String)> {
    let kept = head
        .fields
        .iter()
        .filter(|(name, _)| !LEFT_OUT.contains(&name.as_str()));
    let mut fields: Vec<(String, String)> = kept
        .map(|(name, text)| (name.clone(), value(name, text)))
        .collect();
    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    fields
}

/// Replaces what is drawn by chance: runs of letters and digits that no person would write.
pub(crate) fn mask(text: &str) -> String {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let length = rest.bytes().take_while(|byte| is_part(*byte)).count();
        let (run, behind) = rest.split_at(length);
        let is_named = ["attempt=", "state="]
            .iter()
            .any(|name| masked.ends_with(name));
        let is_random = is_named || length >= 16 && is_mixed(run);
        masked.push_str(if is_random { "(random)" } else { run });
        let mut behind = behind.chars();
        masked.extend(behind.next());
        rest = behind.as_str();
    }
    masked
}

/// Replaces how long something is ago or will last, which the page about a session tells.
fn without_ages(text: &str) -> String {
    const UNITS: [&str; 4] = ["s", "min", "h", "d"];
    let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    let mut words: Vec<&str> = text.split(' ').collect();
    for place in 1..words.len() {
        let unit = words[place].split('<').next().unwrap_or_default();
        if UNITS.contains(&unit) && is_number(words[place - 1]) {
            words[place - 1] = "(some)";
            words[place] = words[place].get(unit.len()..).unwrap_or_default();
        }
    }
    words.join(" ")
}

/// Whether there are two of digits, capitals and small letters.
fn is_mixed(run: &str) -> bool {
    let classes = [
        u8::is_ascii_digit,
        u8::is_ascii_uppercase,
        u8::is_ascii_lowercase,
    ];
    let present = classes
        .iter()
        .filter(|class| run.as_bytes().iter().any(class));
    present.count() >= 2
}

/// A signed assertion without its signature, its number and the times in it.
fn assertion(text: &str) -> String {
    let payload = text.split('.').nth(1).filter(|_| text.starts_with("eyJ"));
    let claims = payload.and_then(|payload| BASE64_URL_SAFE_NO_PAD.decode(payload).ok());
    let claims = claims.and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok());
    let Some(serde_json::Value::Object(mut claims)) = claims else {
        return text.to_owned();
    };
    for name in ["iat", "nbf", "exp", "jti"] {
        claims.remove(name);
    }
    format!("assertion {}", serde_json::Value::Object(claims))
}

impl Outcome {
    /// The outcome in lines, of which each can be compared with that of another proxy.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = self.answer.lines("answer");
        for more in &self.more {
            lines.extend(more.lines("behind it"));
        }
        for forwarded in &self.forwarded {
            lines.push(format!("upstream got {}", forwarded.first));
            lines.extend(
                forwarded
                    .fields
                    .iter()
                    .map(|(name, value)| format!("  upstream {name}: {value}")),
            );
            lines.push(format!("  upstream body: {}", forwarded.body));
            lines.push(format!("  upstream tunnel: {}", forwarded.tunnelled));
        }
        lines.push(format!("the connection ends: {}", self.ends));
        lines
    }
}

impl Answered {
    fn lines(&self, what: &str) -> Vec<String> {
        let mut lines = vec![format!("{what} {}", self.status)];
        lines.extend(
            self.fields
                .iter()
                .map(|(name, value)| format!("  {name}: {value}")),
        );
        lines.push(format!("  body: {}", self.body));
        lines
    }
}

/// One line of bounded length, with the number of bytes and a sum, so that what is cut off shows as well.
pub(crate) fn shortened(text: &str) -> String {
    let line = text.replace('\r', "\\r").replace('\n', "\\n");
    if line.len() <= 900 {
        return line;
    }
    let sum = line.bytes().fold(0u32, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u32::from(byte))
    });
    let start: String = line.chars().take(700).collect();
    format!("{start}... ({} bytes, sum {sum:08x})", line.len())
}
