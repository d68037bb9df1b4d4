// The OpenID provider of the tests: panva's certified oidc-provider on loopback, with a control plane for the tests.
//
// Environment:
//   PORT           port on 127.0.0.1; the issuer is http://127.0.0.1:PORT
//   CLIENT_SECRET  of every client that has one
//   ORIGINS        JSON array of the proxy's public origins; the first gets the back-channel logouts
//   AUTHORITY      file with the certificate authority of those origins
//   SETTINGS       JSON object over the defaults below; `in_id_token` can be set only here
//
// Clients: jetway (client_secret_basic), jetway-post, jetway-public (no secret), jetway-jwt (private_key_jwt, with the
// keys given to /control/client_keys), jetway-es256 and jetway-eddsa (ID tokens signed so), and other, which is not ours.
//
// Control plane:
//   GET  /control/requests      every request since the start: [{method, path}], without those to the control plane
//   GET  /control/events        the events that they caused: [{event, ...}]
//   POST /control/faults        replaces the faults: [{path, method?, status?, type?, delay_ms?, reset?, body?, count?}]
//   POST /control/settings      changes some: the object below
//   POST /control/users         changes or adds users by their address: {address: claims}; null takes the user away
//   POST /control/client_keys   the public keys of jetway-jwt: {keys: [...]}
//   POST /control/end_sessions  ends the sessions of {account}; `tell`: "sid", "sub" or null says by what name the
//                               clients learn of it; answers with how many sessions that were
import { createHash, generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { Provider } from 'oidc-provider';

const PORT = Number(process.env.PORT);
const ISSUER = `http://127.0.0.1:${PORT}`;
const ORIGINS = JSON.parse(process.env.ORIGINS);
const AUTHORITY = readFileSync(process.env.AUTHORITY);

const settings = {
  access_token: 300, // lifetimes in seconds
  id_token: 300,
  refresh_token: 3600,
  session: 3600,
  refreshable: true, // whether refresh tokens are given out
  rotate: true, // whether a refresh token is good for one use
  frontchannel: false, // whether the sign-out's last page tells the proxy's origins in frames
  in_id_token: true, // claims stand in the ID token too, as Google, Keycloak and Dex do it
  ...JSON.parse(process.env.SETTINGS),
};

const users = {
  'alice@example.com': {
    email_verified: true,
    name: 'Alice',
    groups: ['admins', 'staff'],
    department: 'engineering',
    realm_access: { roles: ['editor', 'auditor'] },
    Level: 5,
  },
  'bob@example.com': { email_verified: true, name: 'Bob', groups: ['staff'], department: 'sales' },
  'mallory@example.com': { email_verified: true, name: 'Mallory', groups: ['guests'] },
  'carol@example.com': { email_verified: false, name: 'Carol', groups: ['staff'] }, // an address that was not verified
  'dora@example.com': {
    email_verified: true,
    name: 'Dora',
    groups: [...Array.from({ length: 399 }, (_, number) => `a-group-with-a-rather-long-name-${number}`), 'staff'],
  },
};
const profile = ['name', 'groups', 'department', 'realm_access', 'Level'];

function signingKey(alg, type, options) {
  const jwk = generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' });
  const kid = createHash('sha256').update(jwk.n ?? jwk.x).digest('base64url').slice(0, 12);
  return { ...jwk, alg, kid, use: 'sig' };
}

function client(id, more = {}) {
  return {
    client_id: id,
    client_secret: process.env.CLIENT_SECRET,
    redirect_uris: ORIGINS.flatMap((origin) => [`${origin}/.pomerium/callback`, `${origin}/oauth2/callback`]),
    post_logout_redirect_uris: ORIGINS.map((origin) => `${origin}/.pomerium/signed_out`),
    backchannel_logout_uri: `${ORIGINS[0]}/.pomerium/backchannel_logout`,
    backchannel_logout_session_required: true,
    token_endpoint_auth_method: 'client_secret_basic',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    ...more,
  };
}

const withoutSecret = { client_secret: undefined };
const requests = [];
const events = [];
const sessions = new Map(); // by their uid: the account that is signed in
let clientKeys = { keys: [] };
let faults = [];

// oidc-provider does not call loopback addresses, which is right for it; and Node.js does not know every *.localhost.
async function fetchOnLoopback(address, options) {
  delete options.dispatcher;
  const url = new URL(address);
  if (!url.hostname.endsWith('.localhost')) return globalThis.fetch(address, options);
  return new Promise((resolve, reject) => {
    const { method, headers, signal } = options;
    const lookup = (_name, wish, done) => (wish.all
      ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4));
    const outgoing = httpsRequest(url, { method, headers: Object.fromEntries(headers), signal, ca: AUTHORITY, lookup });
    outgoing.on('error', reject);
    outgoing.on('response', (incoming) => {
      const chunks = [];
      incoming.on('error', reject);
      incoming.on('data', (chunk) => chunks.push(chunk));
      incoming.on('end', () => {
        const status = incoming.statusCode;
        resolve(new Response(status === 204 ? null : Buffer.concat(chunks), { status }));
      });
    });
    outgoing.end(String(options.body ?? ''));
  });
}

