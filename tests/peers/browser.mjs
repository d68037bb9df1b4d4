// Drives headless Chromium through one task. The environment variable ORDER holds the order as JSON:
// {chromium, profile, url, account or null, task: {kind: 'terminal', user, password} | {kind: 'refusal'}, screenshot, report}
// Writes its findings to the file `report`; ends with an error when it does not reach the end.
import { writeFileSync } from 'node:fs';
import { chromium } from 'playwright-core';

const order = JSON.parse(process.env.ORDER);
const STEP = 30_000; // milliseconds for one step on a busy machine

const browser = await chromium.launch({
  executablePath: order.chromium,
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
  env: { ...process.env, HOME: order.profile, ORDER: '' },
});
const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1280, height: 800 } });
context.setDefaultTimeout(STEP);
const page = await context.newPage();
page.on('console', (message) => console.log(`console ${message.type()}: ${message.text()}`));
page.on('requestfailed', (request) => console.log(`failed ${request.url().split('?')[0]}: ${request.failure()?.errorText}`));

async function signIn() {
  await page.goto(order.url, { waitUntil: 'domcontentloaded' });
  if (order.account === null) return;
  await page.fill('input[name=login]', order.account);
  await page.fill('input[name=password]', 'any');
  await page.click('button[type=submit]');
}

// The product of the command stands nowhere in what is typed: it can only come from the server.
async function terminal({ user, password }) {
  await page.fill('#login-user-input', user);
  await page.fill('#login-password-input', password);
  await page.click('#login-button');
  const frame = page.frameLocator('iframe[name="cockpit1:localhost/system/terminal"]');
  await frame.locator('.terminal').click();
  const factor = 100 + Math.floor(Math.random() * 900);
  await page.keyboard.type(`echo OK:$(id -un):$((${factor}*6))\n`);
  const row = frame.locator('.xterm-accessibility-tree > div', { hasText: new RegExp(`^\\s*OK:${user}:${factor * 6}\\s*$`) });
  await row.first().waitFor({ state: 'attached' });
  const cookies = await context.cookies(order.url);
  return { row: (await row.first().textContent()).trim(), cookies: cookies.map(({ value, ...rest }) => rest) };
}

async function refusal() {
  const { origin } = new URL(order.url);
  let status;
  page.on('response', (response) => {
    if (response.request().isNavigationRequest() && response.url().startsWith(origin)) status = response.status();
  });
  await signIn();
  const signOut = page.getByRole('button', { name: /sign out/i });
  await signOut.waitFor();
  const findings = { status, text: await page.locator('body').innerText() };
  await page.screenshot({ path: order.screenshot });
  await signOut.click();
  await page.click('button[value=yes]'); // the provider asks, too
  await page.waitForURL((url) => url.origin === origin);
  findings.signedOut = await page.locator('body').innerText();
  await page.goto(order.url, { waitUntil: 'domcontentloaded' });
  await page.waitForSelector('input[name=login]'); // both sessions are over: the provider wants a name again
  return findings;
}

const tasks = {
  terminal: async () => {
    await signIn();
    const findings = await terminal(order.task);
    await page.screenshot({ path: order.screenshot });
    return findings;
  },
  refusal,
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
