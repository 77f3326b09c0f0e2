"""What changed in the code of guards and actions: found in the text of two versions, shown on the drawing,
told in Markdown."""

from collections.abc import Mapping
from typing import Final
from xml.etree import ElementTree

import pytest

from diagrams.changes import Change, MachineChanges, compare
from diagrams.changes_drawing import changes_picture
from diagrams.changes_report import Judged, interferes, report
from diagrams.code_changes import Code, CodeComparison
from diagrams.source import Codebase, UnreadableSource
from diagrams.usage import UsageCounter
from machines.declarations import Declaration

CHART: Final = '''
from shop import rules
from shop.limits import MOST
from shop.values import Added, Cart, Kind

raise AssertionError("nothing of the old version may run")


def there_is_room(cart: Cart, event: Added) -> bool:
    """The cart has room."""
    return _taken(cart) + event.count < MOST  # of things


def put(cart: Cart, event: Added) -> Cart:
    """What was added is in the cart."""
    owner = cart.owner()
    if event.kind is Kind.HEAVY:
        owner.warn()
    return cart.changed(count=cart.count + event.count)


def _taken(cart: Cart) -> int:
    return sum(line.weight for line in cart.lines if cart.is_open)


class CartChart(Chart[Cart]):
    """Cart: what is bought"""

    machine = "cart"
    add = on(Added, open.to(open), when=[there_is_room, rules.is_known], do=[put])


def cart_machine():
    return Machine(CartChart, states_of=lambda cart: (cart.status,), place=_place)


def _place(cart, event, states):
    return cart.changed(status=states[0])
'''

RULES: Final = '''
from . import limits
from .values import Added, Cart


def is_known(_: Cart, event: Added) -> bool:
    """The shop sells it."""
    return _prefixed(event) and event.name not in limits.REFUSED


def _prefixed(event: Added, depth: int = 0) -> bool:
    return event.name.startswith("a") or (depth < 3 and _prefixed(event, depth + 1))
'''

LIMITS: Final = """
MOST = 10
REFUSED = frozenset({"poison"})
UNUSED = 1
"""

VALUES: Final = """
from enum import StrEnum


class Kind(StrEnum):
    LIGHT = "light"
    HEAVY = "heavy"


class Frozen:
    def changed(self, **changes: object) -> Self:
        return self.model_copy(update=changes)


class Owner(Frozen):
    def warn(self) -> None:
        print("heavy")


class Line(Frozen):
    @property
    def weight(self) -> int:
        return 1


class Cart(Frozen):
    count: int = 0
    lines: tuple[Line, ...]

    @property
    def is_open(self) -> bool:
        return True

    def owner(self) -> Owner:
        return self.owners[0]


class One(Frozen):
    count: int = 1


class Many(Frozen):
    kind: Kind
    count: int


Added = One | Many
"""

SHOP: Final = {
    "shop": "",
    "shop.cart": CHART,
    "shop.rules": RULES,
    "shop.limits": LIMITS,
    "shop.values": VALUES,
}

CART: Final = Declaration.model_validate(
    {
        "machine": "cart",
        "fingerprint": "cart:0",
        "title": "Cart: what is bought",
        "states": [
            {"name": "open", "parent": None, "kind": "atomic", "initial": True, "final": False},
            {"name": "paid", "parent": None, "kind": "atomic", "initial": False, "final": True},
        ],
        "edges": [
            {
                "id": "edge_cart_add_open_open",
                "event": "add",
                "source": "open",
                "target": "open",
                "kind": "normal",
                "guards": ["there_is_room", "is_known"],
                "actions": ["put"],
            },
            {
                "id": "edge_cart_pay_open_paid",
                "event": "pay",
                "source": "open",
                "target": "paid",
                "kind": "normal",
                "guards": [],
                "actions": [],
            },
        ],
        "guards": {"is_known": "The shop sells it.", "there_is_room": "The cart has room."},
        "actions": {"put": "What was added is in the cart."},
    },
    strict=False,
)


