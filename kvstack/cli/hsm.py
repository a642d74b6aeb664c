"""`kvstack hsm`: the PKCS#11 module, what it can do, and the way back after its token was lost."""

from typing import TYPE_CHECKING, Any

import click
import msgspec

from kvstack.cli.content import taken
from kvstack.cli.context import Context, pass_context
from kvstack.cli.group import verbs
from kvstack.cli.hsm_isolate import isolate
from kvstack.cli.key_home import KeyHomeChoice, key_home_options
from kvstack.cli.opened import require_operator
from kvstack.cli.options import as_json
from kvstack.cli.output import answer, answer_json, warn
from kvstack.cli.passwords import password as password_of
from kvstack.cli.security_domain import add_pool_verbs
from kvstack.cli.table import counted, facts, table
from kvstack.cli.words import text
from kvstack.terms.diagnostic import Diagnostic

if TYPE_CHECKING:
    from kvstack.hsm.module import Pkcs11Module
    from kvstack.terms.algorithm import Algorithm
    from kvstack.vault.recover import Recovered

_LONGEST_PEM = 1 << 16


@verbs("The PKCS#11 module: what it can do, its security domain, and the way back after a token was lost.")
def command() -> None:
    """Hold the verbs."""


@command.command()
@as_json
@pass_context
def info(context: Context, as_json: bool) -> int:
    """Show where keys live: module, token, and what works there."""
    require_operator(context, "hsm")
    from kvstack.vault.layout import layout, read_configuration

    paths = layout(context.directory)
    configuration = read_configuration(paths)
    file = paths.root / configuration.file
    if configuration.kek == "software":
        document: dict[str, Any] = {"kind": "software", "key_file": str(file)}
        words = facts(
            [("key-encryption key", str(file)), ("-HSM keys", "unavailable: this vault has no PKCS#11 module")]
        )
    else:
        from kvstack.hsm.configuration import read_configuration as read_hsm
        from kvstack.hsm.module import Pkcs11Module

        written = read_hsm(file)
        module = Pkcs11Module.open(msgspec.structs.replace(written, isolated=True) if context.isolated() else written)
        try:
            document = _document(module)
        finally:
            module.close()
        words = _words(document)
    if as_json:
        answer_json(document)
    else:
        answer(words)
    return 0


@command.command()
@click.option("--key", "key_file", metavar="PRIVATE.pem", required=True, help="The recovery key's private half.")
@click.option("--password-env", metavar="NAME", type=text, help="The environment variable its password is in.")
@click.option("--password-file", metavar="FILE", type=text, help="The file its password is in.")
@key_home_options
@as_json
@pass_context
def recover(
    context: Context,
    /,
    key_file: str,
    password_env: str | None,
    password_file: str | None,
    as_json: bool,
    **home: Any,
) -> int:
    """Open a vault whose token, PIN or key file is lost, by its recovery key, and give it new ones.

    Secrets, software keys, settings and the audit come back. Versions of -HSM keys the lost token made do not: they are
    listed. Can be interrupted and run again.
    """
    require_operator(context, "hsm")
    from kvstack.vault.recover import recover as recovered

    hsm, token = KeyHomeChoice(**home).chosen(isolated=context.isolated())
    private = taken(key_file, at_most=_LONGEST_PEM, what="the recovery key")
    password = password_of(password_env, password_file, encrypted=b"ENCRYPTED" in private, what="The recovery key")
    found = recovered(context.directory, private, password=password, hsm=hsm, token=token)
    try:
        lost = _lost(found)
        diagnostics = (*found.unlocked.warnings, *_of_loss(lost, found.of_domain))
        if as_json:
            told = [one.document() for one in diagnostics]
            answer_json({"data_keys": found.data_keys, "lost_key_versions": lost, "diagnostics": told})
        else:
            answer(f"recovered the vault in {context.directory}: {counted(found.data_keys, 'data key')} wrapped anew")
            if lost:
                rows = [(one["vault"], one["name"], one["version"], one["type"]) for one in lost]
                answer("\n" + table(("VAULT", "KEY", "VERSION LOST", "TYPE"), rows, empty=""))
            warn(diagnostics)
    finally:
        found.unlocked.close()
    return 0


def _lost(found: "Recovered") -> list[dict[str, str]]:
    """Return the versions of keys that were in the lost token, or wrapped by its root."""
    from kvstack.vault.items import KEYS
    from kvstack.vault.registry import VAULTS
    from kvstack.vault.versions import KEY_VERSIONS

    with found.unlocked.store.transaction() as tx:
        vaults = {vault.id: vault.name for vault in VAULTS.scan(tx)}
        names = {(key.vault_id, key.folded): key.name for key in KEYS.scan(tx)}
        # Keys of a Managed HSM are wrapped under its security domain, not by this token.
        rows = [row for row in KEY_VERSIONS.scan(tx) if row.provider.startswith("pkcs11")]
    return [
        {
            "vault": vaults.get(row.vault_id, row.vault_id),
            "name": names.get((row.vault_id, row.folded), row.folded),
            "version": row.version,
            "type": row.specification.type,
        }
        for row in sorted(rows, key=lambda row: (row.vault_id, row.folded, row.number))
    ]


