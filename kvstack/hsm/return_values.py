"""What a PKCS#11 call can answer: the names, which of them mean that the token is lost, and how to mend each."""

from typing import Final

CKR_OK: Final = 0x0
CKR_GENERAL_ERROR: Final = 0x5
CKR_FUNCTION_FAILED: Final = 0x6
CKR_ARGUMENTS_BAD: Final = 0x7
CKR_ATTRIBUTE_SENSITIVE: Final = 0x11
CKR_ATTRIBUTE_TYPE_INVALID: Final = 0x12
CKR_DEVICE_ERROR: Final = 0x30
CKR_DEVICE_REMOVED: Final = 0x32
CKR_ENCRYPTED_DATA_INVALID: Final = 0x40
CKR_KEY_HANDLE_INVALID: Final = 0x60
CKR_KEY_SIZE_RANGE: Final = 0x62
CKR_KEY_TYPE_INCONSISTENT: Final = 0x63
CKR_KEY_FUNCTION_NOT_PERMITTED: Final = 0x68
CKR_KEY_UNEXTRACTABLE: Final = 0x6A
CKR_FUNCTION_NOT_SUPPORTED: Final = 0x54
CKR_MECHANISM_INVALID: Final = 0x70
CKR_MECHANISM_PARAM_INVALID: Final = 0x71
CKR_OBJECT_HANDLE_INVALID: Final = 0x82
CKR_PIN_INCORRECT: Final = 0xA0
CKR_SESSION_CLOSED: Final = 0xB0
CKR_SESSION_HANDLE_INVALID: Final = 0xB3
CKR_TEMPLATE_INCOMPLETE: Final = 0xD0
CKR_TEMPLATE_INCONSISTENT: Final = 0xD1
CKR_USER_ALREADY_LOGGED_IN: Final = 0x100
CKR_USER_NOT_LOGGED_IN: Final = 0x101
CKR_USER_PIN_NOT_INITIALIZED: Final = 0x102
CKR_BUFFER_TOO_SMALL: Final = 0x150
CKR_CRYPTOKI_NOT_INITIALIZED: Final = 0x190
CKR_CRYPTOKI_ALREADY_INITIALIZED: Final = 0x191

_NAMES: Final = {
    0x1: "CANCEL",
    0x2: "HOST_MEMORY",
    0x3: "SLOT_ID_INVALID",
    0x5: "GENERAL_ERROR",
    0x6: "FUNCTION_FAILED",
    0x7: "ARGUMENTS_BAD",
    0x8: "NO_EVENT",
    0x9: "NEED_TO_CREATE_THREADS",
    0xA: "CANT_LOCK",
    0x10: "ATTRIBUTE_READ_ONLY",
    0x11: "ATTRIBUTE_SENSITIVE",
    0x12: "ATTRIBUTE_TYPE_INVALID",
    0x13: "ATTRIBUTE_VALUE_INVALID",
    0x1B: "ACTION_PROHIBITED",
    0x20: "DATA_INVALID",
    0x21: "DATA_LEN_RANGE",
    0x30: "DEVICE_ERROR",
    0x31: "DEVICE_MEMORY",
    0x32: "DEVICE_REMOVED",
    0x40: "ENCRYPTED_DATA_INVALID",
    0x41: "ENCRYPTED_DATA_LEN_RANGE",
    0x42: "AEAD_DECRYPT_FAILED",
    0x50: "FUNCTION_CANCELED",
    0x51: "FUNCTION_NOT_PARALLEL",
    0x54: "FUNCTION_NOT_SUPPORTED",
    0x60: "KEY_HANDLE_INVALID",
    0x62: "KEY_SIZE_RANGE",
    0x63: "KEY_TYPE_INCONSISTENT",
    0x64: "KEY_NOT_NEEDED",
    0x65: "KEY_CHANGED",
    0x66: "KEY_NEEDED",
    0x67: "KEY_INDIGESTIBLE",
    0x68: "KEY_FUNCTION_NOT_PERMITTED",
    0x69: "KEY_NOT_WRAPPABLE",
    0x6A: "KEY_UNEXTRACTABLE",
    0x70: "MECHANISM_INVALID",
    0x71: "MECHANISM_PARAM_INVALID",
    0x82: "OBJECT_HANDLE_INVALID",
    0x90: "OPERATION_ACTIVE",
    0x91: "OPERATION_NOT_INITIALIZED",
    0xA0: "PIN_INCORRECT",
    0xA1: "PIN_INVALID",
    0xA2: "PIN_LEN_RANGE",
    0xA3: "PIN_EXPIRED",
    0xA4: "PIN_LOCKED",
    0xB0: "SESSION_CLOSED",
    0xB1: "SESSION_COUNT",
    0xB3: "SESSION_HANDLE_INVALID",
    0xB4: "SESSION_PARALLEL_NOT_SUPPORTED",
    0xB5: "SESSION_READ_ONLY",
    0xB6: "SESSION_EXISTS",
    0xB7: "SESSION_READ_ONLY_EXISTS",
    0xB8: "SESSION_READ_WRITE_SO_EXISTS",
    0xC0: "SIGNATURE_INVALID",
    0xC1: "SIGNATURE_LEN_RANGE",
    0xD0: "TEMPLATE_INCOMPLETE",
    0xD1: "TEMPLATE_INCONSISTENT",
    0xE0: "TOKEN_NOT_PRESENT",
    0xE1: "TOKEN_NOT_RECOGNIZED",
    0xE2: "TOKEN_WRITE_PROTECTED",
    0xF0: "UNWRAPPING_KEY_HANDLE_INVALID",
    0xF1: "UNWRAPPING_KEY_SIZE_RANGE",
    0xF2: "UNWRAPPING_KEY_TYPE_INCONSISTENT",
    0x100: "USER_ALREADY_LOGGED_IN",
    0x101: "USER_NOT_LOGGED_IN",
    0x102: "USER_PIN_NOT_INITIALIZED",
    0x103: "USER_TYPE_INVALID",
    0x104: "USER_ANOTHER_ALREADY_LOGGED_IN",
    0x105: "USER_TOO_MANY_TYPES",
    0x110: "WRAPPED_KEY_INVALID",
    0x112: "WRAPPED_KEY_LEN_RANGE",
    0x113: "WRAPPING_KEY_HANDLE_INVALID",
    0x114: "WRAPPING_KEY_SIZE_RANGE",
    0x115: "WRAPPING_KEY_TYPE_INCONSISTENT",
    0x120: "RANDOM_SEED_NOT_SUPPORTED",
    0x121: "RANDOM_NO_RNG",
    0x130: "DOMAIN_PARAMS_INVALID",
    0x140: "CURVE_NOT_SUPPORTED",
    0x150: "BUFFER_TOO_SMALL",
    0x160: "SAVED_STATE_INVALID",
    0x170: "INFORMATION_SENSITIVE",
    0x180: "STATE_UNSAVEABLE",
    0x190: "CRYPTOKI_NOT_INITIALIZED",
    0x191: "CRYPTOKI_ALREADY_INITIALIZED",
    0x1A0: "MUTEX_BAD",
    0x1A1: "MUTEX_NOT_LOCKED",
    0x200: "FUNCTION_REJECTED",
}

