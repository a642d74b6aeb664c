"""PKCS#11 as Python calls: the function list of one module, by ctypes.

ctypes lets other threads run during every call, initialises with operating-system locking, packs every attribute, and
costs 2 ms to import. Handles are integers; what goes wrong is a CryptokiError with the answer's CKR name. Nothing here
knows what kvstack uses keys for. Layout: CK_ULONG is `unsigned long`, structures are aligned (Linux, macOS, the BSDs).
"""

import ctypes
from collections.abc import Mapping
from ctypes import POINTER, Structure, byref, c_char, c_char_p, c_ubyte, c_ulong, c_void_p, create_string_buffer
from typing import Any, Final, cast

import msgspec

from kvstack.hsm import constants as ck
from kvstack.hsm.return_values import (
    ABSENT,
    CKR_ATTRIBUTE_SENSITIVE,
    CKR_ATTRIBUTE_TYPE_INVALID,
    CKR_BUFFER_TOO_SMALL,
    CKR_FUNCTION_NOT_SUPPORTED,
    CKR_OK,
    return_value_name,
)

# A value of an attribute: bytes as they are, a bytearray that is to be wiped without a copy of it, True and False as
# CK_BBOOL, an int as CK_ULONG, a tuple as a list of mechanisms, a mapping as a template within the template.
AttributeValue = bool | int | bytes | bytearray | tuple[int, ...] | Mapping[int, Any]
Template = Mapping[int, AttributeValue]

_WORD: Final = ctypes.sizeof(c_ulong)
_ROOM: Final = 4096  # a wrapped RSA-4096 key takes 2.4 kB


class CryptokiError(Exception):
    """A call that was not answered with CKR_OK. function: `C_Login`; code: the answer."""

    def __init__(self, function: str, code: int) -> None:
        super().__init__(f"{function} answered {return_value_name(code)}")
        self.function = function
        self.code = code


class TokenInfo(msgspec.Struct, frozen=True):
    """One token as it describes itself. slot: where it is now, which may change at every start."""

    slot: int
    label: str
    serial: str
    manufacturer: str
    model: str
    initialised: bool
    has_user_pin: bool


class _Attribute(Structure):
    _fields_ = [("type", c_ulong), ("value", c_void_p), ("length", c_ulong)]


class Mechanism(Structure):
    """CK_MECHANISM, made by `mechanism`. Never changed by a call, so that threads can share it."""

    _fields_ = [("number", c_ulong), ("parameter", c_void_p), ("length", c_ulong)]
    number: int
    kept: tuple[object, ...]
    recipe: tuple[Any, ...]  # how it is made, for a module in another process


class _PssParameters(Structure):
    _fields_ = [("hash", c_ulong), ("mask", c_ulong), ("salt_length", c_ulong)]


class _OaepParameters(Structure):
    _fields_ = [
        ("hash", c_ulong),
        ("mask", c_ulong),
        ("source", c_ulong),
        ("source_data", c_void_p),
        ("source_length", c_ulong),
    ]


class _GcmParameters(Structure):
    _fields_ = [
        ("iv", c_void_p),
        ("iv_length", c_ulong),
        ("iv_bits", c_ulong),
        ("associated_data", c_void_p),
        ("associated_data_length", c_ulong),
        ("tag_bits", c_ulong),
    ]


class _InitialiseArguments(Structure):
    _fields_ = [
        *((name, c_void_p) for name in ("create_mutex", "destroy_mutex", "lock_mutex", "unlock_mutex")),
        ("flags", c_ulong),
        ("reserved", c_void_p),
    ]


class _NssInitialiseArguments(Structure):
    # NSS softokn has a field of its own before the reserved one.
    _fields_ = [
        *((name, c_void_p) for name in ("create_mutex", "destroy_mutex", "lock_mutex", "unlock_mutex")),
        ("flags", c_ulong),
        ("parameters", c_char_p),
        ("reserved", c_void_p),
    ]


