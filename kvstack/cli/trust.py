"""`kvstack trust`: the certificate authority clients of the server have to trust."""

from kvstack.cli.context import Context, pass_context
from kvstack.cli.group import verbs
from kvstack.cli.options import as_json
from kvstack.cli.output import answer, answer_json


@verbs("The certificate authority of `kvstack serve`.")
def command() -> None:
    """Hold the verbs."""


@command.command(help="Print the certificate of the authority, PEM: what clients have to trust.")
@as_json
@pass_context
def show(context: Context, as_json: bool) -> int:
    """Print the certificate."""
    from kvstack.server.trust import read_authority, trust_files
    from kvstack.vault.layout import layout

    files = trust_files(layout(context.directory).root)
    pem = read_authority(files)
    if not as_json:
        answer(pem.decode())
        return 0
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256

    certificate = x509.load_pem_x509_certificate(pem)
    answer_json(
        {
            "certificate": pem.decode(),
            "file": str(files.authority),
            "sha256": certificate.fingerprint(SHA256()).hex(),
            "subject": certificate.subject.rfc4514_string(),
            "not_after": certificate.not_valid_after_utc,
        }
    )
    return 0
