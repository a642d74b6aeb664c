"""What PKCS#11 said, as an error a person can act on: module, token, answer, and how to mend it."""

from kvstack.hsm.cryptoki import CryptokiError
from kvstack.hsm.protocol import HsmError, HsmUnavailable, MechanismUnsupported
from kvstack.hsm.return_values import UNSUPPORTED, mending, return_value_name


def refused(error: CryptokiError, module: str, token: str, mechanism: str = "") -> HsmError:
    """Return the error for a call that failed. mechanism: what was asked for, where the call has one."""
    answer = return_value_name(error.code)
    if mechanism and error.code in UNSUPPORTED:
        return unsupported(mechanism, module, f"{error.function} answered {answer}")
    return HsmUnavailable(
        f"the HSM refused: {error.function} answered {answer} (module {module}, token `{token}`)", mending(error.code)
    )


def unsupported(mechanism: str, module: str, reason: str) -> MechanismUnsupported:
    """Return the error for something a module cannot do."""
    return MechanismUnsupported(
        f"the HSM module {module} cannot do {mechanism}: {reason}",
        "Use another algorithm or a software key, or a module that has the mechanism.",
    )
