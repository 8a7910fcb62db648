"""Calls that change the lock of a version that is there."""

from __future__ import annotations

from b2sdk.v3 import NO_RETENTION_FILE_SETTING, LegalHold

from b2jobs_worker.b2.accounts import Account
from b2jobs_worker.b2.calls import Calls
from b2jobs_worker.b2.protection import Retention
from b2jobs_worker.b2.versions import FileVersion


class LockCalls(Calls):
    """Retention and legal hold; see `Calls` for what every call does. Repeating one is harmless."""

    def update_retention(
        self, version: FileVersion, retention: Retention | None, *, bypass_governance: bool
    ) -> None:
        """Give *version* this *retention*, or none.

        Raises:
            CallerError: `lock_not_enabled`, `file_not_found`.
            OperatorError: `access_denied`: it would be weaker than what it has.
        """
        setting = NO_RETENTION_FILE_SETTING if retention is None else retention.setting()

        def update(account: Account) -> None:
            account.session.update_file_retention(
                version.file_id, version.name, setting, bypass_governance=bypass_governance
            )

        self.call("update_file_retention", update, needs=("writeFileRetentions",))

    def update_legal_hold(self, version: FileVersion, *, on: bool) -> None:
        """Put *version* under a hold, or lift it. Errors as `update_retention` has them."""
        hold = LegalHold.ON if on else LegalHold.OFF

        def update(account: Account) -> None:
            account.session.update_file_legal_hold(version.file_id, version.name, hold)

        self.call("update_file_legal_hold", update, needs=("writeFileLegalHolds",))
