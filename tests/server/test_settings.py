"""Settings: where they come from, what is refused and how it is said, what is shown."""

from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from server.settings import (
    MASK,
    InvalidSettings,
    Settings,
    load_settings,
    misspelt_variables,
    variable,
)

SECRET = "sk-very-secret"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine that runs the tests."""
    for name in Settings.model_fields:
        monkeypatch.delenv(variable(name), raising=False)


def problems_of(flags: dict[str, str | None] | None = None) -> tuple[str, ...]:
    with pytest.raises(InvalidSettings) as refused:
        load_settings(flags or {})
    return refused.value.problems


def test_defaults_are_those_of_the_protocol() -> None:
    settings = load_settings({})
    assert (settings.host, settings.port, settings.llm) == ("127.0.0.1", 8080, "auto")
    assert settings.data == Path("chorus-data")
    assert settings.compression is False
    limits = {
        "prompts_per_minute": 20,
        "frames_per_second": 50,
        "sign_ins_per_minute": 30,
        "connections_per_user": 20,
        "connections_per_address": 1_000,
        "thread_queue": 16,
        "pending_per_user": 3,
        "pending_per_thread": 100,
        "loop": "full",
        "context_tokens": None,
        "max_iterations": 3,
        "max_attempts": 4,
        "approval_days": 7,
        "session_hours": 24,
    }
    assert {name: getattr(settings, name) for name in limits} == limits


def test_a_flag_wins_over_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHORUS_PORT", "9000")
    monkeypatch.setenv("CHORUS_HOST", "192.0.2.1")
    settings = load_settings({"port": "9001", "host": None})
    assert (settings.port, settings.host) == (9001, "192.0.2.1")


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_an_empty_variable_is_an_unset_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    unset = load_settings({})
    monkeypatch.setenv(variable(name), "")
    settings = load_settings({})
    assert settings == unset
    assert name not in settings.model_fields_set


def test_an_empty_flag_is_refused() -> None:
    assert problems_of({"data": " "}) == ("--data must not be blank",)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        load_settings({}).port = 1  # type: ignore[misc]


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHORUS_ALLOWED_ORIGINS", "https://A.example:443/, http://b.example:81,")
    monkeypatch.setenv("CHORUS_TRUSTED_PROXIES", "10.0.0.0/8,::1")
    settings = load_settings({})
    assert settings.allowed_origins == ("https://a.example", "http://b.example:81")
    assert settings.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("::1"))


def test_a_key_from_a_file_loses_its_line_feed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{SECRET}\n")
    assert load_settings({}).openai_api_key == SecretStr(SECRET)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("CHORUS_PORT", "eighty", "CHORUS_PORT must be a whole number"),
        ("CHORUS_PORT", "65536", "CHORUS_PORT must be at most 65535"),
        ("CHORUS_PORT", "tcp://10.0.0.1:8080", "CHORUS_PORT must be a whole number"),
        ("CHORUS_MAX_ITERATIONS", "0", "CHORUS_MAX_ITERATIONS must be at least 1"),
        ("CHORUS_SESSION_HOURS", "0", "CHORUS_SESSION_HOURS must be above 0"),
        ("CHORUS_SESSION_HOURS", "nan", "CHORUS_SESSION_HOURS must be "),
        ("CHORUS_COMPRESSION", "perhaps", "CHORUS_COMPRESSION must be on or off"),
        ("CHORUS_LOOP", "long", "CHORUS_LOOP must be 'full' or 'short'"),
        ("CHORUS_CONTEXT_TOKENS", "512", "CHORUS_CONTEXT_TOKENS must be at least 2048"),
        ("CHORUS_HOST", " ", "CHORUS_HOST must not be blank"),
        ("CHORUS_LLM", "gpt", "CHORUS_LLM must be auto, offline, or the address"),
        ("CHORUS_LLM", "http://", "CHORUS_LLM must be auto, offline, or the address"),
        ("CHORUS_MODEL", "m\x1b]0;mine\x07", "CHORUS_MODEL must be printable text"),
        ("CHORUS_QDRANT_URL", "localhost:6333", "CHORUS_QDRANT_URL must be an address"),
        ("CHORUS_QDRANT_URL", "http://a.example:6333/?x=1", "CHORUS_QDRANT_URL must be an address"),
        ("CHORUS_QDRANT_URL", "http://key@a.example:6333", "CHORUS_QDRANT_URL must name no user"),
        ("CHORUS_QDRANT_CONNECTIONS", "0", "CHORUS_QDRANT_CONNECTIONS must be at least 1"),
        ("CHORUS_QDRANT_CONNECTIONS", "101", "CHORUS_QDRANT_CONNECTIONS must be at most 100"),
        ("CHORUS_QDRANT_SHARDS", "two", "CHORUS_QDRANT_SHARDS must be a whole number"),
        ("CHORUS_QDRANT_REPLICAS", "0", "CHORUS_QDRANT_REPLICAS must be at least 1"),
        ("CHORUS_QDRANT_REPLICAS", "2", "CHORUS_QDRANT_REPLICAS is set, and CHORUS_QDRANT_URL"),
        (
            "CHORUS_QDRANT_API_KEY",
            "k",
            "CHORUS_QDRANT_API_KEY is set, and CHORUS_QDRANT_URL is not",
        ),
        ("CHORUS_REDIS_URL", "http://a.example", "CHORUS_REDIS_URL must be an address"),
        ("CHORUS_REDIS_URL", "redis://a.example:99999", "CHORUS_REDIS_URL must be an address"),
        ("CHORUS_REDIS_URL", "redis://a.example/one", "CHORUS_REDIS_URL must be an address"),
        ("CHORUS_REDIS_URL", "redis://a.example", "CHORUS_REDIS_URL is set, and"),
        ("CHORUS_DATABASE_URL", "mysql://a.example/b", "CHORUS_DATABASE_URL must be an address"),
        ("CHORUS_DATABASE_URL", "postgresql://a.example", "CHORUS_DATABASE_URL must be an addr"),
        ("CHORUS_DATABASE_URL", "postgres://a:b/c", "CHORUS_DATABASE_URL must be an address"),
        ("CHORUS_PUBLIC_URL", "https://a.example/x y", "CHORUS_PUBLIC_URL must be an address"),
        ("CHORUS_ALLOWED_ORIGINS", "*", "CHORUS_ALLOWED_ORIGINS must be an address"),
        ("CHORUS_TRUSTED_PROXIES", "proxy", "CHORUS_TRUSTED_PROXIES must be networks"),
        ("CHORUS_DATA", "~nobody-of-this-name/x", "CHORUS_DATA names a home folder"),
        ("OPENAI_BASE_URL", "ftp://a.example", "OPENAI_BASE_URL must be an address"),
    ],
)
def test_a_wrong_variable_is_named_with_what_it_must_be(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    (problem,) = problems_of()
    assert problem.startswith(said)


@pytest.mark.parametrize(
    "name", ["OPENAI_API_KEY", "CHORUS_METRICS_TOKEN", "CHORUS_QDRANT_API_KEY"]
)
def test_what_is_wrong_with_a_secret_is_said_without_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, f"{SECRET}\x07{SECRET}")
    (problem,) = problems_of()
    assert name in problem
    assert SECRET not in problem


def test_a_secret_in_the_wrong_variable_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHORUS_LLM", SECRET)
    assert SECRET not in " ".join(problems_of())


def test_many_problems_are_three_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PORT", "MAX_ATTEMPTS", "THREAD_QUEUE", "APPROVAL_DAYS", "COMPRESSION"):
        monkeypatch.setenv(f"CHORUS_{name}", "x")
    with pytest.raises(InvalidSettings) as refused:
        load_settings({})
    lines = str(refused.value).splitlines()
    assert len(refused.value.problems) == 5
    assert len(lines) == 3
    assert lines[-1].endswith("(and 2 more)")


def test_every_setting_is_shown_and_secrets_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "CHORUS_METRICS_TOKEN", "CHORUS_QDRANT_API_KEY"):
        monkeypatch.setenv(name, SECRET)
    monkeypatch.setenv("CHORUS_QDRANT_URL", "http://qdrant.example:6333")
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://admin:{SECRET}@model.example/v1")
    monkeypatch.setenv("CHORUS_DATABASE_URL", f"postgres://ann:{SECRET}@db.example:5433/chorus")
    settings = load_settings({"port": "9001"})
    assert settings.journal_place == "postgresql://db.example:5433/chorus"
    shown = settings.show()
    assert SECRET not in "\n".join(shown)
    rows = {line.split()[0]: line.split()[1:] for line in shown}
    assert list(rows) == [variable(name) for name in Settings.model_fields]
    assert rows["OPENAI_API_KEY"] == [MASK]
    assert rows["OPENAI_BASE_URL"] == [f"http://{MASK}@model.example/v1"]
    assert rows["CHORUS_DATABASE_URL"] == [MASK]
    assert rows["CHORUS_PORT"] == ["9001"]
    assert rows["CHORUS_HOST"] == ["127.0.0.1", "#", "default"]


def test_a_misspelt_variable_is_told_and_others_are_left_alone() -> None:
    environment = {
        "CHORUS_PROT": "1",
        "CHORUS_PORT": "1",
        "CHORUS_KEY_FILE": "x",
        "CHORUS_SERVICE_PORT_8080_TCP_ADDR": "x",
    }
    (told,) = misspelt_variables(environment)
    assert told == "CHORUS_PROT is no setting and is ignored; did you mean CHORUS_PORT?"
