"""A request that is too long for the model is known from what endpoints say of it, over real HTTP."""

import json
from dataclasses import dataclass

import pytest
from aiohttp import web

from machines.models.errors import AIError
from machines.models.outputs import StepEnum
from tests.server.llm.test_openai import call, failure_of, model_at
from tests.support.scripted_endpoint import Script, ScriptedEndpoint, gives, says


@dataclass(frozen=True)
class Saying:
    """What an endpoint says of a request that it does not serve."""

    name: str
    source: str
    """Where it was seen."""
    status: int
    error: object
    """The body, or the sentence in a body of OpenAI's form."""


TOO_LONG = (
    Saying("OpenAI", "webtimemachine/wtm2#579", 400, {"error": {"code": "context_length_exceeded", "message": "This model's maximum context length is 128000 tokens. However, your messages resulted in 204308 tokens."}}),
    Saying("vLLM", "vllm-project/vllm#20409", 400, {"object": "error", "message": "This model's maximum context length is 16384 tokens. However, you requested 122946 tokens (112946 in the messages, 10000 in the completion). Please reduce the length of the messages or completion.", "type": "BadRequestError", "param": None, "code": 400}),
    Saying("vLLM, of the limit", "vllm-project/vllm#20409", 400, "'max_tokens' or 'max_completion_tokens' is too large: 4096. This model's maximum context length is 4096 tokens and your request has 1000 input tokens."),
    Saying("llama.cpp", "ggml-org/llama.cpp#15780", 400, {"error": {"code": 400, "message": "the request exceeds the available context size. try increasing the context size or enable context shift", "type": "exceed_context_size_error", "n_prompt_tokens": 1407, "n_ctx": 256}}),
    Saying("llama.cpp, while it answers", "ggml-org/llama.cpp#19774", 500, {"error": {"code": 500, "message": "Context size has been exceeded.", "type": "server_error"}}),
    Saying("llama-cpp-python", "fedora-copr/logdetective-website#193", 500, "Requested tokens (2285) exceed context window of 2048"),
    Saying("LM Studio", "lmstudio-ai/lmstudio-bug-tracker#546", 400, {"error": "Trying to keep the first 111490 tokens when context the overflows. However, the model is loaded with context length of only 32768 tokens, which is not enough."}),
    Saying("LM Studio, later", "Gitlawb/openclaude#353", 400, {"error": "The number of tokens to keep from the initial prompt is greater than the context length (n_keep: 13055>= n_ctx: 4096)."}),
    Saying("Ollama", "nano-step/nano-brain#208", 400, {"error": "the input length exceeds the context length"}),
    Saying("SGLang", "QwenLM/Qwen3#1321", 400, {"object": "error", "message": "The input (61709 tokens) is longer than the model's context length (40960 tokens).", "type": "BadRequestError", "param": None, "code": 400}),
    Saying("SGLang, of its memory", "sgl-project/sglang#4048", 400, "Input length (160062 tokens) exceeds the maximum allowed length (59862 tokens)."),
    Saying("vLLM, of its scheduler", "vllm-project/vllm#10440", 400, "Input prompt (35247 tokens) is too long and exceeds limit of 1000"),
    Saying("TGI", "huggingface/chat-ui#340", 422, {"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 1512. Given: 1000 `inputs` tokens and 1024 `max_new_tokens`"}),
    Saying("TGI, of the prompt", "huggingface/text-generation-inference#695", 422, {"error": "Input validation error: `inputs` must have less than 1024 tokens. Given: 1168"}),
    Saying("OpenRouter", "refly-ai/refly#1177", 400, "This endpoint's maximum context length is 32768 tokens. However, you requested about 42832 tokens (42832 of text input)."),
    Saying("Anthropic", "whoz-oss/coday#26", 400, {"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 207791 tokens > 200000 maximum"}}),
    Saying("Anthropic, of the limit", "docker/docker-agent#569", 400, "input length and `max_tokens` exceed context limit: 178959 + 64000 > 200000, decrease input length or `max_tokens` and try again"),
    Saying("Gemini", "google-gemini/gemini-cli#12098", 400, {"error": {"code": 400, "message": "The input token count (314175) exceeds the maximum number of tokens allowed (131072).", "status": "INVALID_ARGUMENT"}}),
    Saying("xAI", "cline/cline#3120", 400, "This model's maximum prompt length is 131072 but the request contains 136973 tokens."),
    Saying("SiliconFlow", "sjzar/chatlog#30", 400, "length of prompt_tokens (163280) must be less than max_seq_len (32768)."),
    Saying("GitHub Models", "cline/cline#2115", 413, {"error": {"code": "tokens_limit_reached", "message": "Request body too large for gpt-4o model. Max size: 8000 tokens."}}),
)  # fmt: skip

