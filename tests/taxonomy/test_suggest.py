from b2ner.taxonomy.suggest import suggest
from b2ner.taxonomy.usage import usage


def found(tree, small_mappings, label, description=""):
    return suggest(tree, usage(small_mappings.values()), label, description)


def test_a_name_of_a_type_gives_its_canonical_name(tree, small_mappings):
    result = found(tree, small_mappings, "Football player")
    assert result.exact is tree.type("footballer")
    assert result.name == "footballer"
    assert tree.type("athlete") in result.near_misses


def test_a_raw_label_is_named_by_what_data_sets_mean(tree, small_mappings):
    result = found(tree, small_mappings, "PER")
    assert result.exact is None
    assert result.closest[0].type.name == "person"
    assert result.name == "person"
    assert result.meanings == {"person": 2}


def test_a_label_of_two_meanings_shows_both(tree, small_mappings):
    result = found(tree, small_mappings, "title")
    assert result.meanings == {"movie title": 1, "book title": 1}


def test_a_description_finds_what_the_name_does_not(tree, small_mappings):
    assert found(tree, small_mappings, "contestant").closest == ()
    result = found(tree, small_mappings, "contestant", "somebody who competes in sport")
    assert result.closest[0].type.name == "athlete"
    assert result.name == "person -> contestant"


def test_an_unheard_label_keeps_its_words(tree, small_mappings):
    assert found(tree, small_mappings, "SoilHorizon").name == "soil horizon"
