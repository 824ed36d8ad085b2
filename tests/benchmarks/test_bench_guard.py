"""The benchmark runs on what the repository holds, and the thresholds keep what they were chosen for."""

import json

import bench_guard


def test_few_false_alarms_and_most_faults_found(tmp_path):
    """Fails when a measure or a threshold is changed so that good answers are doubted or faults pass."""
    where = tmp_path / "guard.json"
    args = ["--scenes", "2", "--seconds", "4", "--chunks", "0.96", "--seed", "3", "--json", str(where)]
    result = bench_guard.main(args)
    assert json.loads(where.read_text()) == result
    rungs = result["0.96"]
    assert rungs["normal"]["false alarms"] <= rungs["strict"]["false alarms"] <= 1
    assert rungs["strict"]["found"] >= rungs["normal"]["found"] >= 90
    curve = [rungs[f"normal x {scale:g}"]["found"] for scale in bench_guard.SCALES]
    assert curve == sorted(curve, reverse=True)
