// Drives a headless browser through one task. The environment variable ORDER holds the order as JSON:
// {browser: 'chrome' | 'firefox', executable, profile, url, account or null,
//  task: {kind: 'terminal', user, password} | {kind: 'singleSignOn', user} | {kind: 'logInAgain'} | {kind: 'disconnection', signOut}
//  | {kind: 'refusal'} | {kind: 'pages', pages, folder}, screenshot, report}
// Writes its findings to the file `report`; ends with an error when it does not reach the end.
import { writeFileSync } from 'node:fs';
import puppeteer from 'puppeteer-core';

const order = JSON.parse(process.env.ORDER);
const STEP = 30_000; // milliseconds for one step on a busy machine

const browser = await puppeteer.launch({
  browser: order.browser,
  protocol: 'webDriverBiDi',
  ...(order.browser === 'chrome' && { protocol: 'cdp', args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'] }),
  executablePath: order.executable,
  userDataDir: order.profile,
  acceptInsecureCerts: true,
  defaultViewport: { width: 1280, height: 800 },
  env: { ...process.env, HOME: order.profile, ORDER: '' },
});
const page = await browser.newPage();
page.setDefaultTimeout(STEP);
page.on('console', (message) => console.log(`console ${message.type()}: ${message.text()}`));
// A focused terminal asks for confirmation before its page is closed.
page.on('dialog', (dialog) => dialog.accept());
page.on('requestfailed', (request) => console.log(`failed ${request.url().split('?')[0]}: ${request.failure()?.errorText}`));

const open = () => page.goto(order.url, { waitUntil: 'domcontentloaded' });
const fill = (selector, text) => page.locator(selector).fill(text);
const click = (selector) => page.locator(selector).click();
const text = () => page.$eval('body', (body) => body.innerText);

async function signIn() {
  await open();
  if (order.account === null) return;
  await fill('input[name=login]', order.account);
  await fill('input[name=password]', 'any');
  await click('button[type=submit]');
}

async function terminal({ user, password }) {
  await fill('#login-user-input', user);
  await fill('#login-password-input', password);
  await click('#login-button');
  return { row: await run(user), cookies: await cookies() };
}

const cookies = async () => (await browser.cookies())
  .filter(({ domain }) => domain === new URL(order.url).hostname).map(({ value, ...rest }) => rest);

// The output of the command is not part of the typed command: it can only come from the server.
async function run(user) {
  const iframe = await page.waitForSelector('iframe[name="cockpit1:localhost/system/terminal"]');
  const frame = await iframe.contentFrame();
  const factor = 100 + Math.floor(Math.random() * 900);
  const expected = `OK:${user}:${factor * 6}`;
  const shown = (wanted, timeout) => frame.waitForFunction((text) => [...document.querySelectorAll('.xterm-accessibility-tree > div')]
    .some((row) => row.textContent.trim().endsWith(text)), { timeout, polling: 100 }, wanted);
  // The shell's prompt. It was seen on the screen and yet not in the rows for screen readers, which are what can be read
  // here: then the answer to what is typed has to tell.
  await shown('$', STEP / 3).catch(() => {});
  // Input while Cockpit still arranges its page may be lost, as it would be for a user, who types it again.
  for (let tries = 3; ; tries -= 1) {
    await frame.locator('.terminal').click();
    await page.keyboard.type(`echo OK:$(id -un):$((${factor}*6))`);
    await page.keyboard.press('Enter');
    try {
      await shown(expected, STEP / 3);
      break;
    } catch (error) {
      if (tries === 1) throw error;
    }
  }
  return expected;
}

async function singleSignOn({ user }) {
  const findings = { passwordForm: false };
  const said = 'the password form is visible';
  page.on('console', (message) => { findings.passwordForm ||= message.text() === said; });
  await page.evaluateOnNewDocument((words) => setInterval(() => {
    if (document.getElementById('login-user-input')?.offsetParent) console.log(words);
  }, 20), said);
  let logins = 0;
  const sent = new Set();
  page.on('response', (response) => {
    if (new URL(response.url()).pathname !== '/cockpit/login') return;
    logins += 1;
    sent.add(response.request().headers().authorization ?? null);
  });
  const shell = () => page.waitForSelector('#toggle-menu');

  await signIn();
  findings.row = await run(user);
  findings.logins = logins;
  const access = /Administrative access|Limited access/;
  await page.waitForFunction((pattern) => new RegExp(pattern).test(document.getElementById('super-user-indicator')?.innerText), {}, access.source);
  findings.badge = await page.$eval('#super-user-indicator', (badge) => badge.innerText);
  await page.screenshot({ path: order.screenshot });

  findings.loggedOut = await logOut();
  await loginAgain();
  await click('#continue');
  await shell();
  findings.loginsAgain = logins;

  // A link into Cockpit, for a user who is signed in at the proxy only.
  await browser.deleteCookie(...(await browser.cookies()).filter(({ name }) => name === 'cockpit'));
  await openLink();
  findings.deepLink = await address();
  return { ...findings, loginsByLink: logins, sent: [...sent], cookies: await cookies() };
}

const address = () => page.evaluate(() => window.location.href);
const LINK = '/system/services#/?type=timer';

// Waits for the page of LINK, at that address.
const atLink = () => page.waitForFunction((wanted, path) => window.location.href === wanted
  && document.querySelector(`iframe[name="cockpit1:localhost${path}"]`), {}, new URL(LINK, order.url).href, LINK.split('#')[0]);

// Opens LINK. Not by `goto`, which would wait for the login page to load as a whole before that goes on by itself.
async function openLink() {
  await page.evaluate((target) => { window.location.href = target; }, LINK);
  await atLink();
}

// Logs out of Cockpit and in again, in three ways: back to the same page, by the link alone, and not at all.
async function logInAgain() {
  await signIn();
  await page.waitForSelector('#toggle-menu');
  await openLink();
  const findings = { loggedOut: await logOut(), question: await loginAgain() };
  await page.screenshot({ path: order.screenshot });
  await click('#continue');
  await atLink();
  await page.waitForSelector('#toggle-menu');
  findings.again = await address();

  // After a first time the page does not go back: the link leads on, and no token stays in the address.
  await logOut();
  const token = await page.$eval('#login-again', ({ href }) => href);
  await loginAgain();
  await page.evaluate(() => sessionStorage.setItem('jetway-went-back', '1'));
  await click('#continue');
  await page.waitForFunction((path) => window.location.pathname === path
    && document.querySelector(`iframe[name="cockpit1:localhost${path}"]`), {}, LINK.split('#')[0]);
  await page.waitForSelector('#toggle-menu');
  findings.byLink = await address();

  await logOut();
  await loginAgain();
  await click(SIGN_OUT);
  await click('button[value=yes]'); // the provider asks, too
  await page.waitForFunction((wanted) => window.location.origin === wanted, {}, new URL(order.url).origin);
  findings.signedOut = await text();
  await page.evaluate((target) => { window.location.href = target; }, token);
  await page.waitForSelector('input[name=login]'); // nothing leads back without the provider
  return findings;
}

// The button of a refusal, which signs out at the proxy and at the provider.
const OTHER_ACCOUNT = '::-p-aria([name="Use another account"][role="button"])';
const SIGN_OUT = '::-p-aria([name="Sign out"][role="button"])';

// Logs out by Cockpit's menu, and returns what its page says.
async function logOut() {
  await click('#toggle-menu');
  await click('#logout');
  await page.waitForSelector('#login-again', { visible: true });
  return text();
}

// Clicks on Cockpit's "Login again", and returns what the proxy's page says.
async function loginAgain() {
  await click('#login-again');
  await page.waitForSelector(SIGN_OUT);
  return text();
}

// Waits until Cockpit's page is disconnected, after a sign-out or at the end of the session, and connects again.
async function disconnection({ signOut }) {
  await signIn();
  await page.waitForSelector('iframe[name^="cockpit1:localhost/"]');
  await page.waitForSelector('#toggle-menu');
  if (signOut) {
    await page.evaluate(() => fetch('/.pomerium/sign_out', { method: 'POST', redirect: 'manual' }));
  }
  const reconnect = await page.waitForFunction(() => [...document.querySelectorAll('button')]
    .find((one) => one.offsetParent && one.textContent.trim() === 'Reconnect'), { timeout: 75_000 });
  const findings = { text: await text() };
  await page.screenshot({ path: order.screenshot });
  await reconnect.click();
  await page.waitForFunction((origin) => document.querySelector('#toggle-menu') || window.location.origin !== origin, {}, new URL(order.url).origin);
  return findings;
}

async function refusal() {
  const { origin } = new URL(order.url);
  let status;
  page.on('response', (response) => {
    if (response.request().isNavigationRequest() && response.url().startsWith(origin)) status = response.status();
  });
  await signIn();
  await page.waitForSelector(OTHER_ACCOUNT);
  const findings = { status, text: await text() };
  await page.screenshot({ path: order.screenshot });
  await click(OTHER_ACCOUNT);
  await click('button[value=yes]'); // the provider asks, too
  await page.waitForFunction((wanted) => window.location.origin === wanted, {}, origin);
  findings.signedOut = await text();
  await open();
  await page.waitForSelector('input[name=login]'); // both sessions are over: the provider wants a name again
  return findings;
}

// Checks one page in one size and one colour scheme, for users with a mouse, a keyboard or a screen reader.
async function inspect({ name, path }, scheme, size, folder) {
  const { origin } = new URL(order.url);
  const errors = [];
  const elsewhere = [];
  const onConsole = (message) => {
    // The page's own status is no error of the page.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) errors.push(message.text());
  };
  const onRequest = (request) => {
    if (request.url() !== new URL(path, origin).href && !request.url().startsWith('data:')) elsewhere.push(request.url());
  };
  // A change from desk to phone loads the page again that is there: it is not looked at.
  await page.setViewport(size);
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
  page.on('console', onConsole);
  page.on('request', onRequest);
  const response = await page.goto(new URL(path, origin).href, { waitUntil: 'networkidle0' });
  const found = await page.evaluate(() => ({
    text: document.body.innerText,
    title: document.title,
    language: document.documentElement.lang,
    headings: [...document.querySelectorAll('h1,h2,h3')].map(({ tagName }) => tagName),
    landmarks: document.querySelectorAll('main').length,
    tooWide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    paper: getComputedStyle(document.body).backgroundColor,
    pictures: [...document.images].map(({ complete, naturalWidth }) => complete && naturalWidth > 0),
    controls: [...document.querySelectorAll('a,button,summary')].map((one) => one.textContent),
  }));
  await page.screenshot({ path: `${folder}/${name}-${scheme}-${size.width}.png`, fullPage: true });
  const reached = [];
  for (let i = 0; i < found.controls.length; i += 1) {
    await page.keyboard.press('Tab');
    reached.push(await page.evaluate(() => {
      const { activeElement } = document;
      return getComputedStyle(activeElement).outlineStyle === 'none' ? 'without an outline' : activeElement.textContent;
    }));
  }
  page.off('console', onConsole);
  page.off('request', onRequest);
  return { name, scheme, width: size.width, status: response.status(), errors, elsewhere, reached, ...found };
}

async function pages({ pages: all, folder }) {
  const sizes = [{ width: 390, height: 844, isMobile: true, hasTouch: true }, { width: 1280, height: 800 }];
  const findings = [];
  const inspectAll = async (signedIn) => {
    for (const one of all.filter((other) => other.signedIn === signedIn)) {
      for (const scheme of ['light', 'dark']) {
        for (const size of sizes) findings.push(await inspect(one, scheme, size, folder));
      }
    }
  };
  await inspectAll(false);
  await signIn();
  await page.waitForSelector('main');
  await inspectAll(true);
  return findings;
}

const tasks = {
  terminal: async () => {
    await signIn();
    // Cockpit's login reloads its page. Firefox counts a reload as coming from where the page came from, which is the
    // provider's site, and keeps the SameSite=Strict cookie to itself: the login page again. A typed address has no origin.
    if (order.account !== null && order.browser === 'firefox') {
      await page.waitForSelector('#login-user-input');
      await open();
    }
    const findings = await terminal(order.task);
    await page.screenshot({ path: order.screenshot });
    return findings;
  },
  singleSignOn: () => singleSignOn(order.task),
  logInAgain,
  disconnection: () => disconnection(order.task),
  refusal,
  pages: () => pages(order.task),
};

try {
  writeFileSync(order.report, JSON.stringify(await tasks[order.task.kind]()));
} catch (error) {
  await page.screenshot({ path: order.screenshot }).catch(() => {});
  console.error(`at ${page.url().split('?')[0]}: ${error.message}`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
