"""Events mailed to people, by the mail server the operator names."""

import os
import smtplib
import ssl
from pathlib import Path

from kvstack.hsm.private_file import readable_by_others
from kvstack.terms.diagnostic import KvstackError
from kvstack.terms.event import decode
from kvstack.terms.mail import mail
from kvstack.vault.delivery_policy import TAKEN, Answer
from kvstack.vault.event_configuration import MailServer

_SECONDS = 15.0


class Mailing:
    """Some recipients, and the connection to the mail server. server: None where the operator names none."""

    def __init__(self, recipients: tuple[str, ...], server: MailServer | None, ca_file: str) -> None:
        self._recipients = recipients
        self._server = server
        self._ca_file = ca_file
        self._connection: smtplib.SMTP | None = None

    def close(self) -> None:
        """Let go of the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.quit()
            except (OSError, smtplib.SMTPException):
                connection.close()  # it was gone already

    def validated(self) -> Answer:
        """A mailbox is not asked whether it wants mail; there has to be a server that takes it."""
        if self._server is None:
            return Answer("later", "there is no `smtp` in `.kvstack/events.json`")
        return TAKEN

    def post(self, identifier: str, event: bytes) -> Answer:
        """Mail one event to all recipients."""
        if self._server is None:
            return self.validated()
        message = mail(decode(event), self._server.sender, self._recipients)
        try:
            if self._connection is None:
                self._connection = self._connected(self._server)
            refused = self._connection.send_message(message, self._server.sender, self._recipients)
        except smtplib.SMTPRecipientsRefused:
            return Answer("later", "is refused by the mail server, for all its addresses")
        except (OSError, smtplib.SMTPException) as error:
            self._drop()
            return Answer("later", f"could not be mailed: {_why(error)}")
        except KvstackError as error:
            self._drop()
            return Answer("later", f"could not be mailed: {error.diagnostics[0].summary}")
        # The others have it: sending it to all again would tell them again and again.
        return Answer("taken", f"refused for {', '.join(sorted(refused))}") if refused else TAKEN

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self, server: MailServer) -> smtplib.SMTP:
        trusting = ssl.create_default_context()
        if self._ca_file:
            trusting.load_verify_locations(self._ca_file)
        if server.security == "tls":
            connection: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, timeout=_SECONDS, context=trusting)
        else:
            connection = smtplib.SMTP(server.host, server.port, timeout=_SECONDS)
        try:
            if server.security == "starttls":
                connection.starttls(context=trusting)
            if server.user:
                connection.login(server.user, _password(server))
        except BaseException:
            connection.close()
            raise
        return connection


def _password(server: MailServer) -> str:
    """Return the password the operator's configuration says where to find. Raises KvstackError."""
    if server.password_env:
        found = os.environ.get(server.password_env)
        if found is None:
            raise KvstackError(f"the environment has no {server.password_env}, which `smtp.password_env` names")
        return found
    file = Path(server.password_file)
    try:
        if readable_by_others(file):
            raise KvstackError(f"{file} can be read or changed by others", f"Run `chmod 600 {file}`.")
        return file.read_text().removesuffix("\n")
    except (OSError, UnicodeDecodeError):
        raise KvstackError(f"{file}, which `smtp.password_file` names, cannot be read") from None


def _why(error: Exception) -> str:
    """Return what went wrong, in words of ours: what the server said may hold anything."""
    match error:
        case smtplib.SMTPAuthenticationError():
            return "the mail server does not know the user, or refuses the password"
        case smtplib.SMTPNotSupportedError():
            return "the mail server does not do what is asked of it"
        case smtplib.SMTPResponseException():
            return f"the mail server answered {error.smtp_code}"
        case ssl.SSLCertVerificationError():
            return f"the mail server has no certificate to be trusted: {error.verify_message}"
        case TimeoutError():
            return "the mail server does not answer in time"
        case smtplib.SMTPException():
            return "the mail server closed the connection, or speaks no SMTP"
        case OSError():
            return f"the mail server cannot be reached: {error.strerror or type(error).__name__}"
        case _:
            return type(error).__name__