const provider = new Provider(ISSUER, {
  clients: [
    client('jetway'),
    client('jetway-post', { token_endpoint_auth_method: 'client_secret_post' }),
    client('jetway-public', { token_endpoint_auth_method: 'none', ...withoutSecret }),
    client('jetway-jwt', {
      token_endpoint_auth_method: 'private_key_jwt', jwks_uri: `${ISSUER}/control/client_keys`, ...withoutSecret,
    }),
    client('jetway-es256', { id_token_signed_response_alg: 'ES256' }),
    client('jetway-eddsa', { id_token_signed_response_alg: 'EdDSA' }),
    client('other', { backchannel_logout_uri: undefined, backchannel_logout_session_required: undefined }),
  ],
  jwks: {
    keys: [
      signingKey('RS256', 'rsa', { modulusLength: 2048 }),
      signingKey('ES256', 'ec', { namedCurve: 'P-256' }),
      signingKey('EdDSA', 'ed25519', {}),
    ],
  },
  cookies: { keys: ['only-for-tests'] },
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile },
  scopes: ['openid', 'offline_access', 'email', 'profile'],
  conformIdTokenClaims: !settings.in_id_token,
  pkce: { required: () => true },
  enabledJWA: { idTokenSigningAlgValues: ['RS256', 'ES256', 'EdDSA'] },
  ttl: {
    AccessToken: () => settings.access_token,
    AuthorizationCode: 60,
    Grant: 3600,
    IdToken: () => settings.id_token,
    Interaction: 600,
    RefreshToken: () => settings.refresh_token,
    Session: () => settings.session,
  },
  issueRefreshToken: async () => settings.refreshable,
  rotateRefreshToken: () => settings.rotate,
  features: {
    backchannelLogout: { enabled: true },
    devInteractions: { enabled: true },
    revocation: { enabled: true },
    rpInitiatedLogout: { enabled: true },
  },
  fetch: fetchOnLoopback,
  async findAccount(_context, id) {
    const claims = users[id];
    return claims && { accountId: id, claims: async () => ({ sub: id, email: id, ...claims }) };
  },
  // No consent page: all requested scopes are granted.
  async loadExistingGrant(context) {
    const { client: asking, session, params } = context.oidc;
    const known = session.grantIdFor(asking.clientId);
    const grant = (known && await provider.Grant.find(known))
      || new provider.Grant({ clientId: asking.clientId, accountId: session.accountId });
    grant.addOIDCScope(params.scope);
    await grant.save();
    return grant;
  },
});

const record = (event, more) => events.push({ event, ...more });
provider.on('authorization.success', ({ oidc: { session } }) => { sessions.set(session.uid, session.accountId); });
provider.on('grant.success', ({ oidc }) => record('grant', { client: oidc.client.clientId, type: oidc.params.grant_type }));
provider.on('grant.error', (context, error) => {
  record('grant refused', { type: context.oidc?.params?.grant_type, error: error.error, why: error.error_detail ?? error.error_description });
  console.error('grant refused:', error.message, error.error_description ?? '', error.error_detail ?? '');
});
provider.on('grant.revoked', (_context, grant) => record('grant revoked', { grant }));
provider.on('end_session.success', () => record('signed out'));
const told = (who, account, sid) => record('told', { client: who.clientId, account, sid });
const notTold = (error, who, account, sid) => {
  record('not told', { client: who.clientId, account, sid, error: error.message });
  console.error('back-channel logout:', error.message, error.cause?.message ?? '');
};
provider.on('backchannel.success', (_context, who, account, sid) => told(who, account, sid));
provider.on('backchannel.error', (_context, error, who, account, sid) => notTold(error, who, account, sid));
provider.on('server_error', (_context, error) => console.error(error));

