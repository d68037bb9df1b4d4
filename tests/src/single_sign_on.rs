//! Single sign-on to Cockpit through the proxy, with an HTTP client and with a browser.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use url::Url;

use crate::{ALICE, BOB, Browser, BrowserRun, COCKPIT, Response, Route, Scene, Task, UserAgent};

/// The request by which Cockpit's login page sends a token.
pub const DUMMY: &str = "Bearer sso";

/// A user who signs on to Cockpit, and the expected result.
#[derive(Clone, Copy, Debug)]
pub struct Person<'a> {
    /// The account at the provider.
    pub account: &'a str,
    /// Unix user.
    pub user: &'a str,
    /// Cockpit's word for the rights of the session.
    pub access: &'a str,
}

impl Route {
    /// Returns the users of a Cockpit where alice and bob have these Unix users and mallory has none; alice is an
    /// administrator.
    #[must_use]
    pub fn to_cockpit(to: &str, alice: &str, bob: &str) -> Self {
        let cockpit = format!(
            "cockpit:\n  users: {{{ALICE}: {alice}, {BOB}: {bob}}}\n  administrators:\n    - allow: {{or: [groups: {{has: admins}}]}}"
        );
        Self::new(COCKPIT, to)
            .policy("- allow: {or: [domain: example.com]}")
            .key(&cockpit)
    }
}

impl UserAgent {
    /// Signs in at the provider and then at Cockpit, as its login page does. Returns Cockpit's response to the login.
    ///
    /// # Errors
    /// Returns an error when one of them refuses.
    pub async fn sign_on_to_cockpit(&mut self, base: &Url, account: &str) -> Result<Response> {
        let (_, page) = self.sign_in(base, account).await?;
        let page = page.expect(200)?.text();
        ensure!(
            page.contains("/.pomerium/cockpit/token"),
            "Cockpit's login page knows where to get a token: {page}"
        );
        let address = base.join("/system/terminal?a=b")?;
        let mut token = base.join("/.pomerium/cockpit/token")?;
        token
            .query_pairs_mut()
            .append_pair("redirect_uri", address.as_str());
        let back = self.navigate(&token).await?.expect(303)?;
        ensure!(
            back.header("location") == Some("/system/terminal#access_token=sso"),
            "{back:?}"
        );
        let login = self
            .try_to_log_in_to_cockpit(base, DUMMY)
            .await?
            .expect(200)?;
        ensure!(login.json()?["csrf-token"].is_string(), "{}", login.text());
        Ok(login)
    }

    /// Returns the Unix user of commands in a user's Cockpit session.
    ///
    /// # Errors
    /// Returns an error when there is no session.
    pub async fn user_in_cockpit(&mut self, base: &Url) -> Result<String> {
        let output = self.run_in_cockpit(base, "id -un").await?;
        Ok(output.trim_end().to_owned())
    }
}

impl Person<'_> {
    /// Uses Cockpit's terminal, opens a link with a fragment, logs out by Cockpit's button and in again, all without a
    /// password, and signs out.
    ///
    /// # Errors
    /// Returns an error that describes the difference from the expected result.
    pub async fn signs_on_once(
        &self,
        scene: &Scene,
        base: &Url,
        browser: Browser,
        name: &str,
    ) -> Result<()> {
        let url = base.join("/system/terminal")?;
        let report = browser
            .perform(
                scene,
                BrowserRun {
                    url: &url,
                    account: Some(self.account),
                    task: Task::SingleSignOn(self.user),
                    name,
                },
            )
            .await?;
        let told = |key: &str| report[key].as_str().unwrap_or_default().to_owned();
        ensure!(
            told("row").starts_with(&format!("OK:{}:", self.user)),
            "{report}"
        );
        assert_eq!(
            report["logins"], 1,
            "exactly one login leads there: {report}"
        );
        ensure!(told("badge").contains(self.access), "{report}");
        ensure!(told("loggedOut").contains("Login again"), "{report}");
        assert_eq!(report["loginsAgain"], 2, "one after the question: {report}");
        let link = base.join("/system/services#/?type=timer")?;
        assert_eq!(told("deepLink"), link.as_str());
        assert_eq!(report["loginsByLink"], 3, "one more for the link: {report}");
        assert_eq!(
            report["passwordForm"], false,
            "no password is needed: {report}"
        );
        // The values that the browser sends and stores are useless elsewhere.
        assert_eq!(
            report["sent"],
            serde_json::json!(["Bearer sso"]),
            "{report}"
        );
        let cookies = report["cookies"].as_array().context("the cookies")?;
        let cockpit = |cookie: &&Value| cookie["name"] == "cockpit";
        let cookie = cookies.iter().find(cockpit).context("Cockpit's cookie")?;
        assert_eq!(
            (&cookie["secure"], &cookie["httpOnly"]),
            (&true.into(), &true.into()),
            "{cookie}"
        );
        Ok(())
    }

    /// Logs out of Cockpit by its button and in again, and signs out at the question in between.
    ///
    /// # Errors
    /// Returns an error that describes the difference from the expected result.
    pub async fn logs_in_again(
        &self,
        scene: &Scene,
        base: &Url,
        browser: Browser,
        name: &str,
    ) -> Result<()> {
        let run = BrowserRun {
            url: &base.join("/system/terminal")?,
            account: Some(self.account),
            task: Task::LogInAgain,
            name,
        };
        let report = browser.perform(scene, run).await?;
        let told = |key: &str| report[key].as_str().unwrap_or_default();
        ensure!(told("loggedOut").contains("Logout successful"), "{report}");
        for words in [
            "You are still signed in",
            self.account,
            "Continue to Cockpit",
        ] {
            ensure!(told("question").contains(words), "{words}: {report}");
        }
        let link = base.join("/system/services#/?type=timer")?;
        assert_eq!(told("again"), link.as_str(), "with its fragment: {report}");
        let plain = base.join("/system/services")?;
        assert_eq!(told("byLink"), plain.as_str(), "without a token: {report}");
        ensure!(told("signedOut").contains("You are signed out"), "{report}");
        Ok(())
    }
}
