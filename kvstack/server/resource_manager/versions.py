"""Which versions of the API each resource provider has. Source: what Azure's clients of the years send."""

from typing import Final

KEY_VAULT: Final = (
    "2015-06-01",
    "2016-10-01",
    "2018-02-14",
    "2019-09-01",
    "2021-10-01",
    "2022-07-01",
    "2022-11-01",
    "2023-02-01",
    "2023-07-01",
    "2024-11-01",
    "2025-05-01",
    "2026-02-01",
    "2026-05-15",
)
MANAGED_HSM: Final = tuple(one for one in KEY_VAULT if one >= "2021-10-01")
# From here on a vault goes by roles where nothing else is said; before, by access policies.
ROLES_BY_DEFAULT: Final = "2026-02-01"
RESOURCES: Final = (
    "2014-04-01",
    "2015-11-01",
    "2016-06-01",
    "2018-05-01",
    "2019-05-01",
    "2019-06-01",
    "2019-10-01",
    "2019-11-01",
    "2020-01-01",
    "2020-06-01",
    "2020-10-01",
    "2021-01-01",
    "2021-04-01",
    "2022-09-01",
    "2022-12-01",
    "2023-07-01",
    "2024-03-01",
    "2024-11-01",
)
AUTHORIZATION: Final = (
    "2015-07-01",
    "2018-01-01-preview",
    "2018-07-01",
    "2018-09-01-preview",
    "2020-04-01-preview",
    "2020-10-01-preview",
    "2022-04-01",
)
ROLE_DEFINITIONS: Final = (*AUTHORIZATION, "2022-05-01-preview")
DENY_ASSIGNMENTS: Final = ("2018-07-01-preview", "2022-04-01")
SCHEDULES: Final = ("2020-10-01-preview", "2020-10-01", "2022-04-01-preview")
IDENTITIES: Final = (
    "2015-08-31-preview",
    "2018-11-30",
    "2021-09-30-preview",
    "2022-01-31-preview",
    "2023-01-31",
    "2024-11-30",
    "2025-05-31-preview",
)
