"""The page in a real browser: silent on the network and the console, usable, and in time."""

import base64
import time

import numpy as np
import pytest
import soundfile
from pulse_reports import PULSES, RATE, facts, pulses

from dacse_cli.report import Entry, build

RECORD = """
(async () => {
  const {player} = dacseReport.open, context = player.context;
  const code = `registerProcessor("tape", class extends AudioWorkletProcessor {
    process([input]) { if (input[0]) this.port.postMessage(input[0].slice()); return true; } })`;
  await context.audioWorklet.addModule(`data:text/javascript,${encodeURIComponent(code)}`);
  const tape = new AudioWorkletNode(context, "tape");
  window.taped = [];
  tape.port.onmessage = ({data}) => taped.push(data);
  player.out.connect(tape);
  tape.connect(context.destination);
})()
"""
TAKE = """
(() => {
  const all = new Float32Array(taped.reduce((n, block) => n + block.length, 0));
  let at = 0;
  for (const block of taped) { all.set(block, at); at += block.length; }
  const bytes = new Uint8Array(all.buffer);
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(text);
})()
"""


def test_it_asks_for_nothing_and_complains_of_nothing(tab, report):
    tab.open(report)
    for n in range(3):
        tab.run(f"document.querySelectorAll('.row')[{n}].click()")
        tab.wait_for("[...document.images].every(image => image.complete && image.naturalWidth)")
    tab.run("document.querySelectorAll('.row')[0].click()")
    tab.click(".play")
    tab.wait_for("dacseReport.open.player && dacseReport.open.player.position > 0.2")
    assert tab.requests == [report.resolve().as_uri()]
    assert tab.complaints == []


def test_switching_stays_at_the_same_place(tab, report):
    """Before: bursts of 1 kHz; after: of 2.5 kHz, 20 dB lower, at the same instants. Heard on one tape."""
    tab._call("Page.setBypassCSP", enabled=True)  # only to load the tape recorder
    tab.open(report)
    tab.click(".play")
    tab.wait_for("dacseReport.open.player")
    tab.run("dacseReport.open.player.pause(); dacseReport.open.player.seek(0)")
    tab.run(RECORD)
    tab.click(".play")
    for at in (1.0, 2.0, 3.0):
        tab.wait_for(f"dacseReport.open.player.position > {at}")
        tab.press("x")
    tab.wait_for("!dacseReport.open.player.playing")
    tape = np.frombuffer(base64.b64decode(tab.run(TAKE)), np.float32)
    rate = tab.run("dacseReport.open.player.context.sampleRate")
    heard = {side: bursts(tape, rate, hertz) for side, hertz in (("before", 1000), ("after", 2500))}
    onsets = np.sort(np.concatenate(list(heard.values())))
    planned = PULSES[PULSES + 0.05 < 4]
    shift = best_shift(onsets, planned)
    for side, found in heard.items():
        assert len(found) >= 4, f"{side} was hardly heard"
        errors = [np.min(np.abs(onset - shift - planned)) for onset in found]
        assert max(errors) < 0.02
    levels = [np.abs(tape[int((t - 0.002) * rate) : int((t + 0.014) * rate)]).max() for t in onsets]
    assert max(levels) / np.median(levels) < 2.0, "both sides are equally loud"


def bursts(tape, rate, hertz, step=0.002):
    """Seconds at which bursts of a tone begin."""
    size = int(step * rate)
    frames = tape[: tape.size // size * size].reshape(-1, size)
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(size), 4 * size))
    bins = np.fft.rfftfreq(4 * size, 1 / rate)
    ours = spectrum[:, np.abs(bins - hertz) < 600].max(axis=1)
    other = 3500 - hertz
    loud = (ours > 0.2 * ours.max()) & (ours > spectrum[:, np.abs(bins - other) < 600].max(axis=1))
    edges = np.flatnonzero(loud & ~np.r_[False, loud[:-1]])
    return (
        np.array([edge for n, edge in enumerate(edges) if n == 0 or edge - edges[n - 1] > 0.03 / step]) * step
    )


def best_shift(onsets, planned):
    """The delay of the tape: the one that puts most onsets on planned ones."""
    shifts = np.subtract.outer(onsets, planned).ravel()
    near = [np.sum(np.abs(np.subtract.outer(onsets - s, planned)).min(axis=1) < 0.005) for s in shifts]
    return shifts[int(np.argmax(near))]


def test_the_keyboard_is_enough(tab, report):
    tab.open(report)
    for _ in range(40):
        tab.press("Tab")
        if tab.run("document.activeElement.className === 'play'"):
            break
    tab.press(" ")
    tab.wait_for("dacseReport.open.player && dacseReport.open.player.playing")
    assert tab.run("document.querySelector('.play').getAttribute('aria-label')") == "Pause"
    tab.press("1", code="Digit1")
    assert tab.run("dacseReport.open.player.side") == 0
    tab.press("x")
    assert tab.run("dacseReport.open.player.side") == 1
    tab.press(" ")
    tab.wait_for("!dacseReport.open.player.playing")
    tab.press("j")
    assert tab.run("dacseReport.open.index") == 1
    assert tab.run("document.querySelectorAll('.overview .part').length") == 1
    assert "74" in tab.run("document.querySelector('.spans').textContent") or "1:14.0" in tab.run(
        "document.querySelector('.spans').textContent"
    )


