//! Renders an explanation for people.

use std::fmt::Write as _;

use jetway_core::explain::{
    ExplainedCockpit, ExplainedCriterion, ExplainedDecision, ExplainedRoute, ExplainedTerm,
    Explanation,
};

use crate::terminal::{Styles, escape_controls};

/// Most criteria of one term that are shown: a policy may have a hundred thousand.
const MAX_CRITERIA: usize = 100;
/// Width up to which criteria are aligned with each other, in characters.
const MAX_ALIGNED: usize = 60;

/// Renders the decision, the route and the policy, without a last line break.
///
/// `destination` is the target of the route.
pub(crate) fn render(
    explanation: &Explanation,
    destination: Option<&str>,
    styles: Styles,
) -> String {
    let mut lines = vec![render_headline(explanation, styles)];
    lines.push(String::new());
    lines.push(render_fact(
        "route",
        &describe_route(explanation.route.as_ref(), destination),
        styles,
    ));
    lines.push(render_fact(
        "status",
        &explanation.status.to_string(),
        styles,
    ));
    if !explanation.reasons.is_empty() {
        lines.push(render_fact(
            "reasons",
            &explanation.reasons.join(", "),
            styles,
        ));
    }
    if let Some(seen) = explain_login(explanation) {
        lines.push(render_fact("user", seen, styles));
    }
    if let Some(cockpit) = &explanation.cockpit {
        lines.push(render_fact("cockpit", &describe_cockpit(cockpit), styles));
    }
    if explanation.route.is_some() {
        lines.push(String::new());
        lines.extend(render_action("allow", &explanation.allow, styles));
        lines.extend(render_action("deny", &explanation.deny, styles));
    }
    lines.join("\n")
}

/// Renders the first line, such as `deny: no route serves this address`.
fn render_headline(explanation: &Explanation, styles: Styles) -> String {
    let name = styles.strong(explanation.decision.word());
    let decision = match explanation.decision {
        ExplainedDecision::Allow => styles.good(name),
        ExplainedDecision::Deny => styles.bad(name),
        ExplainedDecision::Login => styles.open(name),
    };
    if explanation.summary.is_empty() {
        decision
    } else {
        format!("{decision}: {}", escape_controls(&explanation.summary))
    }
}

fn render_fact(name: &str, text: &str, styles: Styles) -> String {
    format!("  {}  {}", styles.faint(format_args!("{name:<7}")), text)
}

/// Renders a route, such as `wiki https://wiki.example.com → http://localhost:8080`.
fn describe_route(route: Option<&ExplainedRoute>, destination: Option<&str>) -> String {
    let Some(route) = route else {
        return "none".to_owned();
    };
    let from = escape_controls(&route.from);
    let from = if from.contains("://") {
        from
    } else {
        format!("https://{from}")
    };
    let name = escape_controls(&route.name);
    // A route without a name is known by its address.
    let named = from.trim_start_matches("https://") != name;
    let mut text = if named {
        format!("{name}  {from}")
    } else {
        from
    };
    if let Some(destination) = destination {
        // Writing to a string cannot fail.
        let _ = write!(text, " → {}", escape_controls(destination));
    }
    text
}

/// Describes how a login reaches clients other than browsers, which the summary does not cover.
fn explain_login(explanation: &Explanation) -> Option<&'static str> {
    let redirected = (300..400).contains(&explanation.status);
    let to_sign_in = explanation.decision == ExplainedDecision::Login;
    (to_sign_in && redirected)
        .then_some("sees the provider's sign-in page; a script, a form or a websocket gets 401")
}

/// Describes the Unix user: ``as the Unix user `alice`, by `users`, with administrative access``.
fn describe_cockpit(cockpit: &ExplainedCockpit) -> String {
    let (Some(user), Some(by)) = (&cockpit.user, cockpit.by) else {
        return "no Unix user: neither `users` nor `user_claim` nor `local_part_of` names one"
            .to_owned();
    };
    let access = if cockpit.administrator {
        "administrative"
    } else {
        "limited"
    };
    format!(
        "as the Unix user `{}`, by `{by}`, with {access} access",
        escape_controls(user)
    )
}

