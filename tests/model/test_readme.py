"""What READMEs say of licences, and what is taken from them."""

from __future__ import annotations

import pytest

from b2ner.model.readme import licence_of, notice, stated_licence


@pytest.mark.parametrize(
    ("base", "licence"),
    [
        pytest.param("google/gemma-3-270m", "gemma", id="a hub id"),
        pytest.param("Gemma-2-2b", "gemma", id="a folder"),
        pytest.param("meta-llama/Llama-3.1-8B", "", id="depends on the version"),
        pytest.param("someone/not-gemma", "", id="another family"),
    ],
)
def test_only_sure_licences_are_told_from_a_name(base: str, licence: str) -> None:
    assert licence_of(base) == licence
    assert ("Gemma Terms of Use" in notice(licence)) == (licence == "gemma")


@pytest.mark.parametrize(
    ("readme", "licence"),
    [
        pytest.param("---\ntags: [x]\nlicense: apache-2.0\n---\n# A", "apache-2.0", id="plain"),
        pytest.param("---\nlicense: 'mit'\n---\n", "mit", id="quoted"),
        pytest.param("---\ntags: [x]\n---\nlicense: mit\n", "", id="below the facts"),
        pytest.param("# A\nlicense: mit\n", "", id="no facts"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_the_licence_that_a_readme_states(readme: str, licence: str) -> None:
    assert stated_licence(readme) == licence
