"""The names of the conventions are those of the package that defines them."""

from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as official
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE

from server.telemetry import conventions as names

NAMES = [str(each) for name, each in vars(names).items() if name.isupper() and "." in str(each)]


def test_names_are_those_of_the_semantic_conventions_or_begin_with_ours() -> None:
    known = {each for name, each in vars(official).items() if name.startswith("GEN_AI_")}
    theirs = {each for each in NAMES if not each.startswith("chorus.")}
    assert theirs - known == {ERROR_TYPE}


def test_values_are_those_of_the_semantic_conventions() -> None:
    operations = {each.value for each in official.GenAiOperationNameValues}
    assert {names.INVOKE_AGENT, names.CHAT, names.RETRIEVAL} <= operations
    assert names.OPENAI in {each.value for each in official.GenAiProviderNameValues}
    assert {names.TEXT, names.JSON} <= {each.value for each in official.GenAiOutputTypeValues}
