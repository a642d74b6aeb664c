"""What the embedded vault says of who is around a vault's certificates, as resources."""

from collections.abc import Iterable

from kvstack.backends.protocol import Actual, Deletion
from kvstack.resources.contact_list import Contact, ContactList, in_order
from kvstack.resources.issuer import Issuer
from kvstack.schema.resource import Resource
from kvstack.vault.certificates import rows


def of_issuer(issuer: rows.Issuer, vault: str, vault_path: str, deletion: Deletion | None = None) -> Actual[Resource]:
    """Return an issuer as read. vault: the name of its vault; vault_path: that one's scope."""
    return Actual(
        kind="issuer",
        id=f"{vault_path}/issuers/{issuer.name}",
        vault=vault,
        resource=Issuer(
            name=issuer.name,
            provider=issuer.provider,
            authority=issuer.authority,
            account_id=issuer.account_id,
            organization_id=issuer.organization_id,
            enabled=issuer.enabled,
        ),
        deletion=deletion,
    )


def of_contacts(
    people: Iterable[rows.Contact], vault: str, vault_path: str, deletion: Deletion | None = None
) -> Actual[Resource]:
    """Return a vault's list of contacts as read. vault: its name; vault_path: its scope."""
    return Actual(
        kind="contact_list",
        id=f"{vault_path}/contacts",
        vault=vault,
        resource=ContactList(people=in_order(tuple(Contact(one.email, one.name, one.phone) for one in people))),
        deletion=deletion,
    )
