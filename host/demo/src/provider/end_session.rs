//! Sign-out that the application starts (OpenID Connect RP-Initiated Logout 1.0).
//!
//! The demo provider keeps no session of its own, so it has nothing to end: it redirects the browser to the address
//! that the application gave, and the next sign-in shows the accounts again.

use bytes::Bytes;
use http::{Method, Response, StatusCode};

use super::parameters::Parameters;
use super::{Asked, Provider, pages, reply};

/// Path of the endpoint.
pub(super) const PATH: &str = "/end_session";

impl Provider {
    /// Answers a sign-out.
    pub(super) fn end_session(&self, asked: &Asked<'_>) -> Response<Bytes> {
        let encoded = if asked.method == Method::POST {
            asked.body
        } else {
            asked.query.as_bytes()
        };
        let parameters = match Parameters::parse(encoded) {
            Ok(parameters) => parameters,
            Err(error) => return pages::problem(StatusCode::BAD_REQUEST, &error.to_string()),
        };
        if parameters
            .value("client_id")
            .is_some_and(|id| id != self.client.id())
        {
            return pages::problem(StatusCode::BAD_REQUEST, "the client is not registered");
        }
        let Some(address) = parameters.value("post_logout_redirect_uri") else {
            return pages::signed_out(&self.client.origin());
        };
        if !self.client.may_return_to(address) {
            return pages::problem(
                StatusCode::BAD_REQUEST,
                "the address to return to is not registered",
            );
        }
        match parameters.value("state") {
            Some(state) => reply::see_other(&with_state(address, state)),
            None => reply::see_other(address),
        }
    }
}

fn with_state(address: &str, state: &str) -> String {
    match url::Url::parse(address) {
        Ok(mut url) => {
            url.query_pairs_mut().append_pair("state", state);
            url.into()
        }
        Err(_) => address.to_owned(),
    }
}