def edited(module: str, old: str, new: str) -> dict[str, str]:
    text = SHOP[module]
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {module}"
    return {**SHOP, module: text.replace(old, new)}


def codebase(texts: Mapping[str, str], like: Codebase | None = None) -> Codebase:
    return Codebase(texts, ["shop"], like=like)


def compared(new: Mapping[str, str], declared: Declaration = CART) -> MachineChanges:
    old = codebase(SHOP)
    (changes,) = compare([CART], [declared], CodeComparison(old, codebase(new, old)))
    return changes


def code_of(changes: MachineChanges) -> Code:
    assert changes.code is not None
    return changes.code


# --- Finding -------------------------------------------------------------------------------------

SAME: Final = {
    "a comment": edited("shop.cart", "  # of things", ""),
    "a docstring": edited("shop.cart", "The cart has room.", "There is room in the cart."),
    "format": edited(
        "shop.cart", "_taken(cart) + event.count", "(_taken(cart)\n        + event.count)"
    ),
    "an annotation": edited(
        "shop.cart", "def _taken(cart: Cart) -> int", "def _taken(cart) -> float"
    ),
    "what nothing uses": edited("shop.limits", "UNUSED = 1", "UNUSED = 2"),
    "another way to import": {
        **SHOP,
        "shop.rules": RULES.replace("from . import limits", "import shop.limits").replace(
            "in limits.", "in shop.limits."
        ),
    },
    "a helper of another name": {**SHOP, "shop.cart": CHART.replace("_taken", "_weight_of")},
    "a helper in another module": {
        **SHOP,
        "shop.cart": CHART.replace(
            "from shop import rules", "from shop import rules\nfrom shop.sums import _taken"
        ).replace(
            "def _taken(cart: Cart) -> int:\n    return sum(line.weight for line in cart.lines if cart.is_open)\n",
            "",
        ),
        "shop.sums": "from shop.values import Cart\n\n\ndef _taken(cart: Cart) -> int:\n"
        "    return sum(line.weight for line in cart.lines if cart.is_open)\n",
    },
    "a guard in another module": {
        **SHOP,
        "shop.cart": CHART.replace("rules.is_known", "is_known").replace(
            "from shop import rules", "from shop.known import is_known"
        ),
        "shop.known": RULES,
    },
}


@pytest.mark.parametrize("new", SAME.values(), ids=SAME)
def test_code_that_says_the_same_is_no_change(new: dict[str, str]) -> None:
    changes = compared(new)
    assert code_of(changes) == Code()
    assert changes.change is Change.KEPT


OTHER: Final = {
    "a guard itself": (
        edited("shop.cart", "event.count < MOST", "event.count <= MOST"),
        {"there_is_room": ["there_is_room"]},
    ),
    "a helper": (edited("shop.rules", '"a"', '"b"'), {"is_known": ["_prefixed"]}),
    "a constant": (edited("shop.limits", "10", "12"), {"there_is_room": ["MOST"]}),
    "a constant of a module": (
        edited("shop.limits", '"poison"', '"poison", "fire"'),
        {"is_known": ["REFUSED"]},
    ),
    "a member of an enumeration": (
        edited("shop.values", '"heavy"\n', '"weighty"\n'),
        {"put": ["Kind.HEAVY"]},
    ),
    "a property of a parameter, in a helper": (
        edited("shop.values", "return True", "return False"),
        {"there_is_room": ["_taken > Cart.is_open"]},
    ),
    "a property of an element": (
        edited("shop.values", "return 1", "return 2"),
        {"there_is_room": ["_taken > Line.weight"]},
    ),
    "a method of what a method gives": (
        edited("shop.values", 'print("heavy")', "pass"),
        {"put": ["Owner.warn"]},
    ),
    "a method of a base": (
        edited("shop.values", "update=changes", "update=changes, deep=True"),
        {"put": ["Frozen.changed"]},
    ),
    "a default of one of a union": (
        edited("shop.values", "count: int = 1", "count: int = 2"),
        {"there_is_room": ["One.count"], "put": ["One.count"]},
    ),
    "a default that is new": (
        edited("shop.values", "    count: int\n", "    count: int = 3\n"),
        {"there_is_room": ["Many.count"], "put": ["Many.count"]},
    ),
    "a helper that is new": (
        {
            **SHOP,
            "shop.cart": CHART.replace("_taken(cart) + event.count", "_all(cart, event)")
            + "\n\ndef _all(cart, event):\n    return _taken(cart) + event.count\n",
        },
        {"there_is_room": ["there_is_room", "_all"]},
    ),
    "how a transition is written": (
        edited("shop.cart", "status=states[0]", "status=states[-1]"),
        {"_place": ["_place"]},
    ),
}


