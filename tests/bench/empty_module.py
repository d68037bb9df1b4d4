"""A proxy-wasm module that does nothing: what Envoy spends on it is the least that any module costs there."""

_I32 = 0x7F
#: Types of functions, as numbers of parameters and of results, all `i32`.
_TYPES = [(0, 0), (1, 1), (2, 1), (3, 1), (2, 0)]
#: Exported functions: name, type and, of those with a result, the constant that they return.
_FUNCTIONS = [
    ("proxy_abi_version_0_2_1", (0, 0), None),
    # Envoy copies no bytes into this module, whose memory therefore needs no allocator.
    ("proxy_on_memory_allocate", (1, 1), 0),
    ("proxy_on_context_create", (2, 0), None),
    ("proxy_on_vm_start", (2, 1), 1),
    ("proxy_on_configure", (2, 1), 1),
    ("proxy_on_request_headers", (3, 1), 0),
    ("proxy_on_response_headers", (3, 1), 0),
]


def build() -> bytes:
    """Returns the module in the binary format of WebAssembly 1.0."""
    types = [bytes([0x60]) + _vector([bytes([_I32])] * taken) + _vector([bytes([_I32])] * given) for taken, given in _TYPES]
    functions = [bytes([_TYPES.index(shape)]) for _, shape, _ in _FUNCTIONS]
    exports = [_name(name) + bytes([0x00, place]) for place, (name, _, _) in enumerate(_FUNCTIONS)]
    memory = _name("memory") + bytes([0x02, 0x00])
    bodies = [_body(result) for _, _, result in _FUNCTIONS]
    sections = [(1, types), (3, functions), (5, [bytes([0x00, 0x01])]), (7, [*exports, memory]), (10, bodies)]
    return b"\0asm" + bytes([1, 0, 0, 0]) + b"".join(_section(number, items) for number, items in sections)


def _body(result: int | None) -> bytes:
    """A function without local variables that returns a constant, or nothing."""
    code = b"" if result is None else bytes([0x41]) + _leb(result)
    return _sized(bytes([0x00]) + code + bytes([0x0B]))


def _section(number: int, items: list[bytes]) -> bytes:
    return bytes([number]) + _sized(_vector(items))


def _vector(items: list[bytes]) -> bytes:
    return _leb(len(items)) + b"".join(items)


def _name(text: str) -> bytes:
    return _sized(text.encode())


def _sized(content: bytes) -> bytes:
    return _leb(len(content)) + content


def _leb(number: int) -> bytes:
    """An unsigned number in LEB128. Constants below 64 are the same as signed ones."""
    encoded = bytearray()
    while True:
        number, low = number >> 7, number & 0x7F
        encoded.append(low | (0x80 if number else 0))
        if not number:
            return bytes(encoded)
