"""A whole vault moved to another store: exported into one file under a password, imported all at once or not at all."""

import uuid
from collections.abc import Callable, Iterable

import msgspec
from msgspec.structs import replace

from kvstack.hsm.protocol import HsmError, KeyMaterial, KeyReference, NotPortable
from kvstack.terms.diagnostic import Diagnostic
from kvstack.terms.scope import Scope
from kvstack.terms.secret import SecretValue
from kvstack.vault import denials
from kvstack.vault.access_policies import WRITE as WRITE_POLICIES
from kvstack.vault.access_policies import listed_policies
from kvstack.vault.assignment import RoleAssignment
from kvstack.vault.assignments import WRITE as WRITE_ASSIGNMENT
from kvstack.vault.assignments import AssignmentOperations, assignment_id
from kvstack.vault.caller import Caller
from kvstack.vault.certificates.rows import (
    CERTIFICATE_VERSIONS,
    CERTIFICATES,
    CONTACTS,
    ISSUED,
    ISSUERS,
    PENDING,
    REVOCATION_LISTS,
)
from kvstack.vault.eligibility import ELIGIBLE
from kvstack.vault.engine import Attempt
from kvstack.vault.errors import BadParameter, Forbidden, VaultError
from kvstack.vault.items import CERTIFICATE, KEY, KEYS, SECRET, SECRETS, pending_context
from kvstack.vault.pool_rules import require_place
from kvstack.vault.principals import WRITE as WRITE_PRINCIPAL
from kvstack.vault.records import Vault
from kvstack.vault.registry import PrincipalRow
from kvstack.vault.role_definitions import require_assignable
from kvstack.vault.secrets import value_context
from kvstack.vault.transfer_file import content_of, require_password, sealing
from kvstack.vault.transfer_rows import (
    Content,
    Exported,
    Given,
    Imported,
    Left,
    materials,
    placed,
    read,
    thing,
    without,
)
from kvstack.vault.vaults import READ, WRITE, WRITE_LOCK, VaultOperations, vault_problems
from kvstack.vault.versions import KEY_VERSIONS, SECRET_VERSIONS


