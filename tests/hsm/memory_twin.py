"""The programs of the memory scan: one makes a key whose private half is known, another signs with it."""

IMPORTING = """
import sys
from pathlib import Path
import msgspec
from kvstack.hsm.configuration import write_configuration
from kvstack.hsm.key_file import plain_key
from kvstack.hsm.module import Pkcs11Module
from kvstack.hsm.pkcs11 import Pkcs11Keys
from kvstack.hsm.token import initialise_token
from kvstack.terms.key import KeySpecification

folder, module, pem = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
token = initialise_token(folder / "hsm", module=module).configuration
write_configuration(token, folder / "hsm" / "hsm.json")
opened = Pkcs11Module.open(token)
plain = plain_key(pem.read_bytes())
wanted = plain.specification
material = Pkcs11Keys(opened).import_key(KeySpecification(wanted.type + "-HSM", wanted.size, wanted.curve), plain)
(folder / "material").write_bytes(msgspec.msgpack.encode((wanted.type, wanted.size, wanted.curve, material)))
opened.close()
"""

SIGNING = """
import sys, threading
from pathlib import Path
import msgspec
from kvstack.hsm.configuration import read_configuration
from kvstack.hsm.module import Pkcs11Module
from kvstack.hsm.pkcs11 import Pkcs11Keys
from kvstack.hsm.protocol import KeyMaterial, KeyReference
from kvstack.terms.algorithm import algorithm
from kvstack.terms.key import KeySpecification

folder, isolated = Path(sys.argv[1]), sys.argv[2] == "isolated"
token = msgspec.structs.replace(read_configuration(folder / "hsm" / "hsm.json"), isolated=isolated)
kind, size, curve, material = msgspec.msgpack.decode(
    (folder / "material").read_bytes(), type=tuple[str, int | None, str | None, KeyMaterial]
)
key = KeyReference("twin", KeySpecification(kind + "-HSM", size, curve), material)
keys = Pkcs11Keys(Pkcs11Module.open(token))
how = algorithm("RS256" if kind == "RSA" else "ES256", "sign")

def sign():
    while True:
        keys.sign(key, how, bytes(32))

for _ in range(3):
    threading.Thread(target=sign, daemon=True).start()
keys.sign(key, how, bytes(32))
print("signing", flush=True)
sys.stdin.read()
"""
