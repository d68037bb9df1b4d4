// Verifies a signed assertion with panva's jose, which shares no code with Jetway. The environment variable ORDER holds the
// order as JSON: {token, jwks, issuer, audience}. Prints {header, payload}; ends with an error when the token is invalid.
import { createLocalJWKSet, jwtVerify } from 'jose';

const { token, jwks, issuer, audience } = JSON.parse(process.env.ORDER);
const { protectedHeader, payload } = await jwtVerify(token, createLocalJWKSet(jwks), {
  issuer,
  audience,
  algorithms: ['ES256'],
  typ: 'JWT',
  requiredClaims: ['iss', 'aud', 'iat', 'exp', 'jti', 'sub'],
  maxTokenAge: '1m',
});
process.stdout.write(JSON.stringify({ header: protectedHeader, payload }));