OF_SOMETHING_ELSE = (
    Saying("a rate", "fork-dev/TrackerWin#2595", 429, "Request too large for gpt-4o in organization on tokens per min (TPM): Limit 30000, Requested 132819. The input or output tokens must be reduced."),
    Saying("a parameter", "Gitlawb/openclaude#739", 422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "store"]}]}),
    Saying("the model", "the API reference", 404, "The model `x` does not exist or you do not have access to it."),
    Saying("the key", "the API reference", 401, "Incorrect API key provided. maximum context length"),
)  # fmt: skip

TOO_GREAT_A_LIMIT = (
    Saying("Groq", "Alishahryar1/free-claude-code#955", 400, {"error": {"message": "max_completion_tokens must be less than or equal to 512, the maximum value for max_completion_tokens is less than the context_window for this model", "param": "max_completion_tokens"}}),
    Saying("Groq, earlier", "khoj-ai/khoj#1236", 400, "`max_completion_tokens` must be less than or equal to `512`, the maximum value for `max_completion_tokens` is less than the `context_window` for this model"),
    Saying("OpenAI", "the API reference", 400, "max_tokens is too large: 1000. This model supports at most 512 completion tokens, whereas you provided 1000."),
    Saying("TGI", "huggingface/transformers#28523", 422, {"error": "Input validation error: `max_new_tokens` must be <= 512. Given: 1000"}),
)  # fmt: skip


def body_of(saying: Saying) -> object:
    return saying.error if isinstance(saying.error, dict) else {"error": {"message": saying.error}}


def refuses(saying: Saying) -> Script:
    async def script(_: ScriptedEndpoint, __: web.Request) -> web.StreamResponse:
        return web.json_response(body_of(saying), status=saying.status)

    return script


def named(saying: Saying) -> str:
    return saying.name


@pytest.mark.parametrize("saying", TOO_LONG, ids=named)
async def test_a_request_that_is_too_long_is_said_to_be_so(saying: Saying) -> None:
    for script in (refuses(saying), gives(body_of(saying))):
        failed = await failure_of(script)
        assert isinstance(failed.error, AIError)
        assert failed.error.context_exceeded
        assert not failed.error.retryable, "the same request is refused again"


@pytest.mark.parametrize("saying", OF_SOMETHING_ELSE, ids=named)
async def test_what_is_about_something_else_is_not_about_the_length(saying: Saying) -> None:
    failed = await failure_of(refuses(saying))
    assert isinstance(failed.error, AIError)
    assert not failed.error.context_exceeded


@pytest.mark.parametrize("saying", TOO_GREAT_A_LIMIT, ids=named)
async def test_a_limit_that_is_too_great_is_lowered_to_what_the_endpoint_takes(
    saying: Saying,
) -> None:
    async with model_at(refuses(saying), says("So.")) as (model, endpoint):
        for _ in range(2):
            await model.answer(call(StepEnum.ACTION), lambda _: None)
    limits = [asked["max_completion_tokens"] for asked in endpoint.asked]
    assert limits == [1_000, 512, 512]


def test_every_saying_is_json_and_names_where_it_was_seen() -> None:
    for saying in (*TOO_LONG, *OF_SOMETHING_ELSE, *TOO_GREAT_A_LIMIT):
        json.dumps(body_of(saying))
        assert "#" in saying.source or saying.source == "the API reference"
