"""The reasons of conditions and events: what the code says, the pages explain."""

from pages import reasons
from pages.suite import Stage

PARTS = ("- **Still works**: ", "- **Do**: ")


def test_reasons_have_sections(stage: Stage):
    """every reason that operator, relay or speaker may give has a section in docs/conditions, and every section is of one"""
    written, known = set(reasons.sections(stage.pages)), reasons.in_code()
    missing = [f"{word} ({known[word]})" for word in sorted(set(known) - written)]
    assert not missing, f"no heading in docs/conditions: {', '.join(missing)}"
    unknown = sorted(written - set(known) - reasons.OF_KUBERNETES)
    assert not unknown, f"nobody gives these reasons: {unknown}"


def test_other_words(_stage: Stage):
    """what is listed as no reason is still in the code"""
    for folder in reasons.OTHERS:
        gone = reasons.others(folder) - set(reasons.words(folder))
        assert not gone, f"{folder} has no {sorted(gone)}: remove them from pages/reasons.py"


def test_sections_are_complete(stage: Stage):
    """every section says what it means, what still works, what to do, and how to look closer"""
    for word, (page, text, languages) in reasons.sections(stage.pages).items():
        lead = text.strip().splitlines()[:1]
        assert lead and not lead[0].startswith("-"), f"{page.name}: {word} does not begin with what it means"
        lacking = [part.strip("-*: ") for part in PARTS if f"\n{part}" not in text]
        assert not lacking, f"{page.name}: {word} does not say: {', '.join(lacking)}"
        assert "sh" in languages, f"{page.name}: {word} has no command to look closer"


def test_index(stage: Stage):
    """the index of docs/conditions leads to every section"""
    index = next(page for page in stage.pages if page.path == reasons.PAGES / "README.md")
    wanted = {f"{page.path.name}#{word.lower()}" for word, (page, _, _) in reasons.sections(stage.pages).items()}
    linked = {target for _, target in index.links if "#" in target}
    assert linked == wanted, f"lacks {sorted(wanted - linked)}, has besides {sorted(linked - wanted)}"
