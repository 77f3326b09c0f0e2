"""Texts as words, in the languages that are known and in those that are not."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest
import Stemmer  # type: ignore[import-not-found]  # an extension, without stubs

from storage.memory.months import MONTHS
from storage.memory.stop_words import STOP_WORDS
from storage.memory.words import PLAIN, language_of, stemmed, terms_of, written
from tests.support.eventually import PATIENCE


def found_by(text: str) -> list[str]:
    return terms_of(text, None).words


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Where did we put the keys of the shed?", "english"),
        ("Wo stehen die Schlüssel des Gewächshauses?", "german"),
        ("Où sont les clés de l'atelier ?", "french"),
        ("¿Dónde están las llaves del taller?", "spanish"),
        ("Dove sono le chiavi del capanno?", "italian"),
        ("Onde estão as chaves da oficina, e quem as tem?", "portuguese"),
        ("Waar zijn de sleutels van het schuurtje?", "dutch"),
        ("Var är nycklarna till växthuset?", "swedish"),
        ("Hvor har du lagt nøglerne til skuret, og hvad gør vi nu?", "danish"),
        ("Hvor er nøklene til boden, og hva gjør vi nå?", "norwegian"),
        ("Где ключи от сарая, и кто их взял?", "russian"),
    ],
)
def test_function_words_tell_the_language(text: str, language: str) -> None:
    assert language_of(written(text)) == language


def test_every_language_has_a_stemmer_and_twelve_months() -> None:
    assert STOP_WORDS.keys() == MONTHS.keys()
    for language, months in MONTHS.items():
        assert stemmed(["x"], language) == ["x"]
        assert len(set(months)) == 12
        assert set(months).isdisjoint(STOP_WORDS[language]), "a month would not be asked for"


def test_a_message_is_found_by_its_day() -> None:
    assert terms_of("The hall is cold.", date(2024, 3, 5)).words == [
        *("hall", "cold", "5", "march", "2024", "03", "05"),
    ]
    assert terms_of("會場", date(2024, 11, 15)).words == ["會場", "15", "11", "2024"]


def test_forms_of_a_word_are_found_by_one_stem() -> None:
    assert found_by("She paints in the greenhouses.") == found_by("Who painted the greenhouse?")


def test_marks_case_and_widths_of_letters_say_nothing() -> None:
    assert found_by("KEEL, bolts!") == found_by("the keel's bolts")
    assert found_by("\N{FULLWIDTH LATIN SMALL LETTER K}eel") == found_by("keel")


@pytest.mark.parametrize("text", ["温室の鍵はどこですか", "กุญแจอยู่ที่ไหน"])
def test_a_script_without_spaces_gives_pairs_of_neighbours(text: str) -> None:
    assert language_of(written(text)) == PLAIN
    assert found_by(text)
    assert all(1 <= len(word) <= 2 for word in found_by(text))


def test_a_language_without_stemmer_keeps_its_words() -> None:
    assert found_by("Kde jsou klíče od skleníku") == ["kde", "jsou", "klíče", "od", "skleníku"]


def test_a_text_without_letters_has_no_words() -> None:
    assert found_by("?! ... --") == []


class OfOneThread:
    """A stemmer that may be used by the thread alone that made it."""

    def __init__(self, language: str) -> None:
        self._thread = threading.get_ident()

    def stemWords(self, words: list[str]) -> list[str]:  # noqa: N802 - the library's name
        assert threading.get_ident() == self._thread, "a stemmer keeps state: one for each thread"
        return words


def test_threads_that_look_for_words_at_once_share_no_stemmer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Stemmer, "Stemmer", OfOneThread)
    both_are_here = threading.Barrier(2)

    def find(text: str) -> list[str]:
        both_are_here.wait(PATIENCE)
        return found_by(text)

    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(find, ["Where are the keys?", "Where are the bolts?"]))
    assert [words[-1] for words in found] == ["keys", "bolts"]