# The token, the login or the session objects are gone: a new login may bring them back, once.
LOST: Final = frozenset(
    {0x3, 0x30, 0x32, 0x60, 0x82, 0xB0, 0xB3, 0xE0, 0xE1, 0xF0, 0x101, 0x113, CKR_CRYPTOKI_NOT_INITIALIZED}
)

# That a slot's token is not there, or no longer: SoftHSM says GENERAL_ERROR of one whose files are gone.
ABSENT: Final = frozenset({CKR_GENERAL_ERROR, CKR_DEVICE_ERROR, CKR_DEVICE_REMOVED, 0xE0, 0xE1})

# The module, the key's curve or its size: asking again will not help.
UNSUPPORTED: Final = frozenset({0x54, 0x62, 0x70, 0x71, 0x130, 0x140})

# What a decryption answers to input it does not like. SoftHSM says GENERAL_ERROR for a wrong padding, and the length of
# a plaintext that would not fit says something too: all of them are one and the same to a caller.
UNDECIPHERABLE: Final = frozenset({0x5, 0x6, 0x7, 0x20, 0x21, 0x40, 0x41, 0x42, 0x110, 0x112, 0x150})

_MENDING: Final = {
    0xA0: "Give the right PIN; a token locks itself after a few wrong ones.",
    0xA1: "The PIN has characters or a length the token does not take: give the right one.",
    0xA2: "The PIN is shorter or longer than the token takes: give the right one.",
    0xA3: "The PIN has expired: set a new one with the HSM's own tool.",
    0xA4: "The PIN is locked after too many wrong ones: the token's security officer has to set a new one.",
    0x102: "The token was reset and has no user PIN: restore its files or its backup. A new token has other keys.",
    0xE0: "The token was taken out: put it back and run the same command again.",
    0x32: "The device was taken out: put it back and run the same command again.",
    0x190: "The module was shut down by another part of this process: run the same command again.",
    0xB1: "The token has no session left: close other programs that use it.",
    0x31: "The device has no memory left: remove objects it no longer needs.",
    0xE2: "The token is write-protected.",
}


def return_value_name(code: int) -> str:
    """Return the name of an answer, `CKR_DEVICE_ERROR`; a vendor's own has its number."""
    name = _NAMES.get(code)
    return f"CKR_{name}" if name else f"CKR_0x{code:08X}"


def mending(code: int) -> str:
    """Return what a person can do about an answer."""
    return _MENDING.get(code, "See that the HSM is there and its token readable, then run the same command again.")