class TransferOperations(VaultOperations, AssignmentOperations):
    """Vaults that leave their store, and arrive in another."""

    def export_vault(
        self, caller: Caller, vault: str, *, password: SecretValue, without_hsm_keys: bool = False
    ) -> Exported:
        """Return a vault with all in it as a file under a password. Keys in an HSM travel as they are wrapped.
        without_hsm_keys: leave out those that are objects of their token; they are refused otherwise, all at once."""
        with self._attempt(caller, "VaultExport", self._scope(vault)) as attempt:
            with attempt.look():
                self._exportable(attempt, vault)
            require_password(password)
            seal = sealing(password, self._random)
            with attempt.transaction():
                content = self._content_of(attempt, self._exportable(attempt, vault))
                stuck = _stuck(content, self._require_leaving)
                if stuck and not without_hsm_keys:
                    raise _refusal(stuck.values(), "they are objects of their token, and never leave it")
                content = without(content, stuck)
                left = (*stuck.values(), *self._not_taken(attempt, content.vault))
                attempt.details.update(_counts(content), left=str(len(left)))
            return Exported(
                vault=content.vault.name,
                blob=seal(msgspec.msgpack.encode(content)),
                keys=len(content.keys),
                secrets=len(content.secrets),
                certificates=len(content.certificates),
                assignments=len(content.assignments),
                policies=len(content.policies),
                left=left,
            )

    def import_vault(
        self, caller: Caller, blob: bytes, *, password: SecretValue, without_hsm_keys: bool = False
    ) -> Imported:
        """Make a vault of a file, with all that is in it, in one transaction. without_hsm_keys: leave out the keys this
        store's token cannot open; they are refused otherwise, all at once. Role assignments the caller may not make
        are left out. Raises BadParameter for a file that does not open, Conflict where the vault's name is taken."""
        with self._attempt(caller, "VaultImport", self.top) as attempt:
            content = read(content_of(blob, password))
            scope = replace(self._scope(content.vault.name), resource_group=content.vault.resource_group)
            attempt.subject = scope
            with attempt.look():
                self._require_importable(attempt, scope, content)
            # Tried, not believed: a version this token cannot open would be found out when it is needed.
            stuck = _stuck(content, lambda reference: self._provider(reference.material.provider).check(reference))
            if stuck and not without_hsm_keys:
                raise _refusal(stuck.values(), "this store's token cannot open them")
            content = without(content, stuck)
            with attempt.transaction():
                self._require_importable(attempt, scope, content)
                self._make_way(attempt, content.vault.name)
                home = replace(content.vault, id=str(uuid.UUID(bytes=self._random(16), version=4)))
                self._barrier.create_data_key(attempt.tx, home.id)
                attempt.changes_registry().put_vault(attempt.tx, home)
                here = placed(content, home)
                self._put_keys(attempt, here)
                silenced = self._put_secrets(attempt, here)
                self._put_certificates(attempt, here)
                refused = self._put_policies(attempt, here)
                given, not_given = self._put_access(attempt, here)
                left = (*stuck.values(), *silenced, *refused, *not_given)
                attempt.details.update(_counts(content), left=str(len(left)), taken=content.taken.isoformat())
                return Imported(
                    vault=home,
                    taken=content.taken,
                    keys=len(content.keys),
                    secrets=len(content.secrets),
                    certificates=len(content.certificates),
                    given=given,
                    policies=len(attempt.registry.policies(home).by_principal),
                    left=left,
                )

    # Leaving

    def _exportable(self, attempt: Attempt, name: str) -> Vault:
        """Return a live vault the caller may take away with all in it."""
        scope = self._would_be(attempt, name)
        there = attempt.registry.vault(name)
        if there is not None and there.pool is not None:
            attempt.require("Microsoft.KeyVault/managedHSMs/read", scope, data=False)
            raise BadParameter(
                f"`{there.name}` is a Managed HSM: it is not exported like a vault",
                f"`kvstack hsm backup {there.name}` writes it into a file that opens under its own security domain.",
            )
        home = self._managed(attempt, name, READ)
        for kind in (KEY, SECRET, CERTIFICATE):
            attempt.vault(name, kind.action("backup/action"))
        # No right of Azure's lets software keys out of a vault. Whoever runs the store has its files anyway.
        if attempt.caller.id != self._settings.operator_id:
            raise Forbidden(
                f"vault `{home.name}` is exported by the operator of its store only",
                "Its keys are in the file, for whoever has the password: `backup` writes what only this store opens.",
                inner="ForbiddenByStore",
            )
        return home

    def _require_leaving(self, reference: KeyReference) -> None:
        self._provider(reference.material.provider).require_portable(reference)

    def _content_of(self, attempt: Attempt, home: Vault) -> Content:
        """Return all there is in a vault, with what lay under the barrier in clear."""
        tx, here, scope = attempt.tx, home.id, attempt.scope_of(home)
        registry = attempt.registry
        assignments = [
            one for one in registry.role_assignments.values() if scope.contains(one.scope) and not one.activation
        ]
        policies = listed_policies(attempt, home.name)
        named = [one.principal_id for one in assignments] + [one.principal_id for one in policies]
        known = {principal: registry.principals.get(principal) for principal in named}
        return Content(
            taken=attempt.now,
            vault=home,
            keys=tuple(KEYS.scan(tx, vault_id=here)),
            key_versions=tuple(
                replace(row, sealed=self._reference(row).material.blob) for row in KEY_VERSIONS.scan(tx, vault_id=here)
            ),
            secrets=tuple(SECRETS.scan(tx, vault_id=here)),
            secret_versions=tuple(
                replace(row, sealed=self._barrier.open(here, value_context(here, row.folded, row.version), row.sealed))
                for row in SECRET_VERSIONS.scan(tx, vault_id=here)
            ),
            certificates=tuple(CERTIFICATES.scan(tx, vault_id=here)),
            certificate_versions=tuple(CERTIFICATE_VERSIONS.scan(tx, vault_id=here)),
            pending=tuple(
                replace(row, sealed=self._pending_reference(row, row.policy.key.specification).material.blob)
                for row in PENDING.scan(tx, vault_id=here)
            ),
            issued=tuple(ISSUED.scan(tx, vault_id=here)),
            revocation_lists=tuple(REVOCATION_LISTS.scan(tx, vault_id=here)),
            issuers=tuple(ISSUERS.scan(tx, vault_id=here)),
            contacts=() if (contacts := CONTACTS.get(tx, here)) is None else (contacts,),
            assignments=tuple(assignments),
            denials=tuple(one for one in registry.denials.values() if scope.contains(one.scope)),
            principals=tuple(replace(row, members=frozenset()) for row in known.values() if row is not None),
            policies=policies,
        )

    def _not_taken(self, attempt: Attempt, home: Vault) -> list[Left]:
        """Return the rights at a vault that are not in its file: somebody has to ask, or asked, for them here."""
        scope, roles = attempt.scope_of(home), attempt.registry.roles()
        words = [
            (one, "the role was taken up for a while; it is asked for anew where the vault arrives")
            for one in attempt.registry.role_assignments.values()
            if scope.contains(one.scope) and one.activation
        ]
        left = [Left(_role_words(one, roles[one.role_id].name), why) for one, why in words if one.role_id in roles]
        for eligible in ELIGIBLE.scan(attempt.tx):
            if scope.contains(eligible.scope):
                name = roles[eligible.role_id].name if eligible.role_id in roles else eligible.role_id
                left.append(
                    Left(
                        f"eligible: {name} for {eligible.principal_id}",
                        "eligible roles are made anew: `kvstack access`",
                    )
                )
        return left

    # Arriving

    def _require_importable(self, attempt: Attempt, scope: Scope, content: Content) -> None:
        wanted = content.vault
        attempt.require(WRITE, scope, data=False)
        if wanted.lock is not None:
            attempt.require(WRITE_LOCK, scope, data=False)
        if content.denials:
            # Without a denial somebody could do what he could not where the vault comes from.
            attempt.require(denials.WRITE, scope, data=False)
        found = list(vault_problems(wanted))
        if found:
            raise BadParameter.of(found)
        for key in content.keys:
            require_place(wanted, key.specification)
        if not attempt.changing:
            self._make_way(attempt, wanted.name)

    def _put_keys(self, attempt: Attempt, content: Content) -> None:
        for row in content.key_versions:
            material = KeyMaterial(row.provider, row.sealed, row.public)
            sealed = self._sealed_material(row.vault_id, row.folded, row.version, material)
            KEY_VERSIONS.put(attempt.tx, replace(row, sealed=sealed))
        for key in content.keys:
            KEYS.put(attempt.tx, key)

    def _put_secrets(self, attempt: Attempt, content: Content) -> list[Left]:
        """Keep the secrets. Returns what of them does not come along: nobody here has said whom to ask for values."""
        home = content.vault
        newest: dict[tuple[str, str], str] = {}
        left = list[Left]()
        for row in content.secret_versions:
            # A fingerprint is made with a key of the store, and this is another one.
            own = self._barrier.fingerprint((home.folded, row.folded), row.sealed)
            newest[row.folded, row.version] = own
            sealed = self._barrier.seal(home.id, value_context(home.id, row.folded, row.version), row.sealed)
            SECRET_VERSIONS.put(attempt.tx, replace(row, sealed=sealed, fingerprint=own))
        for secret in content.secrets:
            fingerprint = newest.get((secret.folded, secret.version), "")
            kept = replace(secret, fingerprint=fingerprint, underway=None)
            if kept.rotation is not None and kept.rotation.rotator is not None:
                # Without it a rotation would make versions that work nowhere.
                kept = replace(kept, rotation=replace(kept.rotation, rotator=None, enabled=False))
                left.append(
                    Left(f"secrets/{secret.name}", "its rotator is declared anew, its rotation is off until then")
                )
            SECRETS.put(attempt.tx, kept)
        return left

    def _put_certificates(self, attempt: Attempt, content: Content) -> None:
        tx, home = attempt.tx, content.vault
        for certificate in content.certificates:
            CERTIFICATES.put(tx, certificate)
        for version in content.certificate_versions:
            CERTIFICATE_VERSIONS.put(tx, version)
        for row in content.pending:
            sealed = self._barrier.seal(home.id, pending_context(home.id, row.folded, row.id), row.sealed)
            PENDING.put(tx, replace(row, sealed=sealed))
        for given in content.issued:
            ISSUED.put(tx, given)
        for published in content.revocation_lists:
            REVOCATION_LISTS.put(tx, published)
        for issuer in content.issuers:
            ISSUERS.put(tx, issuer)
        for contacts in content.contacts:
            CONTACTS.put(tx, contacts)

    def _put_policies(self, attempt: Attempt, content: Content) -> list[Left]:
        """Set the access policies that came along, where the caller may. Returns those that were left out."""
        home = content.vault
        try:
            attempt.require(WRITE_POLICIES, attempt.scope_of(home), data=False)
        except VaultError as error:
            return [Left(f"access policy of {one.principal_id}", error.summary) for one in content.policies]
        for one in content.policies:
            self._named(attempt, content, one.principal_id)
            mine = replace(one, updated=attempt.now, updated_by=attempt.caller.id)
            attempt.changes_registry().put_policy(attempt.tx, home, mine)
        return []

    def _named(self, attempt: Attempt, content: Content, principal_id: str) -> PrincipalRow | None:
        """Return what is known of a principal here; make it known as it was where the file was made, if need be."""
        there = attempt.registry.principals.get(principal_id)
        brought = next((one for one in content.principals if one.id == principal_id), None)
        if there is not None or brought is None or not attempt.may(WRITE_PRINCIPAL, self.top, data=False):
            return there
        attempt.changes_registry().put_principal(attempt.tx, replace(brought, members=frozenset()))
        return brought

    def _put_access(self, attempt: Attempt, content: Content) -> tuple[tuple[Given, ...], list[Left]]:
        """Give the roles that came along. Returns them, and those that were left out."""
        registry = attempt.changes_registry()
        top = self.top.subscription
        for denial in content.denials:
            scope = replace(denial.scope, subscription=top)
            own = denial.id == denials.denial_id(denial.scope, denial.name) or denial.id in registry.denials
            new_id = denials.denial_id(scope, denial.name) if own else denial.id
            registry.put_denial(attempt.tx, replace(denial, id=new_id, scope=scope, created_by=attempt.caller.id))
        given: list[Given] = []
        left: list[Left] = []
        # Decided before any is given: nobody gets the right to give roles from the file itself.
        decided = [(one, self._why_not(attempt, one)) for one in content.assignments]
        for one, why in decided:
            role = registry.roles().get(one.role_id)
            if role is None or why:
                left.append(Left(_role_words(one, role.name if role else one.role_id), why))
                continue
            there = self._named(attempt, content, one.principal_id)
            scope = replace(one.scope, subscription=top)
            made = assignment_id(one.scope, one.role_id, one.principal_id)
            own = one.id == made or one.id in registry.role_assignments
            new_id = assignment_id(scope, one.role_id, one.principal_id) if own else one.id
            registry.put_assignment(attempt.tx, replace(one, id=new_id, scope=scope, created_by=attempt.caller.id))
            given.append(Given(role.name, one.principal_id, there.name if there is not None else "", scope.path))
        return tuple(given), left

    def _why_not(self, attempt: Attempt, one: RoleAssignment) -> str:
        """Return why the caller cannot give a role here, empty where he can."""
        scope = replace(one.scope, subscription=self.top.subscription)
        role = attempt.registry.roles().get(one.role_id)
        if role is None:
            return "this store has no such role: make it first, then give it"
        try:
            require_assignable(attempt.registry.custom_roles.get(role.id), scope)
            self._require_may_hand_out(attempt, WRITE_ASSIGNMENT, scope, role)
        except VaultError as error:
            return error.summary
        return ""