def _of_loss(lost: list[dict[str, str]], of_domain: bool) -> tuple[Diagnostic, ...]:
    if not lost:
        return ()
    if of_domain:
        return (
            Diagnostic(
                severity="warning",
                summary=f"{counted(len(lost), 'version')} of -HSM keys cannot be used until the new token has the root",
                detail="`kvstack hsm security-domain upload --file F --custodian-key FILE...` brings it back.",
            ),
        )
    return (
        Diagnostic(
            severity="warning",
            summary=f"{counted(len(lost), 'version')} of -HSM keys cannot be used: only the lost token could",
            detail="What they encrypted stays shut until it is restored; `kvstack key rotate` makes new versions.",
        ),
    )


def _document(module: "Pkcs11Module") -> dict[str, Any]:
    from kvstack.terms.algorithm import ALGORITHMS

    configuration = module.configuration
    mechanisms = module.mechanisms()
    token = module.run(lambda connection: connection.cryptoki.token(connection.token.slot))
    source = configuration.pin_source
    return {
        "kind": "pkcs11",
        "module": configuration.module,
        "token": {
            "label": token.label,
            "serial": token.serial,
            "manufacturer": token.manufacturer,
            "model": token.model,
        },
        "pin": f"environment variable {source.environment}" if source.environment else source.file,
        "tokens": configuration.tokens or None,
        "keys": configuration.keys,
        "isolated": configuration.isolated,
        "key_types": {kind: needed in mechanisms for kind, needed in _MADE_BY.items()},
        "algorithms": {
            name: not _needed(algorithm).isdisjoint(mechanisms)
            for name, algorithm in ALGORITHMS.items()
            if not algorithm.ahead_of_azure  # only software keys have those
        },
        "mechanisms": sorted(mechanisms),
    }


_MADE_BY = {
    "RSA-HSM": "CKM_RSA_PKCS_KEY_PAIR_GEN",
    "EC-HSM": "CKM_EC_KEY_PAIR_GEN",
    "oct-HSM": "CKM_AES_KEY_GEN",
}


def _needed(algorithm: "Algorithm") -> frozenset[str]:
    """Return the mechanisms of which an algorithm needs one, with keys in the HSM."""
    from kvstack.hsm.constants import mechanism_name
    from kvstack.hsm.mechanisms import rsa_decryption, signing

    match algorithm.family, algorithm.name:
        case _, "RSA-OAEP-256":
            # Where the module knows no SHA-256 there, it decrypts, and the padding is taken off in software.
            return frozenset({"CKM_RSA_PKCS_OAEP", "CKM_RSA_X_509"})
        case "oct", name if name.endswith("KW"):
            return frozenset({"CKM_AES_KEY_WRAP"})
        case "oct", name if name.endswith("GCM"):
            return frozenset({"CKM_AES_GCM"})
        case "oct", name if "CBC" in name:
            return frozenset({"CKM_AES_CBC_PAD" if name.endswith("PAD") else "CKM_AES_CBC"})
        case _ if "sign" in algorithm.purposes:
            return frozenset({mechanism_name(signing(algorithm).number)})
        case _:
            return frozenset({mechanism_name(rsa_decryption(algorithm)[0])})


def _words(document: dict[str, Any]) -> str:
    token = document["token"]
    homes = {
        "wrapped": "made in the HSM, kept in the vault wrapped by its root key",
        "token": "made in the HSM, kept in its token",
    }
    known = [name for name in document["mechanisms"] if name.startswith("CKM_")]
    more = len(document["mechanisms"]) - len(known)

    def listed(works: dict[str, bool], which: bool) -> str:
        return ", ".join(name for name, usable in works.items() if usable == which)

    return facts(
        [
            ("module", document["module"]),
            ("token", f"{token['label']} (serial {token['serial']}, {token['manufacturer']} {token['model']})"),
            ("tokens in", document["tokens"]),
            ("loaded", "in a process of its own" if document["isolated"] else "in the process that uses it"),
            ("PIN", document["pin"]),
            ("-HSM keys", homes[document["keys"]]),
            ("key types", listed(document["key_types"], True)),
            ("algorithms", listed(document["algorithms"], True)),
            ("unavailable", listed(document["key_types"] | document["algorithms"], False)),
            ("mechanisms", ", ".join(known) + (f" and {more} kvstack has no use for" if more else "")),
        ]
    )


command.add_command(isolate)
add_pool_verbs(command)
