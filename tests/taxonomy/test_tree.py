import pytest

from b2ner.errors import DataError, InputError
from b2ner.taxonomy.tree import read_tree

TYPE = """[[type]]
name = "city"
zh = "城市"
definition = "A large settlement; its districts are left out."
examples = ["In [Rome].", "To [Oslo]."]
near_miss = "[Rome] won."
near_miss_is = ""
"""


def test_a_type_knows_where_it_stands(tree):
    footballer = tree.type("footballer")
    assert tree.path(footballer) == "person -> athlete -> footballer"
    assert tree.path_zh(footballer) == "人物->运动员->足球运动员"
    assert [up.name for up in tree.ancestors(footballer)] == ["athlete", "person"]
    assert tree.parent(tree.type("person")) is None
    assert [kind.name for kind in tree.children(tree.type("person"))] == ["athlete", "politician"]
    below = [kind.name for kind in tree.below(tree.type("person"))]
    assert below == ["person", "athlete", "footballer", "politician"]
    roots = [kind.name for kind in tree.roots()]
    assert roots == ["person", "location", "organization", "movie title", "book title"]
    assert len(tree) == 9


@pytest.mark.parametrize(
    "label",
    ["Politician", "political  figure", "政治家", "person -> politician", "人物->政治人物"],
)
def test_a_type_is_found_by_each_of_its_names(tree, label):
    found = tree.find(label)
    assert found is not None
    assert found.name == "politician"


def test_an_unknown_name_lists_the_closest(tree):
    assert tree.find("polititian") is None
    with pytest.raises(InputError, match=r"'polititian' is no type.*closest: politician"):
        tree.type("polititian")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[type]\n", "not TOML"),
        (TYPE.replace('zh = "城市"\n', ""), "type 'city' zh: Field required"),
        (TYPE + 'colour = "red"\n', "type 'city' colour: Extra inputs"),
        (TYPE.replace('"A large', '7 # "A large'), "type 'city' definition: Input should be"),
        ("[[kind]]\n", "type: Field required"),
    ],
)
def test_a_branch_that_is_none_is_refused_with_its_place(tmp_path, text, message):
    (tmp_path / "places.toml").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message) as problem:
        read_tree(tmp_path)
    assert "places.toml" in str(problem.value)


def test_a_branch_in_another_encoding_is_refused(tmp_path):
    (tmp_path / "places.toml").write_bytes(TYPE.encode("gb18030"))
    with pytest.raises(DataError, match=r"places\.toml: not TOML"):
        read_tree(tmp_path)
