//! The headers of a request that tell a browser from other clients.

/// The statements of the headers about the kind of client.
#[derive(Debug, Default)]
pub(crate) struct Client<'a> {
    accept: Option<&'a [u8]>,
    fetch_mode: Option<&'a [u8]>,
    fetch_dest: Option<&'a [u8]>,
    fetch_site: Option<&'a [u8]>,
    fetch_user: Option<&'a [u8]>,
    requested_with: bool,
    prefetch: bool,
}

impl<'a> Client<'a> {
    /// Returns a client of which only `Accept` is known.
    pub(super) fn accepting(accept: Option<&'a [u8]>) -> Self {
        Self {
            accept,
            ..Self::default()
        }
    }

    pub(super) fn read_header(&mut self, name: &str, value: &'a [u8]) {
        match name {
            "accept" => self.accept = Some(value),
            "sec-fetch-mode" => self.fetch_mode = Some(value),
            "sec-fetch-dest" => self.fetch_dest = Some(value),
            "sec-fetch-site" => self.fetch_site = Some(value),
            "sec-fetch-user" => self.fetch_user = Some(value),
            "x-requested-with" => self.requested_with = true,
            "sec-purpose" | "purpose" | "x-moz" => self.prefetch |= contains(value, b"prefetch"),
            _ => {}
        }
    }

    /// Returns whether the client accepts an HTML page.
    pub(crate) fn wants_html(&self) -> bool {
        self.accept
            .is_some_and(|accept| contains(accept, b"text/html"))
    }

    /// Returns whether the client accepts JSON explicitly.
    pub(crate) fn wants_json(&self) -> bool {
        self.accept
            .is_some_and(|accept| contains(accept, b"application/json"))
    }

    /// Returns whether a user may have opened the address in a browser: only then a redirect to the provider helps.
    pub(super) fn navigates(&self) -> bool {
        let document = self.fetch_dest.is_none_or(|dest| dest == b"document");
        let by_mode = match self.fetch_mode {
            Some(mode) => mode == b"navigate" && document,
            None => self.wants_html(),
        };
        by_mode && !self.requested_with && !self.prefetch
    }

    /// Returns whether a browser opens a page: only browsers send `Sec-Fetch-Mode` (Fetch Metadata).
    pub(crate) fn is_browser(&self) -> bool {
        self.fetch_mode == Some(b"navigate")
    }

    /// Returns whether a user's act caused the navigation (Fetch Metadata).
    pub(super) fn is_user_activated(&self) -> bool {
        self.fetch_user == Some(b"?1")
    }

    /// Returns whether a page of the same origin caused the request, if the browser states it.
    pub(crate) fn is_same_site(&self) -> Option<bool> {
        self.fetch_site.map(|site| site == b"same-origin")
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window.eq_ignore_ascii_case(needle))
}
