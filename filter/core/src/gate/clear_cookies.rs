//! The way out for a browser that sends more cookies than are accepted: another site below the same domain may have set
//! them, and the person cannot tell which.

use super::sign_out::is_from_here;
use super::{Gate, line};
use crate::gate::step::Step;
use crate::http::reply::{Extras, Reply, refuse, render_page};
use crate::http::request::Parsed;
use crate::refusal::Refusal;

/// Where a browser's cookies are deleted.
pub(super) const CLEAR_COOKIES: &str = "/.pomerium/clear_cookies";

/// What the button does, for the page that has it.
const NOTE: &str = "Usually too many cookies are the reason. The button deletes those of this site and of the sites that share its \
                    domain in this browser; you will have to sign in again there.";

impl Gate {
    /// Whether a request asks for the endpoint that helps: it brings as many cookies as the one that was refused.
    pub(super) fn is_about_cookies(request: &Parsed<'_>) -> bool {
        request.path() == CLEAR_COOKIES && matches!(request.method, "GET" | "POST")
    }

    /// Refuses a request whose head is too large.
    pub(super) fn refuse_head(&self, request: &Parsed<'_>) -> Reply {
        let refusal = Refusal::HeadTooLarge;
        let brings_cookies = !request.cookies().is_empty();
        let extras = Extras {
            note: brings_cookies.then_some(NOTE),
            clear_cookies: brings_cookies,
            ..Extras::default()
        };
        refuse(refusal, extras, &self.audience(request), line(refusal))
    }

    /// A link cannot delete anything: it only leads to this question.
    pub(super) fn confirm_clear_cookies(&self, request: &Parsed<'_>) -> Reply {
        let extras = Extras {
            clear_cookies: true,
            ..Extras::default()
        };
        render_page("Delete cookies?", NOTE, extras, &self.audience(request))
    }

    /// Deletes our cookies one by one, and with `Clear-Site-Data` those that others have set for this domain: nothing else
    /// reaches them, because a server is not told for which domain and path a cookie is.
    pub(super) fn clear_cookies(&self, request: &Parsed<'_>) -> Step {
        if !is_from_here(request) {
            return self.refuse(request, Refusal::ForeignOrigin);
        }
        let extras = Extras {
            link: Some(("/", "Go on")),
            ..Extras::default()
        };
        let text = "This browser has deleted the cookies of this site.";
        let mut reply = render_page("Cookies deleted", text, extras, &self.audience(request));
        reply.add("clear-site-data", r#""cookies""#.to_owned());
        reply.event = "cookies deleted".into();
        let own = request.own_cookies(&self.cookies);
        Step::Reply(reply.with_cookies(self.cookies.clear_all(&own)))
    }
}