async function bodyOf(context) {
  let text = '';
  for await (const chunk of context.req) text += chunk;
  return JSON.parse(text);
}

// A logout token names the session or, for a client that does not require that, the user.
async function tell(who, account, sid, by) {
  const asks = who.backchannelLogoutSessionRequired;
  try {
    who.backchannelLogoutSessionRequired = by === 'sid';
    await who.backchannelLogout(account, sid);
    told(who, account, by === 'sid' ? sid : undefined);
  } catch (error) {
    notTold(error, who, account, sid);
  } finally {
    who.backchannelLogoutSessionRequired = asks;
  }
}

// Ends a user's sessions, as an administrator does.
async function endSessions(account, by) {
  let ended = 0;
  for (const [uid, signedIn] of sessions) {
    if (signedIn !== account) continue;
    sessions.delete(uid);
    const session = await provider.Session.findByUid(uid);
    if (!session) continue;
    ended += 1;
    for (const [clientId, { grantId, sid }] of Object.entries(session.authorizations ?? {})) {
      await provider.AccessToken.revokeByGrantId(grantId);
      await provider.RefreshToken.revokeByGrantId(grantId);
      await provider.Grant.adapter.destroy(grantId);
      const who = await provider.Client.find(clientId);
      if (by && who.backchannelLogoutUri) await tell(who, account, sid, by);
    }
    await session.destroy();
  }
  return ended;
}

const controls = {
  'GET requests': () => requests,
  'GET events': () => events,
  'GET client_keys': () => clientKeys,
  'POST faults': (body) => { faults = body; return faults; },
  'POST settings': (body) => Object.assign(settings, body),
  'POST users': (body) => {
    for (const [address, claims] of Object.entries(body)) {
      if (claims === null) delete users[address];
      else users[address] = { ...users[address], ...claims };
    }
    return users;
  },
  'POST client_keys': (body) => { clientKeys = body; return clientKeys; },
  'POST end_sessions': async ({ account, tell: by }) => ({ ended: await endSessions(account, by) }),
};

async function control(context) {
  const perform = controls[`${context.method} ${context.path.slice('/control/'.length)}`];
  if (perform) context.body = await perform(context.method === 'POST' ? await bodyOf(context) : undefined);
  else context.status = 404;
}

function takeFault({ path, method }) {
  const fits = (fault) => fault.path === path && (fault.method ?? method) === method && fault.count !== 0;
  const fault = faults.find(fits);
  if (fault?.count !== undefined) fault.count -= 1;
  return fault;
}

// OpenID Connect Front-Channel Logout 1.0: the page after the sign-out shows a frame for each client's origin.
async function tellInFrames(context, next) {
  const { authorizations = {} } = await provider.Session.get(context);
  await next();
  if (context.status !== 303) return;
  const frames = Object.values(authorizations).flatMap(({ sid }) => ORIGINS.map((origin) => {
    const query = new URLSearchParams({ iss: ISSUER, sid });
    return `<iframe src="${origin}/.pomerium/frontchannel_logout?${query}"></iframe>`;
  }));
  const on = context.response.get('location');
  context.status = 200;
  context.remove('location');
  context.type = 'html';
  context.body = `<!DOCTYPE html><title>Signed out</title>${frames.join('')}<a href="${on}">Continue</a>`;
}

provider.use(async (context, next) => {
  if (context.path.startsWith('/control/')) return control(context);
  requests.push({ method: context.method, path: context.path });
  const fault = takeFault(context);
  if (fault?.delay_ms) await new Promise((resolve) => { setTimeout(resolve, fault.delay_ms); });
  if (fault?.reset) {
    context.respond = false;
    context.req.socket.destroy();
    return undefined;
  }
  if (fault?.status) {
    context.status = fault.status;
    context.set('content-type', fault.type ?? 'application/json');
    context.body = fault.body ?? '{"error":"temporarily_unavailable"}';
    return undefined;
  }
  return settings.frontchannel && context.path === '/session/end/confirm' ? tellInFrames(context, next) : next();
});

provider.listen(PORT, '127.0.0.1', () => console.log(`READY ${ISSUER}`));
