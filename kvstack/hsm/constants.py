"""The numbers of PKCS#11 that kvstack uses. Source: OASIS PKCS#11 2.40 and 3.0, pkcs11t.h."""

from typing import Final

UNAVAILABLE: Final = (1 << 64) - 1  # the length of an attribute that may not be read

# Flags
CKF_RW_SESSION: Final = 0x2
CKF_SERIAL_SESSION: Final = 0x4
CKF_OS_LOCKING_OK: Final = 0x2
CKF_USER_PIN_INITIALIZED: Final = 0x8
CKF_TOKEN_INITIALIZED: Final = 0x400
CKU_SO: Final = 0
CKU_USER: Final = 1

# Object classes and key types
CKO_PUBLIC_KEY: Final = 2
CKO_PRIVATE_KEY: Final = 3
CKO_SECRET_KEY: Final = 4
CKK_RSA: Final = 0x0
CKK_EC: Final = 0x3
CKK_GENERIC_SECRET: Final = 0x10
CKK_AES: Final = 0x1F

# Attributes
CKA_CLASS: Final = 0x0
CKA_TOKEN: Final = 0x1
CKA_PRIVATE: Final = 0x2
CKA_LABEL: Final = 0x3
CKA_VALUE: Final = 0x11
CKA_KEY_TYPE: Final = 0x100
CKA_ID: Final = 0x102
CKA_SENSITIVE: Final = 0x103
CKA_ENCRYPT: Final = 0x104
CKA_DECRYPT: Final = 0x105
CKA_WRAP: Final = 0x106
CKA_UNWRAP: Final = 0x107
CKA_SIGN: Final = 0x108
CKA_VERIFY: Final = 0x10A
CKA_DERIVE: Final = 0x10C
CKA_MODULUS: Final = 0x120
CKA_MODULUS_BITS: Final = 0x121
CKA_PUBLIC_EXPONENT: Final = 0x122
CKA_PRIVATE_EXPONENT: Final = 0x123
CKA_VALUE_LEN: Final = 0x161
CKA_EXTRACTABLE: Final = 0x162
CKA_MODIFIABLE: Final = 0x170
CKA_EC_PARAMS: Final = 0x180
CKA_EC_POINT: Final = 0x181
CKA_UNWRAP_TEMPLATE: Final = 0x40000212
CKA_ALLOWED_MECHANISMS: Final = 0x40000600
CKA_NSS_DB: Final = 0xD5A0DB00  # NSS softokn's own: the public point beside an EC private key

# Mechanisms
CKM_RSA_PKCS_KEY_PAIR_GEN: Final = 0x0
CKM_RSA_PKCS: Final = 0x1
CKM_RSA_X_509: Final = 0x3
CKM_RSA_PKCS_OAEP: Final = 0x9
CKM_RSA_PKCS_PSS: Final = 0xD
CKM_SHA_1: Final = 0x220
CKM_SHA256: Final = 0x250
CKM_SHA256_HMAC: Final = 0x251
CKM_SHA384: Final = 0x260
CKM_SHA384_HMAC: Final = 0x261
CKM_SHA512: Final = 0x270
CKM_SHA512_HMAC: Final = 0x271
CKM_EC_KEY_PAIR_GEN: Final = 0x1040
CKM_ECDSA: Final = 0x1041
CKM_AES_KEY_GEN: Final = 0x1080
CKM_AES_CBC: Final = 0x1082
CKM_AES_CBC_PAD: Final = 0x1085
CKM_AES_GCM: Final = 0x1087
CKM_AES_KEY_WRAP: Final = 0x2109
CKM_AES_KEY_WRAP_PAD: Final = 0x210A
CKM_AES_KEY_WRAP_KWP: Final = 0x210B
CKG_MGF1_SHA1: Final = 1
CKG_MGF1_SHA256: Final = 2
CKG_MGF1_SHA384: Final = 3
CKG_MGF1_SHA512: Final = 4
CKZ_DATA_SPECIFIED: Final = 1

MECHANISM_NAMES: Final = {
    number: name for name, number in sorted(globals().items()) if name.startswith("CKM_") and isinstance(number, int)
}


def mechanism_name(number: int) -> str:
    """Return a mechanism's name, or its number where kvstack has no use for it."""
    return MECHANISM_NAMES.get(number, f"0x{number:x}")
