"""Rights: every action on data has words people know, and one name."""

import pytest

from kvstack.terms.right import RIGHTS, right
from kvstack.terms.role import data_actions


def test_every_action_on_data_has_words() -> None:
    assert sorted(one.action for one in RIGHTS if one.data) == sorted(data_actions())


def test_no_two_have_one_name_or_words() -> None:
    assert len({one.name for one in RIGHTS}) == len({one.words for one in RIGHTS}) == len(RIGHTS)


@pytest.mark.parametrize("name", ["secrets/get", "Secrets/GET", "microsoft.keyvault/vaults/secrets/getSecret/action"])
def test_a_right_is_found_by_its_name_or_azures(name: str) -> None:
    assert right(name).words == "read secrets"


def test_a_name_that_is_not_there_is_told_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="there is no right `secrets/gett`; did you mean `secrets/get`"):
        right("secrets/gett")
