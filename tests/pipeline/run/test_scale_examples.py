"""The job files can be read by what they are for; the predictor agrees with runs that were timed."""

import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest
from test_workers import _stub_on_the_path, run  # noqa: F401 - a fixture of all tests here, too

from dacse_cli.pipeline.request.shards import parse_shard

SCALE = Path(__file__).parents[3] / "examples" / "scale"


@pytest.fixture(scope="module")
def predictor():
    spec = importlib.util.spec_from_file_location("predict", SCALE / "predict.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, "predict", module)  # dataclasses look their module up
        spec.loader.exec_module(module)
        yield module


@pytest.mark.ci
def test_one_and_two_workers_take_as_long_as_predicted(predictor, tmp_path, monkeypatch):
    """Stand-ins for the models of fixed cost: 16 files of a second, 0.2 s each."""
    stages = predictor.Stages(generate_second=0.2, write_second=0)
    for workers, device in ((1, "cpu"), (2, "cpu,cpu")):
        (tmp_path / device).mkdir()
        _, measured = run(tmp_path / device, device, [f"{i:02}.wav" for i in range(16)], 0.2, monkeypatch)
        fleet = predictor.Fleet(workers=workers)
        corpus = predictor.Corpus(files=16, seconds=1)
        told = predictor.predict(corpus, fleet, stages).stages["enhance"] * 3600
        print(f"{workers} workers: {told:.2f} s predicted, {measured:.2f} s measured")
        assert told <= measured < 2.5 * told  # a busy machine is slower, none is faster


def test_ten_million_files_on_a_thousand_gpus(predictor):
    """One run's decoder and supervisor are in the way long before the GPUs are."""
    corpus = predictor.Corpus(files=10e6, seconds=10)
    one = predictor.predict(corpus, predictor.Fleet(workers=1000), predictor.Stages())
    many = predictor.predict(corpus, predictor.Fleet(workers=1000, parts=125), predictor.Stages())
    assert (one.bottleneck, many.bottleneck) == ("look", "enhance")
    assert one.stages["settle"] > one.stages["enhance"]
    assert one.hours > 5 * many.hours


def test_more_machines_are_never_slower_and_lost_ones_cost(predictor):
    corpus, stages = predictor.Corpus(files=1e5), predictor.Stages()
    fleets = [predictor.Fleet(workers=n, parts=max(1, n // 8)) for n in (1, 4, 16, 64, 256)]
    hours = [predictor.predict(corpus, fleet, stages).hours for fleet in fleets]
    assert hours == sorted(hours, reverse=True)
    spot = predictor.predict(corpus, predictor.Fleet(workers=64, parts=8, hours_between_losses=2), stages)
    calm = predictor.predict(corpus, predictor.Fleet(workers=64, parts=8, hours_between_losses=1e9), stages)
    assert spot.losses > 10
    assert spot.hours > calm.hours
    assert predictor.slack(corpus, 1) == 1 < predictor.slack(corpus, 8) < predictor.slack(corpus, 64)


def test_it_prints_its_account(predictor, capsys):
    predictor.main(["--files", "1000", "--workers", "2", "--generate-second", "1"])
    said = capsys.readouterr().out
    assert "1,000 files" in said
    assert "enhance" in said.split("<- the bottleneck")[0].splitlines()[-1]


def test_the_slurm_script_is_a_script():
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("needs bash")
    subprocess.run([bash, "-n", SCALE / "slurm.sh"], check=True)
    refused = subprocess.run([bash, SCALE / "slurm.sh"], capture_output=True, text=True)
    assert refused.returncode
    assert "usage" in refused.stderr


def test_the_job_files_name_parts_that_exist():
    yaml = pytest.importorskip("yaml", reason="needs PyYAML")
    job = yaml.safe_load((SCALE / "kubernetes.yaml").read_text())
    container = job["spec"]["template"]["spec"]["containers"][0]
    (script,) = container["args"]
    assert f"$((JOB_COMPLETION_INDEX + 1))/{job['spec']['completions']}" in script
    sky = yaml.safe_load((SCALE / "skypilot.yaml").read_text())
    assert parse_shard(sky["envs"]["PART"]).count == 64
    for text in (script, sky["run"], sky["setup"]):
        subprocess.run(["bash", "-n"], input=text, text=True, check=True)
