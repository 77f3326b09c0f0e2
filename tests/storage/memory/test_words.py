"""Texts as words, in the languages that are known and in those that are not."""

from datetime import date

import pytest

from storage.memory.months import MONTHS
from storage.memory.stop_words import STOP_WORDS
from storage.memory.words import PLAIN, language_of, stemmed, terms_of, written


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
