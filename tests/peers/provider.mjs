// The OpenID provider of the tests: panva's certified oidc-provider on loopback, with a control plane for the tests.
//
// Environment:
//   PORT           port on 127.0.0.1; the issuer is http://127.0.0.1:PORT
//   CLIENT_ID, CLIENT_SECRET
//   REDIRECT_URIS, POST_LOGOUT_REDIRECT_URIS  JSON arrays
//
// Control plane:
//   GET  /control/requests  every request since the start: [{method, path}], without those to the control plane
//   POST /control/faults    replaces the faults: [{path, status?, delay_ms?, reset?, body?, count?}]
import { createHash, generateKeyPairSync } from 'node:crypto';
import { Provider } from 'oidc-provider';

const PORT = Number(process.env.PORT);
const ISSUER = `http://127.0.0.1:${PORT}`;

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
  'carol@example.com': { email_verified: false, name: 'Carol', groups: ['staff'] }, // anybody could have typed this address
};
const profile = ['name', 'groups', 'department', 'realm_access', 'Level'];

function signingKey(alg, type, options) {
  const jwk = generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' });
  const kid = createHash('sha256').update(jwk.n ?? jwk.x).digest('base64url').slice(0, 12);
  return { ...jwk, alg, kid, use: 'sig' };
}

const requests = [];
let faults = [];

const provider = new Provider(ISSUER, {
  clients: [{
    client_id: process.env.CLIENT_ID,
    client_secret: process.env.CLIENT_SECRET,
    redirect_uris: JSON.parse(process.env.REDIRECT_URIS),
    post_logout_redirect_uris: JSON.parse(process.env.POST_LOGOUT_REDIRECT_URIS),
    token_endpoint_auth_method: 'client_secret_basic',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
  }],
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
  conformIdTokenClaims: false, // claims stand in the ID token too, as Google, Keycloak and Dex do it
  pkce: { required: () => true },
  ttl: { AccessToken: 300, AuthorizationCode: 60, Grant: 3600, IdToken: 300, Interaction: 600, RefreshToken: 3600, Session: 3600 },
  features: { devInteractions: { enabled: true }, revocation: { enabled: true }, rpInitiatedLogout: { enabled: true } },
  async findAccount(_context, id) {
    const claims = users[id];
    return claims && { accountId: id, claims: async () => ({ sub: id, email: id, ...claims }) };
  },
  // No consent page: what is asked for is granted.
  async loadExistingGrant(context) {
    const { client, session, params } = context.oidc;
    const known = session.grantIdFor(client.clientId);
    const grant = (known && await provider.Grant.find(known))
      || new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope(params.scope);
    await grant.save();
    return grant;
  },
});

async function bodyOf(context) {
  let text = '';
  for await (const chunk of context.req) text += chunk;
  return text;
}

async function control(context) {
  if (context.path === '/control/requests') {
    context.body = requests;
  } else if (context.path === '/control/faults') {
    faults = JSON.parse(await bodyOf(context));
    context.body = faults;
  } else {
    context.status = 404;
  }
}

function takeFault(path) {
  const fault = faults.find((candidate) => candidate.path === path && candidate.count !== 0);
  if (fault?.count !== undefined) fault.count -= 1;
  return fault;
}

provider.use(async (context, next) => {
  if (context.path.startsWith('/control/')) return control(context);
  requests.push({ method: context.method, path: context.path });
  const fault = takeFault(context.path);
  if (fault?.delay_ms) await new Promise((resolve) => { setTimeout(resolve, fault.delay_ms); });
  if (fault?.reset) {
    context.respond = false;
    context.req.socket.destroy();
    return undefined;
  }
  if (fault?.status) {
    context.status = fault.status;
    context.set('content-type', 'application/json');
    context.body = fault.body ?? '{"error":"temporarily_unavailable"}';
    return undefined;
  }
  return next();
});

provider.on('server_error', (_context, error) => console.error(error));
provider.on('grant.error', (_context, error) => console.error('grant refused:', error.message, error.error_description ?? ''));
provider.listen(PORT, '127.0.0.1', () => console.log(`READY ${ISSUER}`));
