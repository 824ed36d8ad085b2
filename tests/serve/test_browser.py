"""The page in a real browser: drop, listen, switch, download; and nothing asked for elsewhere."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from chromium import PROGRAM, Page
from serving import until, wav_bytes

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs a Chromium")
NOISY = Path(__file__).parents[2] / "examples" / "noisy"


@pytest.fixture
def tab(tmp_path):
    with Page() as page:
        (tmp_path / "downloads").mkdir()
        page.downloads_to(tmp_path / "downloads")
        yield page


READY = "document.querySelector('.take a[href]') && document.querySelector('.take a').offsetParent"
STATE = "dacseServe.current.state"


def listen_and_download(tab, folder, strength):
    """Play the first recording, switch to `strength` while it plays, take the file."""
    tab.wait_for("document.querySelector('.play')", 300)
    tab.click(".play")
    tab.wait_for(f"{STATE}.player && {STATE}.player.position > 0.2")
    side = tab.run(f"{STATE}.names").index(strength)
    tab.click(f".sides label:nth-child({side + 1})")
    assert tab.run(f"{STATE}.player.side") == side
    assert tab.run(f"{STATE}.player.playing && {STATE}.player.position") > 0.2
    until(lambda: level_of(tab, side) > 0.9 and level_of(tab, 0) < 0.1)
    tab.wait_for(READY, 300)
    tab.click(".take a")
    return until(lambda: [p for p in folder.iterdir() if p.suffix == ".wav"])[0]


def level_of(tab, side):
    """How far the fader of one side is open, 1 being its gain for equal loudness."""
    return tab.run(
        f"(p => p.faders[{side}].gain.value / 10 ** (p.gains[{side}] / 20))(dacseServe.current.state.player)"
    )


def test_drop_listen_switch_download(fresh, tab, tmp_path):
    data, samples = wav_bytes(11)
    talk = tmp_path / "<img src=x onerror=alert(1)>.wav"
    talk.write_bytes(data)
    (tmp_path / "notes.txt").write_text("no audio")
    tab.visit(fresh.address)
    tab.drop("#drop", talk, tmp_path / "notes.txt")
    file = listen_and_download(tab, tmp_path / "downloads", "Gentle")
    np.testing.assert_allclose(soundfile.read(file, always_2d=True)[0], 0.625 * samples, atol=1e-6)
    tab.wait_for("document.querySelector('.recordings small.failed')")
    tab.click(".recordings .remove")
    until(lambda: len(fresh.get("/v1/recordings").json()["data"]) == 1)
    base = fresh.address.partition("/?")[0]
    assert all(url.startswith(base) for url in tab.requests) and tab.complaints == []


def test_before_changes_nothing_of_the_choice_and_keys_work(fresh, tab, tmp_path):
    (tmp_path / "talk.wav").write_bytes(wav_bytes(2)[0])
    tab.visit(fresh.address)
    tab.drop("#drop", tmp_path / "talk.wav")
    tab.wait_for(READY)
    for key, strength in (("4", "strong"), ("1", "strong"), ("2", "gentle")):
        tab.press(key, code=f"Digit{key}")
        tab.wait_for(f"document.querySelector('.take a').textContent === 'Download ({strength})'")
    assert tab.run("[...document.querySelectorAll('.lane')].filter(e => e.offsetParent).length") == 2
    assert tab.complaints == []


def test_a_phone_in_the_dark_has_no_sideways_scrolling(fresh, tab, tmp_path):
    (tmp_path / "talk.wav").write_bytes(wav_bytes(2)[0])
    tab.size(390, 844, scale=2, mobile=True)
    tab.scheme("dark")
    tab.visit(fresh.address)
    tab.drop("#drop", tmp_path / "talk.wav")
    tab.wait_for(READY)
    assert tab.run("document.documentElement.scrollWidth") <= 390
    if os.environ.get("DACSE_PICTURES"):
        tab.picture(Path(os.environ["DACSE_PICTURES"]) / "serve-phone.png", whole=True)


@pytest.mark.slow
def test_the_command_with_nano(tab, tmp_path):
    command = [sys.executable, "-m", "dacse_cli", "serve", "--model", "nano", "--json", "--offline"]
    environment = {**os.environ, "TMPDIR": str(tmp_path / "private")}
    (tmp_path / "private").mkdir()
    server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        tab.visit(json.loads(server.stdout.readline())["address"])
        tab.drop("#drop", NOISY / "rain.wav", NOISY / "telephone.wav")
        file = listen_and_download(tab, tmp_path / "downloads", "Strong")
        before, after = (soundfile.info(path) for path in (NOISY / "rain.wav", file))
        assert (before.frames, before.samplerate) == (after.frames, after.samplerate)
        assert tab.complaints == []
        tab.picture(tmp_path / "serve.png", whole=True)
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 130
        until(lambda: not list((tmp_path / "private").glob("dacse-serve-*")))
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