class _TokenInfo(Structure):
    _fields_ = [
        ("label", c_ubyte * 32),
        ("manufacturer", c_ubyte * 32),
        ("model", c_ubyte * 16),
        ("serial", c_ubyte * 16),
        ("flags", c_ulong),
        ("counts", c_ulong * 10),
        ("versions", c_ubyte * 4),
        ("time", c_ubyte * 16),
    ]


# The order of CK_FUNCTION_LIST, and the arguments of those that are called: word, pointer, bytes. `-` is a function
# kvstack has no use for.
_FUNCTIONS: Final = """
C_Initialize p;C_Finalize p;C_GetInfo -;C_GetFunctionList -;C_GetSlotList wpp;C_GetSlotInfo -;C_GetTokenInfo wp
C_GetMechanismList wpp;C_GetMechanismInfo -;C_InitToken wbwb;C_InitPIN wbw;C_SetPIN -;C_OpenSession wwppp
C_CloseSession w;C_CloseAllSessions w;C_GetSessionInfo -;C_GetOperationState -;C_SetOperationState -;C_Login wwbw
C_Logout w;C_CreateObject wpwp;C_CopyObject wwpwp;C_DestroyObject ww;C_GetObjectSize -;C_GetAttributeValue wwpw
C_SetAttributeValue wwpw;C_FindObjectsInit wpw;C_FindObjects wpwp;C_FindObjectsFinal w;C_EncryptInit wpw
C_Encrypt wbwpp;C_EncryptUpdate -;C_EncryptFinal -;C_DecryptInit wpw;C_Decrypt wbwpp;C_DecryptUpdate -;C_DecryptFinal -
C_DigestInit -;C_Digest -;C_DigestUpdate -;C_DigestKey -;C_DigestFinal -;C_SignInit wpw;C_Sign wbwpp;C_SignUpdate -
C_SignFinal -;C_SignRecoverInit -;C_SignRecover -;C_VerifyInit -;C_Verify -;C_VerifyUpdate -;C_VerifyFinal -
C_VerifyRecoverInit -;C_VerifyRecover -;C_DigestEncryptUpdate -;C_DecryptDigestUpdate -;C_SignEncryptUpdate -
C_DecryptVerifyUpdate -;C_GenerateKey wppwp;C_GenerateKeyPair wppwpwpp;C_WrapKey wpwwpp;C_UnwrapKey wpwbwpwp
C_DeriveKey -;C_SeedRandom -;C_GenerateRandom wpw
""".replace("\n", ";").strip(";")
_ARGUMENTS: Final[dict[str, Any]] = {"w": c_ulong, "p": c_void_p, "b": c_char_p}


