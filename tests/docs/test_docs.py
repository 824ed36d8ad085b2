"""What the pages of the repository name exists: commands, options, packages, files."""

import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from dacse_cli.cli.app import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "examples").rglob("*.md"),
    *(ROOT / "dacse_cli" / "models").rglob("*.md"),
    *(ROOT / "tests").rglob("*.md"),
]
SOURCES = [*(ROOT / "dacse_cli").rglob("*.py"), *(ROOT / "examples").rglob("*.py")]
GROUP = typer.main.get_command(app)
COMMANDS = [
    *(name for name in GROUP.commands if name != "train"),
    *(f"train {name}" for name in GROUP.commands["train"].commands),
]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_a_section(name):
    assert f"\n## dacse {name}\n" in (ROOT / "examples" / "docs" / "pages" / "commands.md").read_text()
    result = CliRunner().invoke(app, [*name.split(), "--help"])
    assert result.exit_code == 0
    assert "Examples" in result.stdout


def test_the_readme_names_only_existing_commands():
    named = set(re.findall(r"^dacse ([a-z]+)", README, flags=re.MULTILINE))
    assert named <= {name.split()[0] for name in COMMANDS}


def test_every_room_is_on_the_architecture_page():
    page = (ROOT / "examples" / "docs" / "pages" / "architecture.md").read_text()
    rooms = {path.name for path in (ROOT / "dacse_cli").iterdir() if path.is_dir()}
    for room in rooms - {"__pycache__", "models"}:
        assert f"`{room}/`" in page


def test_the_readme_links_to_files_that_exist():
    """Among them every page of the documentation."""
    links = set(re.findall(r"\]\(([^):#]+)\)", README))
    assert [link for link in links if not (ROOT / link).exists()] == []
    pages = (ROOT / "examples" / "docs" / "pages").glob("*.md")
    assert {page.relative_to(ROOT).as_posix() for page in pages} <= links


def known_options(command):
    for parameter in command.params:
        yield from (*parameter.opts, *parameter.secondary_opts)
    for inner in getattr(command, "commands", {}).values():
        yield from known_options(inner)


OTHERS = {
    "--atten-lim", "--attn-limit-db", "--batch", "--html",  # of the tools in peers.md
    "--force",  # of pipx
    "--check", "--nproc-per-node", "--version", "--help", "--help-all",
    "--install-completion", "--show-completion",
}  # fmt: skip
"""Options in our pages that are no options of a command of ours."""
SCRIPTS = {option for folder in ("examples", "tests") for path in (ROOT / folder).rglob("*.py")
           for option in re.findall(r'add_argument\(\s*"(--[a-z-]+)"', path.read_text())}  # fmt: skip


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_options_in_code_spans_exist(page):
    known = {*known_options(typer.main.get_command(app))} | OTHERS | SCRIPTS
    spans = re.findall(r"`[^`\n]+`", page.read_text())
    named = {option for span in spans for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", span)}
    assert named <= known


def test_named_files_exist():
    """Paths from the root of the repository."""
    path = re.compile(r"(?<![\w/.-])(?:tests|examples|dacse_cli)/[\w./-]*\w")
    named = {name: page for page in PAGES + SOURCES for name in path.findall(page.read_text())}
    assert {name: str(page) for name, page in named.items() if not (ROOT / name).exists()} == {}
