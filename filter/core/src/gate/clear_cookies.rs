//! Helps a browser that sends more cookies than are accepted: another site below the same domain may have set them, and
//! the user cannot tell which.

use crate::gate::Gate;
use crate::gate::pages::refusal_event;
use crate::gate::sign_out::is_same_site;
use crate::gate::step::Step;
use crate::http::reply::{Extras, Reply, refuse, render_page};
use crate::http::request::Parsed;
use crate::refusal::Refusal;

/// Where a browser's cookies are deleted.
pub(super) const CLEAR_COOKIES: &str = "/.pomerium/clear_cookies";

/// The explanation of the button that deletes cookies.
const NOTE: &str = "Usually too many cookies are the reason. The button deletes those of this site and of the sites that share its \
                    domain in this browser; you will have to sign in again there.";

/// Returns whether a request is for this endpoint: it brings as many cookies as the request that was refused.
pub(super) fn is_about_cookies(request: &Parsed<'_>) -> bool {
    request.path() == CLEAR_COOKIES && matches!(request.method, "GET" | "POST")
}

impl Gate {
    /// Refuses a request whose head is too large.
    pub(super) fn refuse_large_head(&self, request: &Parsed<'_>) -> Reply {
        let refusal = Refusal::HeadTooLarge;
        let brings_cookies = !request.cookies().is_empty();
        let extras = Extras {
            note: brings_cookies.then_some(NOTE),
            clear_cookies: brings_cookies,
            ..Extras::default()
        };
        refuse(
            refusal,
            extras,
            &self.pages.audience(request),
            refusal_event(refusal),
        )
    }

    /// Asks whether cookies are to be deleted. A link deletes nothing; it only leads to this question.
    pub(super) fn confirm_clear_cookies(&self, request: &Parsed<'_>) -> Reply {
        let extras = Extras {
            clear_cookies: true,
            ..Extras::default()
        };
        render_page(
            "Delete cookies?",
            NOTE,
            extras,
            &self.pages.audience(request),
        )
    }

    /// Deletes the proxy's own cookies one by one, and by `Clear-Site-Data` those that other sites have set for this domain.
    /// Nothing else reaches them, because a request does not say for which domain and path a cookie is.
    pub(super) fn clear_cookies(&self, request: &Parsed<'_>) -> Step {
        if !is_same_site(request) {
            return self.pages.refuse(request, Refusal::ForeignOrigin);
        }
        let extras = Extras {
            link: Some(("/", "Go on")),
            ..Extras::default()
        };
        let text = "This browser has deleted the cookies of this site.";
        let mut reply = render_page(
            "Cookies deleted",
            text,
            extras,
            &self.pages.audience(request),
        );
        reply.add("clear-site-data", r#""cookies""#.to_owned());
        reply.event = "cookies deleted".into();
        let own = self.sessions.vault.read(request);
        Step::Reply(reply.with_cookies(self.sessions.vault.names.clear_all(&own)))
    }
}