class Cryptoki:
    """One PKCS#11 module. Functions that take a session may run in several threads, each with a session of its own."""

    def __init__(self, path: str) -> None:
        """Load the module's file. Raises OSError where there is none, or where it is no PKCS#11 module."""
        library = ctypes.CDLL(path)
        functions = c_void_p()
        try:
            code = library.C_GetFunctionList(byref(functions))
        except AttributeError:
            raise OSError(f"{path} has no C_GetFunctionList: it is no PKCS#11 module") from None
        if code or not functions.value:
            raise CryptokiError("C_GetFunctionList", code)
        # Before the first pointer stands the version, two bytes padded to a word.
        pointers = ctypes.cast(functions.value + _WORD, POINTER(c_void_p))
        self._library = library
        self._calls: dict[str, Any] = {}
        for index, (name, arguments) in enumerate(entry.split(" ") for entry in _FUNCTIONS.split(";")):
            address = pointers[index]
            if arguments != "-" and address:
                self._calls[name] = ctypes.CFUNCTYPE(c_ulong, *(_ARGUMENTS[letter] for letter in arguments))(address)
        self._sign_init, self._sign = self._calls["C_SignInit"], self._calls["C_Sign"]

    def _call(self, name: str, *arguments: object) -> None:
        function = self._calls.get(name)
        code = function(*arguments) if function is not None else CKR_FUNCTION_NOT_SUPPORTED
        if code != CKR_OK:
            raise CryptokiError(name, code)

    # The module and its tokens

    def initialise(self, parameters: str = "") -> None:
        """Start the module, for use by several threads. parameters: for NSS softokn, empty for others."""
        arguments: Structure
        if parameters:
            arguments = _NssInitialiseArguments(flags=ck.CKF_OS_LOCKING_OK, parameters=parameters.encode())
        else:
            arguments = _InitialiseArguments(flags=ck.CKF_OS_LOCKING_OK)
        self._call("C_Initialize", byref(arguments))

    def finalise(self) -> None:
        """Stop the module. No other call may be under way."""
        self._call("C_Finalize", None)

    def tokens(self) -> tuple[TokenInfo, ...]:
        """Return every token that is present, those that wait for initialisation too."""
        found = []
        for slot in self._words("C_GetSlotList", 1):
            try:
                found.append(self.token(slot))
            except CryptokiError as error:
                # One token that was lost, or destroyed under the module's feet, must not hide the others.
                if error.code not in ABSENT:
                    raise
        return tuple(found)

    def token(self, slot: int) -> TokenInfo:
        """Return the token in a slot."""
        found = _TokenInfo()
        self._call("C_GetTokenInfo", slot, byref(found))
        return TokenInfo(
            slot=slot,
            label=_text(found.label),
            serial=_text(found.serial),
            manufacturer=_text(found.manufacturer),
            model=_text(found.model),
            initialised=bool(found.flags & ck.CKF_TOKEN_INITIALIZED),
            has_user_pin=bool(found.flags & ck.CKF_USER_PIN_INITIALIZED),
        )

    def mechanisms(self, slot: int) -> frozenset[int]:
        """Return the mechanisms a token says it has."""
        return frozenset(self._words("C_GetMechanismList", slot))

    def _words(self, name: str, argument: int) -> tuple[int, ...]:
        count = c_ulong()
        self._call(name, argument, None, byref(count))
        found = (c_ulong * count.value)()
        self._call(name, argument, found, byref(count))
        return tuple(found[: count.value])

    def initialise_token(self, slot: int, so_pin: bytes, label: str) -> None:
        """Make a token, without anything that was there before."""
        self._call("C_InitToken", slot, so_pin, len(so_pin), label.encode().ljust(32))

    def initialise_pin(self, session: int, pin: bytes) -> None:
        """Set the user's PIN, in a session of the security officer."""
        self._call("C_InitPIN", session, pin, len(pin))

    def open_session(self, slot: int) -> int:
        """Open a session that can read and write."""
        session = c_ulong()
        self._call("C_OpenSession", slot, ck.CKF_SERIAL_SESSION | ck.CKF_RW_SESSION, None, None, byref(session))
        return session.value

    def close_session(self, session: int) -> None:
        """Close a session; the session objects made in it are gone with it."""
        self._call("C_CloseSession", session)

    def login(self, session: int, pin: bytes, *, security_officer: bool = False) -> None:
        """Log the whole process in to the session's token."""
        self._call("C_Login", session, ck.CKU_SO if security_officer else ck.CKU_USER, pin, len(pin))

    def logout(self, session: int) -> None:
        """Log the whole process out."""
        self._call("C_Logout", session)

    # Objects

    def find(self, session: int, template: Template) -> tuple[int, ...]:
        """Return the handles of all objects that have these attributes."""
        packed = _Packed(template)
        self._call("C_FindObjectsInit", session, packed.array, packed.count)
        try:
            handles: list[int] = []
            found, count = (c_ulong * 64)(), c_ulong(64)
            while count.value:
                self._call("C_FindObjects", session, found, 64, byref(count))
                handles.extend(found[: count.value])
        finally:
            self._call("C_FindObjectsFinal", session)
        return tuple(handles)

    def attribute(self, session: int, handle: int, attribute: int) -> bytes | None:
        """Return an attribute's value, or None where it may not be read or the object has none."""
        wanted = (_Attribute * 1)(_Attribute(attribute, None, 0))
        try:
            self._call("C_GetAttributeValue", session, handle, wanted, 1)
            length = wanted[0].length
            if length == ck.UNAVAILABLE:
                return None
            room = create_string_buffer(max(length, 1))
            wanted[0].value = ctypes.addressof(room)
            self._call("C_GetAttributeValue", session, handle, wanted, 1)
        except CryptokiError as error:
            if error.code in (CKR_ATTRIBUTE_SENSITIVE, CKR_ATTRIBUTE_TYPE_INVALID):
                return None
            raise
        return None if wanted[0].length == ck.UNAVAILABLE else room.raw[: wanted[0].length]

    def create(self, session: int, template: Template) -> int:
        """Make an object from its attributes. Returns its handle."""
        packed, handle = _Packed(template), c_ulong()
        self._call("C_CreateObject", session, packed.array, packed.count, byref(handle))
        return handle.value

    def copy(self, session: int, handle: int, template: Template) -> int:
        """Copy an object, with these attributes changed. Returns the copy's handle."""
        packed, copied = _Packed(template), c_ulong()
        self._call("C_CopyObject", session, handle, packed.array, packed.count, byref(copied))
        return copied.value

    def change(self, session: int, handle: int, template: Template) -> None:
        """Change an object's attributes, as far as it lets itself be changed."""
        packed = _Packed(template)
        self._call("C_SetAttributeValue", session, handle, packed.array, packed.count)

    def destroy(self, session: int, handle: int) -> None:
        """Destroy an object."""
        self._call("C_DestroyObject", session, handle)

    # Keys

    def generate_key(self, session: int, method: Mechanism, template: Template) -> int:
        """Generate a secret key. Returns its handle."""
        packed, handle = _Packed(template), c_ulong()
        self._call("C_GenerateKey", session, byref(method), packed.array, packed.count, byref(handle))
        return handle.value

    def generate_pair(self, session: int, method: Mechanism, public: Template, private: Template) -> tuple[int, int]:
        """Generate a key pair. Returns the handles of the public and the private key."""
        one, two, handle, private_handle = _Packed(public), _Packed(private), c_ulong(), c_ulong()
        templates = (one.array, one.count, two.array, two.count)
        self._call("C_GenerateKeyPair", session, byref(method), *templates, byref(handle), byref(private_handle))
        return handle.value, private_handle.value

    def wrap(self, session: int, method: Mechanism, wrapping: int, key: int) -> bytes:
        """Return a key encrypted under another one."""
        return self._output("C_WrapKey", (session, byref(method), wrapping, key), _ROOM)

    def unwrap(self, session: int, method: Mechanism, unwrapping: int, wrapped: bytes, template: Template) -> int:
        """Decrypt a key within the module. Returns its handle."""
        packed, handle = _Packed(template), c_ulong()
        source = (byref(method), unwrapping, wrapped, len(wrapped))
        self._call("C_UnwrapKey", session, *source, packed.array, packed.count, byref(handle))
        return handle.value

    # Their use

    def sign(self, session: int, method: Mechanism, key: int, data: bytes, room: int) -> bytes:
        """Sign. room: how long the signature can be. The one call that has to be fast, so it is written out."""
        code = self._sign_init(session, byref(method), key)
        if code != CKR_OK:
            raise CryptokiError("C_SignInit", code)
        signature, length = create_string_buffer(room), c_ulong(room)
        code = self._sign(session, data, len(data), signature, byref(length))
        if code != CKR_OK:
            raise CryptokiError("C_Sign", code)
        return signature.raw[: length.value]

    def encrypt(self, session: int, method: Mechanism, key: int, plaintext: bytes) -> bytes:
        """Encrypt in one go; an authenticated mode appends its tag."""
        self._call("C_EncryptInit", session, byref(method), key)
        return self._output("C_Encrypt", (session, plaintext, len(plaintext)), len(plaintext) + 32)

    def decrypt(self, session: int, method: Mechanism, key: int, ciphertext: bytes) -> bytes:
        """Decrypt in one go."""
        self._call("C_DecryptInit", session, byref(method), key)
        return self._output("C_Decrypt", (session, ciphertext, len(ciphertext)), len(ciphertext) + 32)

    def random(self, session: int, count: int) -> bytes:
        """Draw random bytes."""
        drawn = create_string_buffer(count)
        self._call("C_GenerateRandom", session, drawn, count)
        return drawn.raw

    def fill(self, session: int, buffer: bytearray) -> None:
        """Draw random bytes into memory that its owner wipes."""
        self._call("C_GenerateRandom", session, (c_char * len(buffer)).from_buffer(buffer), len(buffer))

    def _output(self, name: str, arguments: tuple[object, ...], room: int) -> bytes:
        while True:
            output, length = create_string_buffer(room), c_ulong(room)
            try:
                self._call(name, *arguments, output, byref(length))
            except CryptokiError as error:
                if error.code != CKR_BUFFER_TOO_SMALL or length.value <= room or length.value == ck.UNAVAILABLE:
                    raise
                room = length.value
            else:
                return output.raw[: length.value]


