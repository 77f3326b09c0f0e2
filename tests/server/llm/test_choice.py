"""Which model a server chooses. No test looks for one: what is listed where is written down."""

from datetime import UTC, datetime

import pytest
from aiohttp import web

from server.llm.choice import (
    LOCAL_SERVERS,
    OPENAI_MODEL,
    OPENAI_URL,
    ModelNotChosen,
    Wanted,
    choose_model,
    find_endpoint,
    list_models,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OLLAMA, LM_STUDIO = LOCAL_SERVERS.values()
ELSEWHERE = "http://models.example:8000/v1"


class Lists:
    """A probe that knows these lists, and records who was asked."""

    def __init__(self, **lists: list[str]) -> None:
        places = {"ollama": OLLAMA, "lm_studio": LM_STUDIO, "elsewhere": ELSEWHERE}
        self._lists = {places[name]: tuple(models) for name, models in lists.items()}
        self.asked: list[tuple[str, str | None]] = []

    async def __call__(self, base_url: str, api_key: str | None) -> tuple[str, ...]:
        self.asked.append((base_url, api_key))
        return self._lists.get(base_url, ())


async def test_the_environment_comes_before_what_runs_here() -> None:
    lists = Lists(ollama=["llama"])
    found = await find_endpoint(Wanted(api_key="sk-1"), lists)
    assert found is not None
    assert (found.base_url, found.model, found.api_key) == (OPENAI_URL, OPENAI_MODEL, "sk-1")
    found = await find_endpoint(Wanted(api_key="sk-1", model="other"), lists)
    assert found is not None
    assert found.model == "other"
    found = await find_endpoint(Wanted(base_url=ELSEWHERE + "/", model="mine"), lists)
    assert found is not None
    assert (found.base_url, found.model, found.api_key) == (ELSEWHERE, "mine", None)
    found = await find_endpoint(Wanted(base_url=OPENAI_URL, api_key="sk-1"), lists)
    assert found is not None
    assert found.model == OPENAI_MODEL
    assert lists.asked == []


async def test_an_endpoint_without_a_named_model_gives_its_first_that_can_talk() -> None:
    lists = Lists(elsewhere=["text-embedding-3", "talker", "other"])
    for wanted in (Wanted(base_url=ELSEWHERE, api_key="k"), Wanted(llm=ELSEWHERE, api_key="k")):
        found = await find_endpoint(wanted, lists)
        assert found is not None
        assert found.model == "talker"
        assert "talker" in found.why
    assert lists.asked == [(ELSEWHERE, "k")] * 2


async def test_a_url_on_the_command_line_comes_before_the_environment() -> None:
    found = await find_endpoint(Wanted(llm=ELSEWHERE, base_url="http://x/v1", model="m"), Lists())
    assert found is not None
    assert found.base_url == ELSEWHERE


async def test_ollama_comes_before_lm_studio_and_no_key_is_shown_to_them() -> None:
    lists = Lists(ollama=["nomic-embed-text", "llama"], lm_studio=["qwen"])
    found = await find_endpoint(Wanted(), lists)
    assert found is not None
    assert (found.base_url, found.model) == (OLLAMA, "llama")
    assert "Ollama" in found.why
    assert "llama" in found.why
    assert {key for _, key in lists.asked} == {None}
    found = await find_endpoint(Wanted(), Lists(lm_studio=["qwen"]))
    assert found is not None
    assert (found.base_url, found.model) == (LM_STUDIO, "qwen")


async def test_a_named_model_is_looked_for_among_all_that_run_here() -> None:
    found = await find_endpoint(
        Wanted(model="qwen"), Lists(ollama=["llama"], lm_studio=["phi", "qwen"])
    )
    assert found is not None
    assert (found.base_url, found.model) == (LM_STUDIO, "qwen")


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(model="gone"),
        Wanted(base_url=ELSEWHERE),
        Wanted(llm=ELSEWHERE),
        Wanted(llm="gpt"),
        Wanted(llm="ftp://x/v1"),
        Wanted(llm="http://"),
        Wanted(llm="http://x:99999/v1", model="m"),
        Wanted(base_url="not an address", model="m"),
    ],
)
async def test_what_cannot_be_had_is_one_line_that_names_the_fix(wanted: Wanted) -> None:
    with pytest.raises(ModelNotChosen) as caught:
        await find_endpoint(wanted, Lists(ollama=["llama"]))
    assert "\n" not in str(caught.value)
    assert "CHORUS_MODEL" in str(caught.value) or "http://127.0.0.1" in str(caught.value)


async def test_with_nothing_the_offline_responder_answers_and_says_why() -> None:
    choice = await choose_model(Wanted(), clock=lambda: NOW, probe=Lists())
    await choice.model.close()
    assert (choice.model.name, choice.model.offline) == ("offline-extractive", True)
    assert "no language model" in choice.why
    assert "OPENAI_API_KEY" in choice.how_to_change


@pytest.mark.parametrize("llm", ["offline", " offline "])
async def test_offline_asks_nobody(llm: str) -> None:
    lists = Lists(ollama=["llama"])
    choice = await choose_model(Wanted(llm=llm, api_key="k"), clock=lambda: NOW, probe=lists)
    await choice.model.close()
    assert choice.model.offline
    assert lists.asked == []
    assert "--llm offline" in choice.why


@pytest.mark.parametrize("llm", ["", "auto"])
async def test_an_empty_variable_is_an_unset_one(llm: str) -> None:
    wanted = Wanted(llm=llm, api_key="", base_url="", model="")
    choice = await choose_model(wanted, clock=lambda: NOW, probe=Lists(ollama=["llama"]))
    await choice.model.close()
    assert (choice.model.name, choice.model.offline) == ("llama", False)
    assert "CHORUS_MODEL" in choice.how_to_change


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (lambda: web.json_response({"data": [{"id": "b"}, {"id": "a"}]}), ("b", "a")),
        (lambda: web.json_response({"data": []}), ()),
        (
            lambda: web.json_response(
                {
                    "data": [
                        {"id": each} for each in ("\x1b]0;mine\x07", "\u202eb", "", "x" * 201, "a")
                    ]
                }
            ),
            ("a",),
        ),
        (lambda: web.json_response({"data": None}), ()),
        (lambda: web.json_response(["x"]), ()),
        (lambda: web.json_response({"data": [{"id": "a"}]}, status=401), ()),
        (lambda: web.Response(text="<html>"), ()),
    ],
)
async def test_a_list_of_models_is_read_or_is_empty(response: object, expected: tuple[str]) -> None:
    async def models(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer key"
        assert callable(response)
        made = response()
        assert isinstance(made, web.Response)
        return made

    app = web.Application()
    app.router.add_get("/v1/models", models)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    assert await list_models(url, "key") == expected
    await runner.cleanup()
    assert await list_models(url, "key") == (), "a server that is gone lists nothing"
