#!/usr/bin/env python3
"""A rotator for PostgreSQL passwords with two users that take turns: one works while the other gets a new password.

    python3 rotate.py --owner app_owner app_a app_b

kvstack writes each call on standard input, as JSON. The administrator's connection is libpq's own (PGHOST, PGUSER,
PGPASSFILE, PGSERVICE, ...). The secret is a JSON document: user, password, host, port, dbname. Needs psycopg 3.

Each call can come twice, at the same time even: it is the same twice as once. No password is an argument, is printed,
or reaches the server in clear: what is sent is the SCRAM verifier the server would keep of it.
"""

import argparse
import json
import sys
from typing import Any

import psycopg
from psycopg import sql

REFUSED = 65  # kvstack does not try the same again
_SECONDS = 10

Document = dict[str, Any]


class Refused(Exception):
    """What no second try would mend."""


def create(call: Document, users: list[str], admin: psycopg.Connection) -> Document:
    """Return what the secret is to be: the other user, with the password kvstack has drawn."""
    used = credentials(call["current"]["value"]).get("user")
    return {
        "user": users[1] if used == users[0] else users[0],
        "password": call["pending"]["value"],
        "host": admin.info.host,
        "port": admin.info.port,
        "dbname": admin.info.dbname,
    }


def set_password(call: Document, users: list[str], admin: psycopg.Connection) -> None:
    """Give the pending user its new password, and never the one that consumers log in as."""
    pending = credentials(call["pending"]["value"])
    user, password = pending.get("user"), pending.get("password")
    if user not in users or not password:
        raise Refused("the pending value names none of the users, or has no password")
    if user == credentials(call["current"]["value"]).get("user"):
        raise Refused("the pending user is the one that is used now")
    verifier = admin.pgconn.encrypt_password(password.encode(), user.encode(), b"scram-sha-256").decode()
    admin.execute(sql.SQL("ALTER ROLE {} WITH LOGIN PASSWORD {}").format(sql.Identifier(user), sql.Literal(verifier)))


def test(call: Document, owner: str) -> None:
    """Log in as consumers will, and do what they need."""
    pending = credentials(call["pending"]["value"])
    with psycopg.connect(**pending, connect_timeout=_SECONDS, application_name="kvstack rotator") as connection:
        member = "SELECT current_user::text, pg_has_role(session_user, %s, 'MEMBER')"
        if connection.execute(member, (owner,)).fetchone() != (owner, True):
            raise Refused(f"{pending['user']} does not act as {owner}: see roles.sql")


def undo(call: Document, users: list[str], admin: psycopg.Connection) -> None:
    """Take the password of a user away that consumers do not use."""
    user = credentials(call["pending"]["value"]).get("user")
    if user in users and user != credentials(call["current"]["value"]).get("user"):
        admin.execute(sql.SQL("ALTER ROLE {} WITH PASSWORD NULL").format(sql.Identifier(user)))


def credentials(value: Any) -> Document:
    """Return the document a value is; empty where it is none, as the first one is that kvstack has only drawn."""
    try:
        document = json.loads(value)
    except (TypeError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def main() -> int:
    """Do what one call asks for."""
    parser = argparse.ArgumentParser(description="Rotate a PostgreSQL password between two users.")
    parser.add_argument("--owner", required=True, help="The role both users act as.")
    parser.add_argument("users", nargs=2, help="The two users.")
    options = parser.parse_args()
    call: Document = json.load(sys.stdin)
    try:
        if call["phase"] == "test":
            test(call, options.owner)
            return 0
        if call["phase"] == "finish":
            return 0  # the user before keeps its password until it is its turn again
        with psycopg.connect("", autocommit=True, connect_timeout=_SECONDS) as admin:
            match call["phase"]:
                case "create":
                    json.dump({"value": json.dumps(create(call, options.users, admin))}, sys.stdout)
                case "set":
                    set_password(call, options.users, admin)
                case "rollback":
                    undo(call, options.users, admin)
    except Refused as refused:
        sys.stderr.write(f"{refused}\n")
        return REFUSED
    except psycopg.Error as error:
        sys.stderr.write(" ".join(str(error).split()) + "\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