@pytest.mark.parametrize(("new", "found"), OTHER.values(), ids=OTHER)
def test_code_that_says_something_else_is_found_where_it_is(
    new: dict[str, str], found: dict[str, list[str]]
) -> None:
    changes = compared(new)
    assert {
        rule.name: [" > ".join((*part.through, part.name)) for part in rule.parts]
        for rule in code_of(changes).changed
    } == found
    assert changes.change is Change.CHANGED
    assert changes.computes
    assert not changes.removes


def test_a_guard_that_the_source_does_not_have_is_named_and_not_taken_for_the_same() -> None:
    changes = compared({**SHOP, "shop.rules": ""})
    assert code_of(changes).unknown == ("is_known",)
    assert changes.lacks_code
    assert code_of(compared({})).unknown == ("is_known", "there_is_room", "put")


def test_what_else_names_the_machine_is_not_taken_for_its_chart() -> None:
    journal = 'class CartFired:\n    machine: Literal["cart"] = "cart"\n'
    new = {"shop.a_journal": journal, **edited("shop.limits", "10", "12")}
    assert [each.name for each in code_of(compared(new)).changed] == ["there_is_room"]


def test_source_that_is_no_python_is_named() -> None:
    with pytest.raises(UnreadableSource, match=r"shop\.rules cannot be parsed as Python"):
        compared({**SHOP, "shop.rules": "def ("})


def test_a_guard_that_is_nested_too_deep_is_named() -> None:
    sum_of_many = " + ".join(["1"] * 700)
    with pytest.raises(UnreadableSource, match=r"MOST of shop\.limits is nested too deep"):
        compared({**SHOP, "shop.limits": LIMITS.replace("10", sum_of_many)})


def test_lines_are_counted_as_python_counts_them() -> None:
    ends_no_line = 'SEPARATOR = "\u2028"\n\x0c\n'
    new = {**SHOP, "shop.limits": ends_no_line + LIMITS.replace("10", "12")}
    (changed,) = code_of(compared(new)).changed
    assert [(part.old, part.new) for part in changed.parts] == [("MOST = 10", "MOST = 12")]


def test_the_code_of_a_guard_that_is_new_is_kept_too() -> None:
    raw = CART.model_dump(mode="json")
    raw["edges"][1]["guards"] = ["there_is_more"]
    raw["guards"]["there_is_more"] = ""
    new = {
        **SHOP,
        "shop.cart": CHART.replace(
            "    add = on", "    pay = on(when=[there_is_more])\n    add = on"
        )
        + "\n\ndef there_is_more(cart, event):\n    return _taken(cart) > MOST\n",
    }
    code = code_of(compared(new, Declaration.model_validate(raw, strict=False)))
    assert code.changed == ()
    (added,) = code.added
    assert [part.name for part in added.parts] == ["there_is_more"]


def test_a_guard_under_another_name_is_told_as_such() -> None:
    raw = CART.model_dump(mode="json")
    raw["edges"][0]["guards"] = ["it_fits", "is_known"]
    raw["guards"]["it_fits"] = raw["guards"].pop("there_is_room")
    new = {**SHOP, "shop.cart": CHART.replace("there_is_room", "it_fits")}
    changes = compared(new, Declaration.model_validate(raw, strict=False))
    assert code_of(changes) == Code(renamed=(("there_is_room", "it_fits"),))
    text = report([Judged(changes, None, None)], "a", "b", journal=None)
    assert "`it_fits` is `there_is_room` by another name: its code is the same." in text


