"""Which addresses events may go to: none of this machine, of a private network, or of a cloud's metadata."""

import pytest

from kvstack.vault.public_address import NotPublic, checked_addresses, why_not_public


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "100.100.100.200",
        "169.254.169.254",
        "168.63.129.16",
        "192.0.0.192",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "::10.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::1",
        "2002:7f00:0001::",
        "2002:a9fe:a9fe::1",
        "2001:0:7f00:1::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
    ],
)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert why_not_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "20.50.2.3", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]
)
def test_an_address_of_the_internet_is_not(address: str) -> None:
    assert why_not_public(address) == ""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0", "0x7f000001", "2130706433", "127.1", "017700000001"])
def test_however_this_machine_is_written_it_is_known(host: str) -> None:
    with pytest.raises(NotPublic):
        checked_addresses(host, 443, allowed=False)
    assert checked_addresses(host, 443, allowed=True)