def _stuck(content: Content, tried: Callable[[KeyReference], None]) -> dict[str, Left]:
    """Return the keys in an HSM that a provider refuses, by folded name. A software key it refuses is an error."""
    found: dict[str, Left] = {}
    for name, reference in materials(content):
        if name in found:
            continue
        try:
            tried(reference)
        except HsmError as error:
            if not reference.specification.in_hsm and not isinstance(error, NotPortable):
                raise
            found[name] = Left(thing(content, name), error.diagnostics[0].summary)
    return found


def _refusal(stuck: Iterable[Left], words: str) -> BadParameter:
    """Return one refusal that names every key that stays behind."""
    found = sorted(stuck, key=lambda left: left.thing)
    many = f"{len(found)} keys stay behind" if len(found) > 1 else "a key stays behind"
    error = BadParameter(f"{many}: {words}", "`--without-hsm-keys` leaves them out.")
    error.diagnostics += tuple(Diagnostic(summary=f"{left.thing}: {left.why}") for left in found)
    return error


def _counts(content: Content) -> dict[str, str]:
    return {name: str(len(getattr(content, name))) for name in ("keys", "secrets", "certificates", "assignments")}


def _role_words(one: RoleAssignment, role: str) -> str:
    return f"role: {role} for {one.principal_id}"