def test_a_text_in_which_a_name_stands_for_something_else_is_told() -> None:
    new = edited("shop.cart", "import Added, Cart, Kind", "import Added, Cart, Other as Kind")
    new["shop.values"] = VALUES.replace("class Kind(StrEnum)", "class Other(StrEnum)")
    text = report([Judged(compared(new), None, None)], "a", "b", journal=None)
    assert "The text is the same; a name in it stands for something else." in text


# --- Showing -------------------------------------------------------------------------------------

BOUND: Final = edited("shop.limits", "MOST = 10", "MOST = 12")
ADD: Final = "edge_cart_add_open_open"


def test_an_edge_whose_code_alone_changed_is_amber_and_both_texts_are_on_the_drawing() -> None:
    changes = compared(BOUND)
    assert {each.edge.event: each.change for each in changes.edges} == {
        "add": Change.CHANGED,
        "pay": Change.KEPT,
    }
    picture = ElementTree.fromstring(changes_picture(changes, "Cart: a → b"))  # noqa: S314 - our own
    (edge,) = (each for each in picture.iter() if each.get("id") == ADD)
    assert edge.get("class") == "edge changed"
    words = " ".join(each.text or "" for each in edge.iter() if each.tag.endswith("text"))
    assert "code changed: there_is_room through MOST" in words
    (said,) = (each.text or "" for each in edge.iter() if each.tag.endswith("title"))
    assert "MOST used by there_is_room:\n-MOST = 10\n+MOST = 12" in said
    (head,) = (each for each in picture.iter() if each.get("id") == "legend_cart")
    shown = [each.text or "" for each in head.iter() if each.tag.endswith("text")]
    assert shown[-3:] == [
        "MOST used by there_is_room",
        "\N{MINUS SIGN} MOST = 10",
        "+ MOST = 12",
    ]


def test_the_summary_shows_each_difference_once_with_its_edges_and_who_took_them() -> None:
    counter = UsageCounter(CART, [ADD])
    counter.moved("cart", ADD, "open", "open")
    usage = counter.usage()
    changes = compared(BOUND)
    text = report([Judged(changes, None, usage)], "a", "b", journal="a journal")
    assert "1 edge changed, the code of `there_is_room` changed." in text
    assert (
        "`MOST` used by `there_is_room`:\n\n```diff\n-MOST = 10\n+MOST = 12\n```\n\n"
        "- `add` from `open` to `open` `[there_is_room, is_known] / put`:"
        " 1 live and 0 finished took it\n"
    ) in text
    assert "| 1 | `open` | continues, and meets changes: `add` has other code |" in text
    assert interferes(changes, usage)


def test_a_long_difference_is_folded_and_bounded_and_its_fence_is_longer_than_any_in_it() -> None:
    body = "".join(f'    line("```", {number})\n' for number in range(500))
    changes = compared(edited("shop.cart", "    owner = cart.owner()\n", body))
    text = report([Judged(changes, None, None)], "a", "b", journal=None)
    assert "<details>\n<summary>put (action): 501 lines</summary>\n\n````diff\n" in text
    assert "more lines\n````\n\n</details>" in text
    assert len(text.splitlines()) < 450
    assert "495 more lines are in the summary" in changes_picture(changes, "Cart: a → b")


def test_a_summary_says_why_code_was_not_compared() -> None:
    (changes,) = compare([CART], [CART])
    text = report(
        [Judged(changes, None, None)], "a", "b", journal=None, without_code="a has no source."
    )
    assert "The code of guards and actions was not compared: a has no source." in text


def test_a_summary_names_the_guards_whose_code_was_not_found() -> None:
    changes = compared({**SHOP, "shop.rules": ""})
    assert changes.change is Change.KEPT
    text = report([Judged(changes, None, None)], "a", "b", journal=None)
    assert "cart: the code of `is_known` was not found on both sides, and not compared." in text