def test_everything_that_can_be_used_has_a_name(tab, report):
    tab.open(report)
    nodes = tab._call("Accessibility.getFullAXTree")["nodes"]
    usable = ("button", "checkbox", "radio", "slider", "link", "combobox", "searchbox", "image", "img")
    seen = [n for n in nodes if n.get("role", {}).get("value") in usable and not n.get("ignored")]
    assert len(seen) > 10
    assert all(node["name"]["value"].strip() for node in seen)


@pytest.mark.parametrize("width", [320, 390, 1200])
def test_it_fits_every_screen(tab, report, width):
    tab.size(width, 800, 2, mobile=width < 500)
    tab.open(report)
    assert tab.run("document.documentElement.scrollWidth") <= width
    small = tab.run(
        "[...document.querySelectorAll('button, select, .sides label')]"
        ".filter(e => e.offsetParent && e.getBoundingClientRect().height < 40).length"
    )
    assert small == 0, "too small to touch"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(tab, report, scheme):
    """WCAG 2.2, 1.4.3: 4.5 to 1."""
    tab.scheme(scheme)
    tab.open(report)
    tab.wait_for("document.querySelector('.panel')")
    time.sleep(0.3)
    poor = tab.run(CONTRAST)
    assert poor == []


CONTRAST = """
(() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const colour = rgb(getComputedStyle(node).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return rgb("Canvas");
  };
  const found = [];
  for (const node of document.querySelectorAll("body *")) {
    const text = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!text || !node.offsetParent || ["SCRIPT", "OPTION", "STYLE"].includes(node.tagName)) continue;
    const pair = [light(rgb(getComputedStyle(node).color)), light(ground(node))].sort((x, y) => y - x);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (ratio < 4.5) found.push([node.tagName, node.className, node.textContent.slice(0, 30), ratio]);
  }
  return found;
})()
"""


def test_files_can_be_found(tab, report):
    tab.open(report)
    tab.run(
        "const enter = (id, text) => { const node = document.getElementById(id); node.value = text; "
        "node.dispatchEvent(new Event('input')); }; enter('find', 'LONG')"
    )
    assert tab.run("document.querySelectorAll('#list li').length") == 1
    tab.run("enter('find', ''); enter('show', 'failed')")
    assert "text.wav" in tab.run("document.querySelector('#list').textContent")
    assert tab.run("document.querySelectorAll('#list li').length") == 1


def test_one_file_needs_no_tools_to_find_it(tab, tmp_path):
    soundfile.write(tmp_path / "a.wav", pulses(500), RATE)
    path = str(tmp_path / "a.wav")
    tab.open(build([Entry(path, path, "done", playable=True)], facts(), tmp_path / "report"))
    assert tab.run("document.getElementById('tools').offsetParent === null")
    assert tab.run("document.querySelectorAll('.panel').length") == 1


def test_a_name_is_shown_and_linked_as_it_is(tab, report):
    tab.open(report, "#file-2")
    assert tab.run("document.querySelectorAll('.row bdi')[2].textContent").startswith("<img src=x onerror=")
    href = tab.run("document.querySelectorAll('.paths a')[0].href")
    assert (
        href == (report.parents[1] / "in" / "<img src=x onerror=alert(1)> {{data}} \u202e%23#.wav").as_uri()
    )


def test_the_player_comes_first_and_the_worst_score_is_shown(tab, report):
    tab.open(report)
    assert tab.run("document.querySelector('main section').id") == "files"
    assert tab.run("[...document.querySelectorAll('th')].every(cell => cell.textContent.trim())")
    for texts in tab.run(
        "[...document.querySelectorAll('.scale')].map(s => [...s.children].map(i => i.textContent))"
    ):
        assert all(text[0].isdigit() for text in texts)
    assert "Hz" in tab.run("document.querySelector('.range').textContent")
    assert "speech" in tab.run("document.querySelector('.delta small.down').textContent")
    assert tab.run("document.querySelectorAll('td.down').length") >= 1


def test_volume_and_escape(tab, report):
    tab.open(report)
    tab.click(".play")
    tab.wait_for("dacseReport.open.player && dacseReport.open.player.playing")
    tab.run(
        "(() => { const slider = document.querySelector('.volume input'); slider.value = 0.5;"
        " slider.dispatchEvent(new Event('input')); })()"
    )
    assert tab.run("dacseReport.open.player.out.gain.value") == pytest.approx(0.25)
    tab.press("/")
    assert tab.run("document.activeElement.id") == "find"
    tab.press("Escape")
    assert tab.run("document.activeElement.id") != "find"
