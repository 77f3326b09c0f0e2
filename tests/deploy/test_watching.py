"""The dashboard and the alerts ask for series that the server has, each by the name that its kind has."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from server.metrics import Metrics
from tests.deploy.files import DEPLOY, compose, parsed

OPERATIONS: Final = DEPLOY.parent / "docs" / "operations.md"
SERIES: Final = re.compile(r"\bchorus_\w+")


def known() -> set[str]:
    """Names of samples: a counter's ends with `_total`, a histogram has three."""
    found: set[str] = set()
    told = re.findall(r"^# TYPE (\w+) (\w+)", Metrics().text().decode(), re.MULTILINE)
    for name, kind in told:
        endings = ("_bucket", "_count", "_sum") if kind == "histogram" else ("",)
        found |= {f"{name}{ending}" for ending in endings}
    return {name for name in found if not name.endswith("_created")}


def dashboard() -> dict[str, Any]:
    whole: dict[str, Any] = json.loads((DEPLOY / "grafana" / "chorus.json").read_text("utf-8"))
    return whole


def alerts() -> list[dict[str, Any]]:
    (whole,) = parsed(DEPLOY / "prometheus" / "alerts.yaml")
    return [rule for group in whole["groups"] for rule in group["rules"]]


def expressions() -> Iterator[str]:
    """Of the dashboard and of the alerts."""
    for panel in dashboard()["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    yield from (rule["expr"] for rule in alerts())


def test_every_series_that_is_asked_for_is_one_of_the_server() -> None:
    asked = {name for expression in expressions() for name in SERIES.findall(expression)}
    assert asked - known() == set()


def test_the_dashboard_shows_every_series() -> None:
    shown = {
        name
        for panel in dashboard()["panels"]
        for target in panel["targets"]
        for name in SERIES.findall(target["expr"])
    }
    bare = {re.sub(r"_(bucket|count|sum)$", "", name) for name in known()}
    assert bare - {re.sub(r"_(bucket|count|sum)$", "", name) for name in shown} == set()


def test_panels_have_places_of_their_own_and_balanced_expressions() -> None:
    taken: set[tuple[int, int]] = set()
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    for expression in expressions():
        for opening, closing in ("()", "{}", "[]"):
            assert expression.count(opening) == expression.count(closing), expression


def test_every_alert_says_how_grave_it_is_and_what_it_means() -> None:
    rules = alerts()
    names = [rule["alert"] for rule in rules]
    assert len(set(names)) == len(names)
    for rule in rules:
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"]["summary"]
    told = re.findall(r"^\| (Chorus\w+) \|", OPERATIONS.read_text("utf-8"), re.MULTILINE)
    assert told == names, "docs/operations.md says of each what to do, in the same order"


def test_prometheus_asks_every_server_of_the_composition_and_grafana_asks_prometheus() -> None:
    (scraping,) = parsed(DEPLOY / "prometheus" / "prometheus.yaml")
    (job,) = scraping["scrape_configs"]
    servers = {f"{name}:8080" for name in compose()["services"] if name.startswith("chorus-")}
    assert {target for each in job["static_configs"] for target in each["targets"]} == servers
    assert all(f'job="{job["job_name"]}"' in each for each in expressions() if "up{" in each)
    (source,) = parsed(DEPLOY / "grafana" / "datasource.yaml")
    (named,) = source["datasources"]
    assert named["url"].partition("//")[2].partition(":")[0] in compose()["services"]