fn render_action(name: &str, terms: &[ExplainedTerm], styles: Styles) -> Vec<String> {
    let holds = terms.iter().any(|term| term.holds);
    let about = match (name, terms) {
        ("allow", []) => "no rule: nothing is allowed",
        ("allow", [_]) => "",
        (_, []) => return Vec::new(),
        (_, [_]) => "",
        _ => "one of these is enough",
    };
    let pen = Pen {
        styles,
        refuses: name == "deny",
    };
    let mut lines = vec![pen.draw_line("", holds, &styles.strong(name), about)];
    for (place, term) in terms.iter().enumerate() {
        let last = place + 1 == terms.len();
        lines.extend(render_term(term, last, pen));
    }
    lines
}

fn render_term(term: &ExplainedTerm, last: bool, pen: Pen) -> Vec<String> {
    let (fork, stem) = if last {
        ("└─ ", "   ")
    } else {
        ("├─ ", "│  ")
    };
    let about = describe_operator(term.operator);
    let mut lines = vec![pen.draw_line(fork, term.holds, term.operator, about)];
    let shown = select_criteria(&term.criteria);
    let hidden = term.criteria.len().saturating_sub(shown.len());
    let texts: Vec<String> = shown
        .iter()
        .map(|criterion| escape_controls(&criterion.criterion))
        .collect();
    let width = texts
        .iter()
        .map(|text| text.chars().count())
        .max()
        .unwrap_or_default()
        .min(MAX_ALIGNED);
    for (place, (criterion, text)) in shown.iter().zip(&texts).enumerate() {
        let end = place + 1 == shown.len() && hidden == 0;
        let fork = format!("{stem}{}", if end { "└─ " } else { "├─ " });
        let text = format!("{text:<width$}");
        lines.push(pen.draw_line(&fork, criterion.holds, &text, &explain_criterion(criterion)));
    }
    if hidden > 0 {
        let more = format!("and {hidden} more");
        lines.push(format!(
            "  {}{}",
            pen.styles.faint(format_args!("{stem}└─ ")),
            pen.styles.faint(more)
        ));
    }
    lines
}

/// Selects the criteria that are shown; when there are too many, those that hold come first.
fn select_criteria(criteria: &[ExplainedCriterion]) -> Vec<&ExplainedCriterion> {
    if criteria.len() <= MAX_CRITERIA {
        return criteria.iter().collect();
    }
    let holding = criteria.iter().filter(|criterion| criterion.holds);
    let others = criteria.iter().filter(|criterion| !criterion.holds);
    holding.chain(others).take(MAX_CRITERIA).collect()
}

/// Describes the value that a criterion evaluated, and its reason: `mallory@example.com (email-unauthorized)`.
fn explain_criterion(criterion: &ExplainedCriterion) -> String {
    let (looked_at, reason) = (
        escape_controls(&criterion.looked_at),
        escape_controls(&criterion.reason),
    );
    if looked_at.is_empty() {
        format!("({reason})")
    } else {
        format!("{looked_at} ({reason})")
    }
}

fn describe_operator(operator: &str) -> &'static str {
    match operator {
        "and" => "all must hold",
        "or" => "one must hold",
        "not" => "none may hold",
        "nor" => "not all may hold",
        _ => "",
    }
}

/// Draws the lines of one action.
#[derive(Clone, Copy)]
struct Pen {
    styles: Styles,
    /// Whether the action refuses when it holds.
    refuses: bool,
}

