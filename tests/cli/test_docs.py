"""The README and the commands know each other."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dacse_cli.cli.app import app

README = (Path(__file__).parents[2] / "README.md").read_text()
COMMANDS = [command.name or command.callback.__name__ for command in app.registered_commands] + [
    f"{group.typer_instance.info.name} {command.name or command.callback.__name__}"
    for group in app.registered_groups
    for command in group.typer_instance.registered_commands
]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_readme_and_explains_itself(name):
    assert f"dacse {name}" in README
    result = CliRunner().invoke(app, [*name.split(), "--help"])
    assert result.exit_code == 0
    assert "Examples" in result.stdout


def test_the_readme_names_no_command_that_is_not_there():
    named = set(re.findall(r"^dacse ([a-z]+)", README, flags=re.MULTILINE))
    assert named <= {name.split()[0] for name in COMMANDS}


def test_every_room_is_in_the_readme():
    rooms = {path.name for path in (Path(__file__).parents[2] / "dacse_cli").iterdir() if path.is_dir()}
    for room in rooms - {"__pycache__", "models"}:
        assert f"`{room}/`" in README
