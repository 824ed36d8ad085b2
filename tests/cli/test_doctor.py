"""The diagnosis says what would run, and fails with the code of the error that would stop a run."""

import json

import pytest
from typer.testing import CliRunner

from dacse_cli.cli.app import app
from dacse_cli.lm.bandwidth import step_bytes, weight_bytes
from dacse_cli.lm.checkpoint import load_language_model


def run(*args):
    return CliRunner().invoke(app, ["doctor", *map(str, args)])


def test_doctor_reports_every_finding_of_a_working_model(tiny_model):
    result = run("--model", tiny_model, "--device", "cpu", "--json")
    assert result.exit_code == 0, result.output
    found = {line["name"]: line for line in map(json.loads, result.stdout.splitlines())}
    assert {"dacse", "packages", "cache", "device", "runs", "memory", "bandwidth", "self-test"} <= set(found)
    assert found["self-test"]["state"] == "ok"
    assert "Llama 1 x 96" in found["runs"]["text"]


@pytest.mark.parametrize(("args", "code"), [(["--model", "absent/model"], 5), (["--device", "tpu"], 8)])
def test_doctor_exits_with_the_code_of_the_error_that_would_stop_a_run(tiny_model, args, code):
    model = [] if "--model" in args else ["--model", tiny_model]
    result = run(*args, *model)
    assert result.exit_code == code
    assert "bad" in result.stdout


def test_a_filter_has_device_memory_and_bandwidth_too(monkeypatch):
    monkeypatch.setattr("dacse_cli.api.doctor.has_gpu", lambda: False)
    lines = {line.split()[1]: line for line in run("--model", "nano").stdout.splitlines()}
    assert {"device", "memory", "bandwidth"} <= set(lines)
    assert "cores" in lines["device"] and "GB/s" in lines["bandwidth"] and "GB" in lines["memory"]
    assert "16 kHz" in lines["self-test"]


def test_bytes_read_per_step(tiny_model):
    """A layer of 4*96*96 + 3*96*192 + 2*96 and the last norm, 4 bytes each; the table is looked up."""
    lm = load_language_model(tiny_model, device="cpu", dtype="float32")
    layers = 4 * 96 * 96 + 3 * 96 * 192 + 2 * 96 + 96
    assert weight_bytes(lm) == 4 * layers
    assert step_bytes(lm, 2, 100) == 4 * layers + 2 * 100 * 2 * 96 * 4
