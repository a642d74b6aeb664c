"""The pages of the sign-in: plain forms that work without JavaScript, and may do nothing else.

Whatever is shown is escaped; the policy allows no script, no frame, and forms only to where they belong.
"""

from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from html import escape
from typing import Final

from kvstack.server.answer import Answer, Header
from kvstack.server.identity.issuing import NEVER_KEPT

_STYLE: Final = """
:root{color-scheme:light dark;font:1rem/1.5 system-ui,sans-serif}
body{margin:0;display:grid;min-height:100vh;place-items:center}
main{width:min(24rem,90vw);padding:1.5rem}
label{display:block;margin-top:1rem;font-weight:600}
input{box-sizing:border-box;width:100%;padding:.6rem;font:inherit;border:1px solid #767676;border-radius:.25rem}
button{margin-top:1.5rem;width:100%;padding:.7rem;font:inherit;font-weight:600;border:0;border-radius:.25rem;
background:#0b57d0;color:#fff}
:focus-visible{outline:3px solid #0b57d0;outline-offset:2px}
[role=alert]{padding:.6rem;border-left:4px solid #b3261e}
dl{margin:0}dt{font-weight:600}dd{margin:0 0 .5rem;overflow-wrap:anywhere}
"""
_STYLE_HASH: Final = b64encode(sha256(_STYLE.encode()).digest()).decode()
_HTML: Final = (b"content-type", b"text/html; charset=utf-8")


def page(
    title: str, content: str, *, status: int = 200, forms: tuple[str, ...] = (), more: tuple[Header, ...] = ()
) -> Answer:
    """Return a page. content: HTML, escaped already; forms: where its forms may lead, beside this server."""
    targets = " ".join(("'self'", *forms))
    policy = (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action {targets}; frame-ancestors 'none'; "
        "base-uri 'none'"
    )
    text = (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body><main><h1>{escape(title)}</h1>{content}</main></body></html>"
    )
    headers = (
        _HTML,
        (b"content-security-policy", policy.encode()),
        # With `no-referrer` a browser would not say which page sent a form.
        (b"referrer-policy", b"same-origin"),
        (b"x-frame-options", b"DENY"),
        (b"cross-origin-opener-policy", b"same-origin"),
        *NEVER_KEPT,
        *more,
    )
    return Answer(status, text.encode(), headers)


def sign_in_form(
    action: str, request: str, *, facts: Mapping[str, str], device: bool, user_code: str = "", wrong: str = ""
) -> str:
    """Return the form. request: what comes back with it; facts: what somebody signs in to; device: whether it asks for
    a device's code; wrong: what is told, empty for nothing."""
    told = f'<p role="alert">{escape(wrong)}</p>' if wrong else ""
    known = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    code = _field("user_code", "Code that the device shows", "text", "off", user_code, "characters") if device else ""
    return (
        f"{told}<dl>{known}</dl>"
        f'<form method="post" action="{escape(action)}">'
        f'<input type="hidden" name="request" value="{escape(request)}">'
        f"{code}"
        f"{_field('name', 'Name', 'text', 'username')}"
        f"{_field('secret', 'Secret', 'password', 'current-password')}"
        f"{_field('code', 'Code of your authenticator', 'text', 'one-time-code', '', 'off', 'numeric')}"
        '<button type="submit">Sign in</button></form>'
    )


def going_on_form(action: str, fields: Mapping[str, str]) -> str:
    """Return the form that brings an answer to a program on the same machine."""
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in fields.items()
    )
    return (
        "<p>You are signed in. The program that asked waits for you to go on.</p>"
        f'<form method="post" action="{escape(action)}">{hidden}'
        '<button type="submit" autofocus>Continue</button></form>'
    )


def _field(
    name: str, label: str, kind: str, autocomplete: str, value: str = "", capitals: str = "off", mode: str = "text"
) -> str:
    return (
        f'<label for="{name}">{escape(label)}</label>'
        f'<input id="{name}" name="{name}" type="{kind}" required autocomplete="{autocomplete}" maxlength="200" '
        f'autocapitalize="{capitals}" spellcheck="false" inputmode="{mode}" value="{escape(value)}">'
    )
