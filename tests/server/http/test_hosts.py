"""Which Host and Origin mean this server, and whom a request is counted against."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.http.hosts import HostPolicy, address_of, is_loopback_address, subscriber_of

LOCAL = HostPolicy(None, 8080)
PUBLIC = HostPolicy(
    "https://Chorus.Example.org/", 8080, ("https://app.example.org", "http://localhost:5173")
)


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8080", "localhost:8080", "[::1]:8080", "LocalHost:8080"]
)
def test_without_a_url_the_loopback_names_with_the_port_are_this_server(host: str) -> None:
    assert LOCAL.check(host, None)
    assert LOCAL.check(host, "http://127.0.0.1:8080")
    assert LOCAL.check(host, "http://localhost:8080")
    assert LOCAL.check(host, "http://[::1]:8080")
    assert LOCAL.check(host, "http://[0:0::1]:8080")
    assert LOCAL.host_for_statement(host) == host.lower()
    assert LOCAL.url_for_statement(host) == f"http://{host.lower()}"


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "127.0.0.1",
        "127.0.0.1:8081",
        "127.0.0.2:8080",
        "0.0.0.0:8080",
        "::1:8080",
        "localhost.:8080",
        "localhost:8080.evil.org",
        "evil.org:8080",
        "evil.org",
        "127.0.0.1:8080, evil.org",
        "user@127.0.0.1:8080",
        " 127.0.0.1:8080",
        "127.0.0.1:08080",
    ],
)
def test_any_other_host_is_refused(host: str | None) -> None:
    assert not LOCAL.check(host, None)
    with pytest.raises(ValueError, match="check it first"):
        LOCAL.host_for_statement(host)


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "https://127.0.0.1:8080",
        "http://127.0.0.1",
        "http://127.0.0.1:8080/path",
        "http://127.0.0.1:8080@evil.org",
        "http://evil.org:8080",
        "http://[::1",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:8080 http://evil.org",
        "file://",
    ],
)
def test_any_other_origin_is_refused(origin: str) -> None:
    assert not LOCAL.check("127.0.0.1:8080", origin)


def test_a_configured_url_alone_is_this_server() -> None:
    assert PUBLIC.url == "https://chorus.example.org"
    for host in ("chorus.example.org", "CHORUS.example.org:443"):
        assert PUBLIC.check(host, None)
        assert PUBLIC.host_for_statement(host) == "chorus.example.org"
        assert PUBLIC.url_for_statement(host) == "https://chorus.example.org"
    for host in ("127.0.0.1:8080", "localhost:8080", "chorus.example.org:8080", "example.org"):
        assert not PUBLIC.check(host, None)


def test_a_configured_server_hears_its_own_page_and_the_allowed_ones() -> None:
    host = "chorus.example.org"
    for origin in (
        "https://chorus.example.org",
        "https://chorus.example.org:443",
        "https://app.example.org",
        "http://localhost:5173",
    ):
        assert PUBLIC.check(host, origin)
    for origin in (
        "http://chorus.example.org",
        "https://evil.org",
        "http://app.example.org",
        "http://localhost:5174",
        "http://127.0.0.1:8080",
    ):
        assert not PUBLIC.check(host, origin)


def test_on_the_default_port_a_host_may_leave_it_out() -> None:
    policy = HostPolicy(None, 80)
    assert policy.check("localhost", "http://localhost")
    assert policy.check("localhost:80", "http://localhost:80")
    assert policy.host_for_statement("localhost:80") == "localhost"
    assert policy.url == "http://127.0.0.1"


@pytest.mark.parametrize(
    "url",
    [
        "chorus.example.org",
        "ftp://a",
        "http://",
        "http://a:b",
        "http://u@a",
        "http://a?x",
        "http://a/b c",
        "http://a/b/../c",
        "http://a//b",
        "http://a/%2e",
        "http://a/b#c",
        "http://a b",
    ],
)
def test_a_url_that_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must be an address such as"):
        HostPolicy(url, 8080)
    with pytest.raises(ValueError, match="must be an address without a path"):
        HostPolicy(None, 8080, (url,))


def test_a_path_of_the_public_address_is_no_part_of_who_may_speak_to_it() -> None:
    for url in ("https://example.org/a/chorus", "https://example.org/a/chorus/"):
        policy = HostPolicy(url, 8080)
        assert (policy.url, policy.path) == ("https://example.org/a/chorus", "/a/chorus")
        assert policy.check("example.org", "https://example.org")
        assert policy.host_for_statement("example.org") == "example.org"
        assert policy.url_for_statement("example.org") == "https://example.org/a/chorus"
    assert HostPolicy("https://example.org/", 8080).path == ""


@given(st.text(max_size=40), st.text(max_size=40))
def test_whatever_the_headers_hold_is_judged_and_never_raises(host: str, origin: str) -> None:
    assert not LOCAL.check(host, None)
    assert not LOCAL.check("127.0.0.1:8080", origin)


PROXIES = tuple(map(ip_network, ("10.0.0.0/8", "::1", "192.0.2.7")))


@pytest.mark.parametrize(
    ("remote", "forwarded_for", "address"),
    [
        ("198.51.100.1", None, "198.51.100.1"),
        ("198.51.100.1", "203.0.113.9", "198.51.100.1"),
        ("10.1.2.3", "203.0.113.9", "203.0.113.9"),
        ("10.1.2.3", "1.1.1.1, 203.0.113.9", "203.0.113.9"),
        ("10.1.2.3", "1.1.1.1,203.0.113.9 , 192.0.2.7", "203.0.113.9"),
        ("10.1.2.3", "10.9.9.9, 192.0.2.7", "10.9.9.9"),
        ("10.1.2.3", None, "10.1.2.3"),
        ("10.1.2.3", "203.0.113.9, nonsense", "10.1.2.3"),
        ("::1", "2001:DB8::0001", "2001:db8::1"),
        ("::ffff:10.1.2.3", "203.0.113.9", "203.0.113.9"),
        ("fe80::1%eth0", None, "fe80::1"),
        (None, "203.0.113.9", "unknown"),
        ("", None, "unknown"),
    ],
)
def test_a_request_is_counted_against_the_last_address_that_a_trusted_proxy_names(
    remote: str | None, forwarded_for: str | None, address: str
) -> None:
    headers = () if forwarded_for is None else (forwarded_for,)
    assert address_of(remote, headers, PROXIES) == address


@given(st.text(max_size=60))
def test_nobody_untrusted_chooses_its_own_address(forwarded_for: str) -> None:
    assert address_of("198.51.100.1", (forwarded_for,), PROXIES) == "198.51.100.1"
    assert address_of("10.1.2.3", (forwarded_for,), ()) == "10.1.2.3"


def test_a_header_that_came_in_several_lines_is_one_list() -> None:
    assert address_of("10.1.2.3", ["1.1.1.1", "203.0.113.9, 10.0.0.1"], PROXIES) == "203.0.113.9"


def test_the_addresses_of_one_ipv6_subscriber_are_counted_together() -> None:
    assert subscriber_of("2001:db8::1") == subscriber_of("2001:db8::ffff:2")
    assert subscriber_of("2001:db8::1") != subscriber_of("2001:db8:0:1::1")
    assert subscriber_of("198.51.100.1") == "198.51.100.1"
    assert subscriber_of("unknown") == "unknown"


def test_loopback_peers_are_known_in_every_spelling() -> None:
    assert all(map(is_loopback_address, ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1")))
    assert not any(map(is_loopback_address, ("198.51.100.1", "::", "localhost", "", None)))
