/* The open panel of one file: pictures, player, numbers. It has two sides, or as many as `state.names`. */
// ---- one file --------------------------------------------------------------------------------------
let context = null;
function audio() { return (context = context || new AudioContext()); }

function panel(state, file, media) {
  Object.assign(state, { file, media, side: 1 });
  const names = state.names || SIDES;
  state.seconds = file.preview.seconds;
  state.lanes = media.sides.map((side, number) => lane(state, file, media, side, number));
  state.time = make("b", {}, clock(0, true));
  state.button = make("button.play", { type: "button", "aria-label": "Play", onclick: () => playPause(state) });
  state.range = make("input.seek", { type: "range", min: 0, max: state.seconds, step: 0.01, value: 0, "aria-label": "Position",
    oninput: () => seek(state, Number(state.range.value)) });
  state.radios = names.map((name, number) => make("input", { type: "radio", name: `side-${state.index}`, checked: number === 1, onchange: () => choose(state, number) }));
  icon(state, false);
  const box = make("div.panel", {},
    make("div.transport", {}, state.button,
      make("div.sides", { role: "radiogroup", "aria-label": "What is heard" },
        ...names.map((name, number) => make(`label.${CLASSES[Math.min(number, 1)]}`, {}, state.radios[number], make("span", {}, name)))),
      make("p.clock", {}, state.time, make("span.muted", {}, ` / ${clock(state.seconds, true)}`)),
      make("div.options", {}, volume(state), check("Equal loudness", true, (on) => { state.unmatched = !on; if (state.player) state.player.match(on); }),
        check("Loop", false, (on) => { state.loop = on; if (state.player) state.player.repeat(on); }))),
    make("div.score", {}, ...state.lanes.map((one) => one.node),
      make("p.under.muted.range", {}, "Frequencies in Hz. Bright is loud: 80 dB from the darkest to the brightest."),
      make("div.under", {}, state.range, times(file.preview), ...guard(file), ...overview(file, media))),
    state.names ? "" : notes(file));
  choose(state, 1, true);
  place(state, 0);
  return box;
}
function volume(state) {
  const slider = make("input", { type: "range", min: 0, max: 1, step: 0.05, value: 1, oninput: () => {
    state.volume = Number(slider.value);
    if (state.player) state.player.volume(state.volume);
  } });
  return make("label.volume", {}, "Volume", slider);
}
function check(text, on, change) {
  const box = make("input", { type: "checkbox", checked: on, onchange: () => change(box.checked) });
  return make("label", {}, box, text);
}
function lane(state, file, media, side, number) {
  const level = file.loudness[number], name = (state.names || SIDES)[number], kind = Math.min(number, 1);
  const what = kind ? "the enhanced recording" : "the input";
  const headline = make("div", { class: "head" });
  const view = make("div.view", {},
    make("img", { src: `data:image/png;base64,${side.picture}`, draggable: "false",
      alt: `Spectrogram of ${what}, ${clock(file.preview.seconds, true)} long, low frequencies at the bottom` }), wave(side.wave, what), headline);
  view.addEventListener("pointerdown", (event) => {
    const frame = view.getBoundingClientRect();
    seek(state, ((event.clientX - frame.left) / frame.width) * state.seconds);
    choose(state, number);
  });
  const scale = make("div.scale", { "aria-hidden": "true" });
  const node = make(`div.lane.${CLASSES[kind]}`, {}, make("div.title", {}, make("span", {}, name),
    make("span", {}, level === null ? "silent" : `${minus(level.toFixed(1))} LUFS`)), scale, view);
  for (const [hz, share] of media.ticks) {
    const tick = make("i", {}, hz < 1000 ? String(hz) : `${hz / 1000}k`);
    tick.style.bottom = `calc(3.4rem + (100% - 3.4rem) * ${share})`;
    scale.append(tick);
  }
  return { node, headline };
}
function wave([low, high], what) {
  const n = Math.max(low.length, 1), up = high.map((v, i) => `${i},${100 - v}`), down = low.map((v, i) => `${i},${100 - v}`).reverse();
  return make("svg.wave", { viewBox: `0 0 ${n - 1 || 1} 200`, preserveAspectRatio: "none", role: "img", "aria-label": `Waveform of ${what}` },
    make("path", { d: low.length ? `M${up.join("L")}L${down.join("L")}Z` : "" }));
}
function times({ start, seconds }) {
  return make("div.times", { "aria-hidden": "true" }, ...[0, 0.25, 0.5, 0.75, 1].map((share) => make("span", {}, clock(start + share * seconds, true))));
}
function guard(file) {
  if (!file.spans.length) return [];
  const { start, seconds } = file.preview, bar = make("div.guard", { role: "img", "aria-label": "Guard decisions along the time; listed below" });
  for (const span of file.spans) bar.append(block(`i.${span.verdict}`, span.start, span.end, start, seconds));
  const odd = file.spans.filter((span) => span.verdict !== "kept"), count = (verdict) => file.spans.filter((span) => span.verdict === verdict).length;
  return [bar,
    make("p.legend2", {}, make("b", {}, "Guard"), ...Object.entries(VERDICTS).map(([name, word]) => make("span", {}, `${count(name)} ${word}`))),
    odd.length ? make("ul.spans", {}, ...odd.map((span) => make("li", {}, `${clock(span.start, true)} to ${clock(span.end, true)}: ${VERDICTS[span.verdict] || span.verdict}${span.why ? `, ${span.why}` : ""}`))) : ""];
}
function block(what, from, to, start, seconds) {
  const share = (at) => Math.min(1, Math.max(0, (at - start) / seconds)) * 100, node = make(what);
  node.style.left = `${share(from)}%`;
  node.style.width = `${share(to) - share(from)}%`;
  node.hidden = to <= start || from >= start + seconds;
  return node;
}
function overview(file, media) {
  if (file.preview.whole || !media.sides[1].overview) return [];
  const { start, seconds } = file.preview;
  return [make("div.overview", {}, wave(media.sides[1].overview, "the whole file"), block("span.part", start, start + seconds, 0, file.seconds)),
    make("p.muted", {}, `The stretch above is ${clock(start, true)} to ${clock(start + seconds, true)} of ${clock(file.seconds, true)}.`)];
}
function notes(file) {
  const box = make("div.notes"), rows = [];
  if (file.scores) for (const [name, word, short] of SCORES) rows.push([`${word} (${short})`, file.scores[0][name], file.scores[1][name], 2]);
  if (!file.loudness.includes(null)) rows.push(["Loudness, LUFS", ...file.loudness, 1]);
  if (rows.length) {
    box.append(make("table", {}, make("caption", {}, "Measured over the stretch shown"),
      make("thead", {}, make("tr", {}, ...["measure", "before", "after", "change"].map((text) => make("th", { scope: "col" }, text)))),
      make("tbody", {}, ...rows.map(([name, before, after, digits]) => make("tr", {}, make("th", { scope: "row" }, name),
        make("td", {}, minus(before.toFixed(digits))), make("td", {}, minus(after.toFixed(digits))), make(`td.${(digits === 2 && direction(after - before)) || "none"}`, {}, signed(after - before, digits)))))));
  }
  const link = (href, text) => href === null ? make("bdi", {}, text) : make("a", { href, target: "_blank", rel: "noopener" }, make("bdi", {}, text));
  const lines = [["Input", link(file.links[0], file.source)], ["Output", link(file.links[1], file.target)],
    ["Time", file.elapsed ? `${file.elapsed.toFixed(1)} s, waiting included` : "made by an earlier run"],
    ["Level change for equal loudness", `${signed(file.gains[0], 1)} dB before, ${signed(file.gains[1], 1)} dB after`]];
  box.append(make("dl.paths", {}, ...lines.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])));
  return box;
}

