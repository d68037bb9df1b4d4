//! A user agent: a browser without a screen, with a cookie jar and a trusted certificate authority.

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use cookie_store::CookieStore;
use http::header::{ACCEPT, CONTENT_TYPE, COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use url::Url;

use crate::{Dialer, Response};

/// Permitted by the scenarios' policy.
pub const ALICE: &str = "alice@example.com";
/// Permitted by the scenarios' policy.
pub const BOB: &str = "bob@example.com";
/// Has an account with the provider, but no policy permits it.
pub const MALLORY: &str = "mallory@example.com";
/// Has an account with the provider, which has not verified the email address.
pub const CAROL: &str = "carol@example.com";
/// Has an account with the provider and is in four hundred groups, among them `staff`.
pub const DORA: &str = "dora@example.com";

/// Connections that a scenario opens to reach every worker of a proxy: that all of them belong to one of two workers has a
/// probability of 1 in 2^19.
pub const CONNECTIONS: usize = 20;

/// Most redirects in a row that are followed.
const REDIRECTS: usize = 20;

/// A user agent. A clone is another one with a copy of the cookies.
#[derive(Clone)]
pub struct UserAgent {
    dialer: Dialer,
    jar: CookieStore,
    /// HTTP/1.1 by default; HTTP/2 is for `https` addresses only.
    pub version: Version,
}

impl UserAgent {
    /// Creates a user agent with an empty cookie jar.
    #[must_use]
    pub fn new(dialer: Dialer) -> Self {
        Self {
            dialer,
            jar: CookieStore::default(),
            version: Version::HTTP_11,
        }
    }

    /// Keeps the cookies, but connects to this port for `https` addresses.
    pub fn detour(&mut self, port: u16) {
        self.dialer = self.dialer.detour(port);
    }

    /// Keeps the cookies, but connects in another way.
    pub fn connect_through(&mut self, dialer: Dialer) {
        self.dialer = dialer;
    }

    /// Returns its dialer.
    #[must_use]
    pub fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    /// Opens an address as if the user had typed it: a top-level navigation.
    ///
    /// # Errors
    /// Returns an error when there is no response.
    pub async fn navigate(&mut self, url: &Url) -> Result<Response> {
        self.send(Method::GET, url, navigation(), Bytes::new())
            .await
    }

    /// Sends the request of a script's `fetch(url)`.
    ///
    /// # Errors
    /// Returns an error when there is no response.
    pub async fn fetch(&mut self, url: &Url) -> Result<Response> {
        let headers = headers([
            ("accept", "*/*"),
            ("sec-fetch-mode", "cors"),
            ("sec-fetch-dest", "empty"),
        ]);
        self.send(Method::GET, url, headers, Bytes::new()).await
    }

    /// Sends the request of a page's form.
    ///
    /// # Errors
    /// Returns an error when there is no response.
    pub async fn post_form(&mut self, url: &Url, fields: &[(&str, &str)]) -> Result<Response> {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let mut headers = navigation();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        headers.insert(ORIGIN, url.origin().ascii_serialization().parse()?);
        self.send(Method::POST, url, headers, Bytes::from(body))
            .await
    }

    /// Sends a request with its cookies, in addition to those in `headers`, and stores the cookies that it gets.
    ///
    /// # Errors
    /// Returns an error when there is no response.
    pub async fn send(
        &mut self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response> {
        // Browsers speak HTTP/2 over TLS only.
        let version = if url.scheme() == "https" {
            self.version
        } else {
            Version::HTTP_11
        };
        let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let mut request = http::Request::builder()
            .method(method)
            .uri(target)
            .version(version)
            .body(body)?;
        *request.headers_mut() = headers;
        if let Some(cookies) = self.cookies(url) {
            request.headers_mut().append(COOKIE, cookies.parse()?);
        }
        let response = self.dialer.exchange(url, request).await?;
        self.keep_cookies(url, &response);
        Ok(response)
    }

    /// Opens an address and follows redirects to the end. Returns the last address and its response.
    ///
    /// # Errors
    /// Returns an error when there is no response, or no end.
    pub async fn follow(&mut self, url: &Url) -> Result<(Url, Response)> {
        let response = self.navigate(url).await?;
        self.follow_from(url, response).await
    }

    /// Opens an address that needs a session, signs in at the provider, and returns the response of the address.
    ///
    /// # Errors
    /// Returns an error when the redirects do not lead to the provider's form and back.
    pub async fn sign_in(&mut self, url: &Url, account: &str) -> Result<(Url, Response)> {
        let (form, page) = self.follow(url).await?;
        self.sign_in_at(&form, &page, account).await
    }

    /// Fills in the provider's form and follows the redirects.
    ///
    /// # Errors
    /// Returns an error when this is not the provider's form.
    pub async fn sign_in_at(
        &mut self,
        form: &Url,
        page: &Response,
        account: &str,
    ) -> Result<(Url, Response)> {
        let back = self.submit_sign_in(form, page, account).await?;
        let callback = self.navigate(&back).await?;
        self.follow_from(&back, callback).await
    }

    /// Fills in the provider's form and returns the address of the proxy to which the provider redirects, without
    /// opening it.
    ///
    /// # Errors
    /// Returns an error when this is not the provider's form.
    pub async fn submit_sign_in(
        &mut self,
        form: &Url,
        page: &Response,
        account: &str,
    ) -> Result<Url> {
        ensure!(
            form.path().starts_with("/interaction/") && page.text().contains("name=\"login\""),
            "`{form}` is not the provider's form: {} {}",
            page.status,
            page.text()
        );
        let fields = [("prompt", "login"), ("login", account), ("password", "any")];
        let mut at = form.clone();
        let mut response = self.post_form(form, &fields).await?;
        for _ in 0..REDIRECTS {
            at = location(&at, &response)?.context("the provider redirects after its form")?;
            if at.scheme() == "https" {
                return Ok(at);
            }
            response = self.navigate(&at).await?;
        }
        bail!("more than {REDIRECTS} redirects at the provider")
    }

    /// Opens the provider's sign-out page, confirms there, and returns the provider's response: a redirect, or a page.
    ///
    /// # Errors
    /// Returns an error when this is not the provider's sign-out.
    pub async fn confirm_sign_out(&mut self, url: &Url) -> Result<Response> {
        let page = self.navigate(url).await?.expect(200)?;
        let form = page.form(url)?;
        let mut fields = form.borrowed();
        fields.push(("logout", "yes"));
        self.post_form(&form.action, &fields).await
    }

    /// Opens an address and follows redirects until one leads to an address with this beginning, which is returned
    /// without opening it.
    ///
    /// # Errors
    /// Returns an error when there is no such redirect.
    pub async fn way_to(&mut self, beginning: &str, url: &Url) -> Result<Url> {
        let mut at = url.clone();
        for _ in 0..REDIRECTS {
            let answer = self.navigate(&at).await?;
            at = location(&at, &answer)?.with_context(|| format!("`{at}` leads nowhere"))?;
            if at.as_str().starts_with(beginning) {
                return Ok(at);
            }
        }
        bail!("more than {REDIRECTS} redirects from `{url}`, the last to `{at}`")
    }

    /// Returns the `Cookie` header for an address.
    #[must_use]
    pub fn cookies(&self, url: &Url) -> Option<String> {
        let pairs: Vec<String> = self
            .jar
            .get_request_values(url)
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    /// Returns names and values of the cookies for an address.
    #[must_use]
    pub fn cookie_pairs(&self, url: &Url) -> Vec<(String, String)> {
        self.jar
            .get_request_values(url)
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// Removes all cookies.
    pub fn forget(&mut self) {
        self.jar.clear();
    }

    /// Stores the cookies of a response.
    pub fn keep_cookies(&mut self, url: &Url, response: &Response) {
        for value in response.headers.get_all(SET_COOKIE) {
            if let Ok(text) = value.to_str() {
                // Like a browser, it drops cookies that it cannot read.
                let _ = self.jar.parse(text, url);
            }
        }
    }

    async fn follow_from(&mut self, start: &Url, answer: Response) -> Result<(Url, Response)> {
        let (mut url, mut response) = (start.clone(), answer);
        for _ in 0..REDIRECTS {
            let Some(next) = location(&url, &response)? else {
                return Ok((url, response));
            };
            response = self.navigate(&next).await?;
            url = next;
        }
        bail!("more than {REDIRECTS} redirects from `{start}`, the last to `{url}`")
    }
}

/// Returns the headers of a top-level navigation.
#[must_use]
pub(crate) fn navigation() -> HeaderMap {
    let mut map = headers([
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
        ("sec-fetch-site", "none"),
    ]);
    map.insert(
        ACCEPT,
        HeaderValue::from_static("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    );
    map
}

fn headers<const N: usize>(pairs: [(&'static str, &'static str); N]) -> HeaderMap {
    pairs
        .into_iter()
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        })
        .collect()
}

impl Response {
    /// Returns the address to which this response of `from` leads: by a redirect, or by the page between an address and
    /// the provider.
    ///
    /// # Errors
    /// Returns an error when a redirect has no address.
    pub fn leads_to(&self, from: &Url) -> Result<Option<Url>> {
        location(from, self)
    }
}

/// Returns the address of a redirect, or of the page between an address and the provider, whose script continues by
/// itself.
fn location(from: &Url, response: &Response) -> Result<Option<Url>> {
    if let Some(next) = way_on(response) {
        return Ok(Some(from.join(&next)?));
    }
    if !response.status.is_redirection() {
        return Ok(None);
    }
    let location = response
        .headers
        .get(LOCATION)
        .context("a redirect has a location")?
        .to_str()?;
    Ok(Some(from.join(location)?))
}

/// Returns the link of the page that leads to a sign-in. Its script keeps the fragment in a cookie; the links of other pages
/// wait for a click.
fn way_on(response: &Response) -> Option<String> {
    let page = response.text();
    let (_, link) = page.split_once("id=\"continue\" href=\"")?;
    let (address, rest) = link.split_once('"')?;
    if !rest.starts_with(" data-cookie=") {
        return None;
    }
    Some(address.replace("&#38;", "&"))
}
