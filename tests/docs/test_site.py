"""The documentation's site: generated pages are current, and what it tells to type exists."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from dacse_cli.cli.app import app

DOCS = Path(__file__).parents[2] / "examples" / "docs"
PAGES = sorted(DOCS.glob("pages/*.md"))
WRITTEN = [page for page in PAGES if page.name not in ("commands.md", "library.md")]


def test_generated_pages_are_up_to_date():
    """Changed an option? Run `python examples/docs/generate.py` and commit what it writes."""
    command = [sys.executable, DOCS / "generate.py", "--check"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert result.returncode == 0, result.stderr


def commands_in(text):
    """Every `dacse ...` of the code blocks, split as a shell would."""
    for block in re.findall(r"```(?:sh)?\n(.*?)```", text, flags=re.DOTALL):
        for line in block.splitlines():
            for part in re.split(r"[|>]", line.partition("  #")[0]):
                if part.strip().startswith("dacse "):
                    yield shlex.split(part)[1:]


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.stem)
def test_commands_and_options_in_the_pages_exist(page):
    for words in commands_in(page.read_text()):
        command = typer.main.get_command(app)
        while words and hasattr(command, "commands"):
            name, *words = words
            assert name in command.commands or name.startswith("--"), f"no command {name}"
            if name.startswith("--"):
                break
            command = command.commands[name]
        known = {word for parameter in command.params for word in parameter.opts} | {"--help"}
        for word in words:
            if re.match(r"--?[a-z]", word):
                assert word in known, f"{command.name} has no {word}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_have_targets(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_every_page_is_in_the_menu():
    menu = (DOCS / "mkdocs.yml").read_text()
    assert all(page.name in menu for page in PAGES)


@pytest.mark.parametrize(
    "page", sorted(DOCS.parents[1].glob("*.md")) + sorted(DOCS.parent.rglob("*.md")), ids=str
)
def test_no_page_contains_merge_conflict_marks(page):
    assert not re.search(r"^(<{7}|={7}|>{7})( |$)", page.read_text(), flags=re.MULTILINE)