impl Pen {
    fn draw_line(self, fork: &str, holds: bool, text: &str, about: &str) -> String {
        let mark = if holds { "✓" } else { "✗" };
        let mark = if holds == self.refuses {
            self.styles.bad(mark)
        } else {
            self.styles.good(mark)
        };
        let gap = if about.is_empty() { "" } else { "  " };
        let (fork, about) = (self.styles.faint(fork), self.styles.faint(about));
        format!("  {fork}{mark} {text}{gap}{about}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::explain::offline_gate::OfflineGate;
    use crate::command::explain::{Address, Scenario};
    use jetway_core::config::Config;
    use jetway_core::time::Timestamp;
    use serde_json::{Value, json};

    fn told(policy: Value, name: &str, claims: Value) -> String {
        let file = json!({
            "idp_provider": "oidc", "idp_provider_url": "https://idp.test", "idp_client_id": "c",
            "idp_client_secret": "s",
            "cookie_secret": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "routes": [{"from": "https://app.test", "to": ["http://a,1", "http://b:8080,3"],
                "name": name, "policy": policy}],
        });
        let gate = OfflineGate::new(Config::read(&file, &|_| None).unwrap().config);
        let address = Address::read("app.test/a").unwrap();
        let scenario = Scenario {
            claims: claims.as_object().cloned(),
            ..Scenario::new("GET", &address, &[], Timestamp(1_795_507_200))
        };
        let explanation = gate.explain(&scenario);
        render(&explanation, gate.destination(&explanation), Styles::Plain)
    }

    #[test]
    fn allow_and_deny_with_all_operators() {
        let policy = json!([
            {"allow": {"and": [{"domain": "x.test"}, {"groups": {"has": "admins"}}], "not": [{"http_method": "POST"}]}},
            {"deny": {"nor": [{"http_path": {"starts_with": "/a"}}, {"user": "u1"}]}},
        ]);
        let visitor = json!({"sub": "u1", "email": "bob@x.test", "groups": ["admins", "staff"]});
        let expected = "\
allow: the policy permits it, and it goes to http://a or http://b:8080

  route    wiki  https://app.test → http://a (weight 1), http://b:8080 (weight 3)
  status   200
  reasons  domain-ok, groups-ok, http-method-unauthorized

  ✓ allow  one of these is enough
  ├─ ✓ and  all must hold
  │  ├─ ✓ domain: {is: x.test}   bob@x.test (domain-ok)
  │  └─ ✓ groups: {has: admins}  [admins, staff] (groups-ok)
  └─ ✓ not  none may hold
     └─ ✗ http_method: {is: POST}  GET (http-method-unauthorized)
  ✗ deny
  └─ ✗ nor  not all may hold
     ├─ ✓ http_path: {starts_with: /a}  /a (http-path-ok)
     └─ ✓ user: {is: u1}                u1 (user-ok)";
        assert_eq!(told(policy, "wiki", visitor), expected);
    }

    #[test]
    fn a_route_without_a_rule_is_reported() {
        let told = told(json!({}), "", Value::Null);
        assert!(
            told.ends_with("  ✗ allow  no rule: nothing is allowed"),
            "{told}"
        );
        assert!(told.contains("  route    https://app.test → "), "{told}");
    }

    #[test]
    fn the_criteria_that_hold_are_shown_of_very_many() {
        let users: Vec<Value> = (0..1000).map(|n| json!({"user": n.to_string()})).collect();
        let told = told(json!({"allow": {"or": users}}), "", json!({"sub": "999"}));
        assert!(told.contains("├─ ✓ user: {is: \"999\"}"), "{told}");
        assert!(told.ends_with("     └─ and 900 more"), "{told}");
        assert!(told.lines().count() < 120);
    }

    #[test]
    fn names_and_claims_do_not_move_the_cursor() {
        let policy = json!({"allow": {"or": [{"claim/a": "b"}]}});
        let told = told(policy, "x\u{1b}[2J", json!({"sub": "u", "a": "\u{7}"}));
        assert!(
            told.chars()
                .all(|letter| letter == '\n' || !letter.is_control()),
            "{told}"
        );
    }
}
