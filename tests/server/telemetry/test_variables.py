"""OpenTelemetry's variables: what turns exporting on, what is refused, what is shown."""

from pathlib import Path

import pytest

from server.settings import MASK, InvalidSettings
from server.telemetry.variables import ExportSettings, export_settings, shown_variables

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


def test_without_an_endpoint_nothing_is_exported() -> None:
    assert export_settings({"OTEL_SERVICE_NAME": "evening", "CHORUS_PORT": "1"}) is None
    assert export_settings({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}) is None


@pytest.mark.parametrize(
    ("variables", "endpoint"),
    [
        (ENDPOINT, "http://collector:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://c/otlp/"}, "https://c/otlp/v1/traces"),
        ({**ENDPOINT, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:1/t"}, "http://c:1/t"),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "http://localhost:4318/v1/traces"),
    ],
)
def test_an_endpoint_is_read_as_the_specification_has_it(
    variables: dict[str, str], endpoint: str
) -> None:
    assert export_settings(variables) == ExportSettings(endpoint=endpoint)


@pytest.mark.parametrize("off", [{"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}])
def test_it_is_turned_off_as_the_specification_has_it(off: dict[str, str]) -> None:
    assert export_settings({**ENDPOINT, **off}) is None
    forced = export_settings({**ENDPOINT, **off}, base="http://other:4318")
    assert forced is not None
    assert forced.endpoint == "http://other:4318/v1/traces", "a command that names one means it"


def test_batches_and_content_are_as_the_variables_say() -> None:
    said = {
        "OTEL_BSP_SCHEDULE_DELAY": "250",
        "OTEL_BSP_MAX_QUEUE_SIZE": "100",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY",
    }
    assert export_settings({**ENDPOINT, **said}) == ExportSettings(
        endpoint="http://collector:4318/v1/traces",
        content=True,
        delay_seconds=0.25,
        batch=100,
        queue=100,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:secret@collector"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "ftp://collector"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "secret"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "key=secret%0d%0aevil: 1"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "nan"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/no/such/file"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
        ("OTEL_RESOURCE_ATTRIBUTES", "nameless"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_BSP_SCHEDULE_DELAY", "1.5"),
        ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "some"),
        ("OTEL_SDK_DISABLED", "perhaps"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_variable(name: str, value: str) -> None:
    with pytest.raises(InvalidSettings) as error:
        export_settings({**ENDPOINT, name: value})
    (problem,) = error.value.problems
    assert problem.startswith(f"{name} must ")
    assert "secret" not in problem
    assert "\n" not in problem


def test_an_endpoint_of_an_option_is_told_by_the_option() -> None:
    with pytest.raises(InvalidSettings) as error:
        export_settings({}, base="nowhere")
    (problem,) = error.value.problems
    assert problem == "--endpoint must be an address such as http://127.0.0.1:4318"


def test_secrets_are_masked_where_variables_are_shown(tmp_path: Path) -> None:
    shown = list(
        shown_variables(
            {
                **ENDPOINT,
                "OTEL_EXPORTER_OTLP_HEADERS": "api-key=secret",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://me:secret@collector",
                "OTEL_SOMETHING_NEW": "secret",
                "OTEL_SERVICE_NAME": "evening",
                "PATH": "secret",
            }
        )
    )
    width = len("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    assert shown == [
        f"{'OTEL_EXPORTER_OTLP_ENDPOINT':<{width}}  http://collector:4318",
        f"{'OTEL_EXPORTER_OTLP_HEADERS':<{width}}  {MASK}",
        f"{'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT':<{width}}  {MASK}",
        f"{'OTEL_SERVICE_NAME':<{width}}  evening",
        f"{'OTEL_SOMETHING_NEW':<{width}}  {MASK}",
    ]
