//! Checks that an upstream answers alike on several new connections.
//!
//! Two servers that share an address take turns: two addresses of one name, two programs on one port, or a load balancer. When
//! one of them is dead or another program, every second request fails, which a single request may miss.

use futures_util::future::join_all;

use super::answer::{Answer, ProbeError};
use super::cockpit::is_cockpit;
use super::finding::{Change, Finding};
use super::upstream_probe::UpstreamProbe;

const CHECK: &str = "upstream-connections";
/// How many connections are opened: of two servers that take turns, each is reached twice.
const CONNECTIONS: usize = 4;
/// The path that is requested, at which Cockpit says that it is Cockpit.
const PATH: &str = "/ping";

/// The answers on all connections.
pub(super) struct RepeatedAnswers(Vec<Result<Answer, ProbeError>>);

impl RepeatedAnswers {
    /// Sends a request on each of four new connections.
    pub(super) async fn collect(probe: &UpstreamProbe<'_>) -> Self {
        // The first one alone, so that a server that accepts one connection at a time is not taken for two.
        let mut answers = vec![probe.get(PATH).await];
        let others = (1..CONNECTIONS).map(|_| probe.get(PATH));
        answers.extend(join_all(others).await);
        Self(answers)
    }

    /// Reports answers that differ. [`explain`] has the cause.
    pub(super) fn compare(&self, about: &str) -> Option<Finding> {
        let answers = self.0.iter().filter_map(|answer| answer.as_ref().ok());
        let mut outcomes: Vec<String> = answers.map(summarize).collect();
        outcomes.sort_unstable();
        outcomes.dedup();
        let failed = self.0.iter().filter_map(|answer| answer.as_ref().err());
        let failures: Vec<&ProbeError> = failed.collect();
        let all = self.0.len();
        let finding = match (failures.as_slice(), outcomes.as_slice()) {
            ([], [] | [_]) | (_, []) => return None,
            ([first, ..], _) => Finding::failure(
                CHECK,
                about,
                format!("{} of {all} new connections fail: {first}", failures.len()),
            )
            .seen("an error page from time to time, which a reload removes"),
            ([], outcomes) => Finding::warning(
                CHECK,
                about,
                format!(
                    "{all} requests for `{PATH}` on new connections have different answers: {}",
                    outcomes.join(", ")
                ),
            )
            .seen(
                "another page from time to time, which a reload removes, or a login that is lost",
            ),
        };
        Some(
            finding.change(
                Change::act(
                    "find the servers behind the address, and stop or repair the wrong one",
                )
                .line("ss -ltnp"),
            ),
        )
    }

    /// Returns the first answer.
    ///
    /// # Errors
    /// The first error, when no connection has an answer.
    pub(super) fn into_first(self) -> Result<Answer, ProbeError> {
        let mut fault = None;
        for answer in self.0 {
            match answer {
                Ok(answer) => return Ok(answer),
                Err(error) => fault = fault.or(Some(error)),
            }
        }
        Err(fault.unwrap_or(ProbeError::Slow))
    }
}

fn summarize(answer: &Answer) -> String {
    let server = if is_cockpit(answer) { " (Cockpit)" } else { "" };
    format!("{}{server}", answer.outcome())
}

/// Returns why answers differ; `addresses` are those of the upstream's name.
pub(super) fn explain(addresses: &[String]) -> String {
    let where_from = if addresses.len() > 1 {
        format!("its name has the addresses {}", addresses.join(", "))
    } else {
        "two programs share the port, one of which may be left from an earlier start, or a load balancer has a server that is down"
            .to_owned()
    };
    format!("more than one server answers there: {where_from}")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};

    use super::*;
    use crate::doctor::finding::Outcome;

    fn answer(status: u16, body: &'static str) -> Result<Answer, ProbeError> {
        Ok(Answer {
            status: StatusCode::from_u16(status).unwrap(),
            reason: String::new(),
            headers: HeaderMap::new(),
            body: Bytes::from_static(body.as_bytes()),
        })
    }

    const COCKPIT: &str = "{\"service\": \"cockpit\"}";

    #[test]
    fn one_server_has_no_finding() {
        for answers in [
            vec![answer(200, "a"), answer(200, "b")],
            vec![Err(ProbeError::Slow), Err(ProbeError::Slow)],
        ] {
            assert!(RepeatedAnswers(answers).compare("").is_none());
        }
    }

    #[test]
    fn every_second_connection_that_fails_is_counted() {
        let answers = RepeatedAnswers(vec![
            Err(ProbeError::Slow),
            answer(200, COCKPIT),
            Err(ProbeError::Slow),
            answer(200, COCKPIT),
        ]);
        let found = answers.compare("").unwrap();
        assert_eq!(found.outcome, Outcome::Failure);
        assert!(
            found.message.starts_with("2 of 4 new connections fail"),
            "{found:?}"
        );
        let addresses = ["192.0.2.1".to_owned(), "192.0.2.2".to_owned()];
        assert!(explain(&addresses).contains("192.0.2.1, 192.0.2.2"));
        assert!(answers.into_first().is_ok());
    }

    #[test]
    fn different_servers_are_told_apart() {
        let answers = RepeatedAnswers(vec![
            answer(200, COCKPIT),
            answer(200, "pong"),
            answer(200, COCKPIT),
        ]);
        let found = answers.compare("").unwrap();
        assert_eq!(found.outcome, Outcome::Warning);
        assert!(found.message.ends_with("200, 200 (Cockpit)"), "{found:?}");
    }
}