// ---- playing ---------------------------------------------------------------------------------------
async function ready(state) {
  if (state.player) return state.player;
  state.loading = state.loading || (async () => {
    const buffers = await Promise.all(state.media.sides.map((side) => Player.decode(audio(), side.audio)));
    if (state.closed) return null;
    state.player = new Player(audio(), buffers, state.file.gains);
    state.player.onend = () => { icon(state, false); place(state, 0); };
    state.player.match(!state.unmatched);
    state.player.repeat(Boolean(state.loop));
    state.player.volume(state.volume ?? 1);
    state.player.choose(state.side);
    state.player.seek(Number(state.range.value));
    return state.player;
  })();
  return state.loading;
}
async function playPause(state) {
  let player;
  try {
    if (audio().state === "suspended") audio().resume(); // browsers start audio only after a user's action
    player = await ready(state);
  } catch (error) {
    say("This browser cannot play the previews (Opus in Ogg). The recordings themselves are linked below.");
    state.panel.prepend(make("p.message", {}, $("said").textContent));
    return;
  }
  if (!player) return;
  if (player.playing) player.pause(); else player.play();
  icon(state, player.playing);
  if (player.playing) follow(state);
}
function follow(state) {
  if (!state.player || !state.player.playing || state.closed) return;
  place(state, state.player.position);
  requestAnimationFrame(() => follow(state));
}
function place(state, seconds) {
  const share = Math.min(1, seconds / state.seconds) * 100, text = clock(seconds, true);
  for (const one of state.lanes) one.headline.style.left = `${share}%`;
  state.range.value = seconds;
  if (text !== state.time.textContent) {
    state.time.textContent = text;
    state.range.setAttribute("aria-valuetext", `${text} of ${clock(state.seconds, true)}`);
  }
}
function seek(state, seconds) {
  const at = Math.min(Math.max(0, seconds), state.seconds);
  if (state.player) state.player.seek(at);
  place(state, at);
}
function choose(state, side, silently) {
  state.side = side;
  state.radios[side].checked = true;
  state.lanes.forEach((one, number) => one.node.classList.toggle("on", number === side));
  if (state.player) state.player.choose(side);
  if (!silently) say((state.names || SIDES)[side]);
  if (state.onchoose) state.onchoose(side);
}
function icon(state, playing) {
  state.button.setAttribute("aria-label", playing ? "Pause" : "Play");
  state.button.replaceChildren(make("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" },
    make("path", { d: playing ? "M3 1h4v14H3zM9 1h4v14H9z" : "M4 1l10 7-10 7z" })));
}