class _Packed:
    """A template as the array PKCS#11 takes, and the memory it points to."""

    def __init__(self, template: Template) -> None:
        self.count = len(template)
        self.array = (_Attribute * self.count)()
        self._kept: list[object] = []
        for place, (attribute, value) in enumerate(template.items()):
            if isinstance(value, bytearray):
                buffer = (c_char * len(value)).from_buffer(value)
                self._kept.append(buffer)
                self.array[place] = _Attribute(attribute, ctypes.addressof(buffer), len(value))
                continue
            packed = self._bytes(value)
            buffer = create_string_buffer(packed, max(len(packed), 1))
            self._kept.append(buffer)
            self.array[place] = _Attribute(attribute, ctypes.addressof(buffer), len(packed))

    def _bytes(self, value: bool | int | bytes | tuple[int, ...] | Mapping[int, Any]) -> bytes:
        match value:
            case bool():
                return b"\x01" if value else b"\x00"
            case int():
                return bytes(c_ulong(value))
            case bytes():
                return value
            case tuple():
                return bytes((c_ulong * len(value))(*value))
            case _:
                inner = _Packed(value)
                self._kept.append(inner)
                return bytes(inner.array)


def _text(field: object) -> str:
    return bytes(cast("ctypes.Array[c_ubyte]", field)).decode(errors="replace").rstrip(" \x00")


