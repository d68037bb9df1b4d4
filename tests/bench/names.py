"""Names that the programs of the benchmark agree on."""

#: The public name of the route.
HOST = "bench.localhost"
#: The cookie in which Envoy's own filters find their token.
TOKEN_COOKIE = "_s"
#: The address that the identity provider states, and policies allow.
EMAIL = "alice@example.com"
#: The client at the identity provider.
CLIENT = "bench"
#: The length of a download and of an upload.
TRANSFER_BYTES = 1 << 20
