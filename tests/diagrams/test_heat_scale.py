"""The scale of heat can be read: by its figures, on light and on dark, and by those who see few colours."""

import itertools
from pathlib import Path

import pytest

import server
from diagrams.heat_scale import DARK, LIGHT, WIDTHS, Look, page_css
from machines.models.heat import CLASSES, class_begins, class_of, whole_begins
from tests.diagrams.colors import DEFICIENCIES, contrast, lightness, lightness_of, seen

BEGIN = "/* As `diagrams.heat_scale` has it. */\n\n"
END = "\n/* End of `diagrams.heat_scale`. */"

looks = pytest.mark.parametrize("look", [LIGHT, DARK], ids=["light", "dark"])


def test_the_style_sheet_of_the_page_is_that_of_the_scale() -> None:
    sheet = (Path(server.__file__).parent / "page" / "heat.css").read_text(encoding="utf-8")
    _, _, rest = sheet.partition(BEGIN)
    kept, end, _ = rest.partition(END)
    assert end
    assert kept == page_css(), "write `diagrams.heat_scale.page_css()` between its marks"


@looks
def test_words_on_a_class_and_its_lines_stand_out_from_what_is_behind_them(look: Look) -> None:
    assert all(contrast(ink, fill) >= 4.5 for ink, fill in zip(look.inks, look.fills, strict=True))
    assert all(contrast(line, look.ground) >= 3 for line in look.lines)
    assert contrast(look.never, look.ground) >= 4.5


@looks
@pytest.mark.parametrize("deficiency", ["none", *DEFICIENCIES])
def test_classes_differ_in_lightness_for_every_reader(look: Look, deficiency: str) -> None:
    for palette in (look.fills, look.lines):
        steps = [
            lightness(each) if deficiency == "none" else lightness_of(seen(each, deficiency))
            for each in palette
        ]
        differences = [after - before for before, after in itertools.pairwise(steps)]
        assert all(each > 8 for each in differences) or all(each < -8 for each in differences)


def test_a_class_has_its_width_too() -> None:
    assert all(after > 1.3 * before for before, after in itertools.pairwise(WIDTHS))
    assert len(WIDTHS) == len(LIGHT.fills) == len(DARK.lines) == CLASSES


@pytest.mark.parametrize(
    ("counts", "begins", "classes"),
    [
        ([], (), {}),
        ([7], (7,), {7: 2}),
        ([3, 3], (3,), {3: 2}),
        ([1, 2], (1, 2, 2, 2, 2), {1: 0, 2: 4}),
        ([1, 100_000], (1, 10, 100, 1_000, 10_000), {1: 0, 9: 0, 10: 1, 9_999: 3, 100_000: 4}),
    ],
)
def test_the_way_from_the_smallest_to_the_largest_is_divided_by_its_logarithm(
    counts: list[int], begins: tuple[int, ...], classes: dict[int, int]
) -> None:
    assert whole_begins(counts) == begins
    assert {each: class_of(begins, each) for each in classes} == classes


def test_each_number_is_in_a_class_that_begins_at_most_with_it() -> None:
    times = [0.0, 1.2, 3.0, 71.5, 9e6]
    begins = class_begins(times)
    assert class_of(begins, 0.0) == 0
    assert class_of(begins, 9e6) == CLASSES - 1
    for each in times[1:]:
        assert begins[class_of(begins, each)] <= each
    assert class_of(begins, 1e12) == CLASSES - 1, "edges that share a line are more together"