def mechanism(number: int, parameter: Structure | bytes | None = None, *kept: object) -> Mechanism:
    """Return CK_MECHANISM with its parameter. kept: what the parameter points to."""
    if parameter is None:
        made = Mechanism(number, None, 0)
    else:
        memory = create_string_buffer(parameter, len(parameter)) if isinstance(parameter, bytes) else parameter
        made = Mechanism(number, ctypes.addressof(memory), ctypes.sizeof(memory))
        kept = (memory, *kept)
    made.kept = kept
    made.recipe = ("plain", number, parameter)
    return made


def pss(digest: int, mask: int, salt_length: int) -> Mechanism:
    """Return CKM_RSA_PKCS_PSS on a digest."""
    made = mechanism(ck.CKM_RSA_PKCS_PSS, _PssParameters(digest, mask, salt_length))
    made.recipe = ("pss", digest, mask, salt_length)
    return made


def oaep(digest: int, mask: int) -> Mechanism:
    """Return CKM_RSA_PKCS_OAEP with an empty label."""
    made = mechanism(ck.CKM_RSA_PKCS_OAEP, _OaepParameters(digest, mask, ck.CKZ_DATA_SPECIFIED, None, 0))
    made.recipe = ("oaep", digest, mask)
    return made


def gcm(iv: bytes, associated_data: bytes, tag_bits: int = 128) -> Mechanism:
    """Return CKM_AES_GCM."""
    vector = create_string_buffer(iv, len(iv))
    data = create_string_buffer(associated_data, len(associated_data)) if associated_data else None
    where = ctypes.addressof(data) if data is not None else None
    parameters = _GcmParameters(ctypes.addressof(vector), len(iv), len(iv) * 8, where, len(associated_data), tag_bits)
    made = mechanism(ck.CKM_AES_GCM, parameters, vector, data)
    made.recipe = ("gcm", iv, associated_data, tag_bits)
    return made
