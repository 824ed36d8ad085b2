/* Draws the page from the facts that lie in it. Names are somebody else's: they become text, never markup. */
(() => {
  const SIDES = ["Before", "After"], CLASSES = ["b", "a"];
  const SCORES = [
    ["dnsmos_ovrl", "Overall", "OVRL"], ["dnsmos_sig", "Speech", "SIG"],
    ["dnsmos_bak", "Background", "BAK"], ["dnsmos_p808", "Overall, P.808", "P808"],
  ];
  const STATES = {
    done: "done", "done-warned": "done with a warning", skipped: "skipped", failed: "failed", "not-reached": "not reached",
  };
  const VERDICTS = { kept: "kept", repaired: "repaired", "passed-through": "passed through" };
  const { run, files } = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);

  /* make("p.muted", {title: "x"}, child, "text") */
  function make(what, attributes = {}, ...children) {
    const [tag, ...classes] = what.split(".");
    const node = /^(svg|path|line|circle)$/.test(tag)
      ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
    if (classes.length) node.setAttribute("class", classes.join(" "));
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value !== false && value != null) node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.filter((child) => child != null && child !== ""));
    return node;
  }
  const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
  function clock(seconds, tenths = false) {
    const parts = Math.round(seconds * (tenths ? 10 : 1)), whole = tenths ? Math.floor(parts / 10) : parts;
    const two = (n) => String(n).padStart(2, "0"), h = Math.floor(whole / 3600), m = Math.floor(whole / 60) % 60;
    return `${h ? `${h}:${two(m)}` : m}:${two(whole % 60)}${tenths ? `.${parts % 10}` : ""}`;
  }
  const minus = (text) => String(text).replace("-", "\u2212");
  const signed = (value, digits = 2) => `${value < 0 ? "\u2212" : "+"}${Math.abs(value).toFixed(digits)}`;
  const direction = (value) => (Math.abs(value) < 0.005 ? "" : value > 0 ? "up" : "down");
  const gainOf = (file) => (file.scores ? file.scores[1].dnsmos_ovrl - file.scores[0].dnsmos_ovrl : null);
  const say = (text) => { $("said").textContent = text; };

  // ---- the head of the page --------------------------------------------------------------------------
  function head() {
    const made = files.filter((file) => file.outcome.startsWith("done")).length;
    const here = files.filter((file) => file.playable && file.outcome === "skipped").length;
    $("headline").textContent = made === files.length ? `${plural(made, "recording")} enhanced`
      : made ? `${made} of ${plural(files.length, "recording")} enhanced`
      : here ? `${plural(here, "recording")}, enhanced before` : `None of ${plural(files.length, "recording")} enhanced`;
    document.title = `${$("headline").textContent} \u00b7 dacse report`;
    $("when").textContent = `${run.finished} \u00b7 ${run.settings.model || ""} \u00b7 dacse ${run.version}`;
    const outcomes = Object.entries(run.counts).filter(([, n]) => n).map(([name, n]) => `${n} ${STATES[name] || name}`);
    tile("Files", String(files.length), outcomes.join(", "));
    if (run.audio_seconds) {
      const pace = run.audio_seconds / run.elapsed;
      tile("Audio", clock(run.audio_seconds), "of what was enhanced");
      tile("Time", clock(run.elapsed), `${pace.toFixed(2)} \u00d7 real time, start to end`);
    }
    const scored = files.filter((file) => file.scores);
    if (scored.length) {
      const [before, after] = means(scored, "dnsmos_ovrl");
      tile("DNSMOS overall", `${before.toFixed(2)} \u2192 ${after.toFixed(2)}`, `${signed(after - before)} over ${plural(scored.length, "file")}`);
      chart(scored);
    }
    const spans = files.flatMap((file) => file.spans);
    if (spans.length) {
      const count = (verdict) => spans.filter((span) => span.verdict === verdict).length;
      tile("Guard", `${count("repaired") + count("passed-through")} of ${spans.length}`,
        `stretches not kept: ${count("repaired")} repaired, ${count("passed-through")} passed through`);
    }
  }
  function tile(name, value, note) {
    $("tiles").append(make("div", {}, make("dt", {}, name), make("dd", {}, value, note && make("small", {}, note))));
  }
  function means(scored, name) {
    return [0, 1].map((side) => scored.reduce((sum, file) => sum + file.scores[side][name], 0) / scored.length);
  }
  function chart(scored) {
    $("scores").hidden = false;
    for (const [name, word, short] of SCORES) {
      const [before, after] = means(scored, name), x = (value) => `${((value - 1) / 4) * 100}%`;
      $("chart").append(make("div", {},
        make("p.what", {}, word, make("small", {}, short)),
        make("svg", { "aria-hidden": "true" },
          make("line.axis", { x1: "0%", x2: "100%", y1: "50%", y2: "50%" }),
          ...[1, 2, 3, 4, 5].map((tick) => make("line.axis", { x1: x(tick), x2: x(tick), y1: "25%", y2: "75%" })),
          make("line.gap", { x1: x(before), x2: x(after), y1: "50%", y2: "50%" }),
          make("circle.b", { cx: x(before), cy: "50%", r: 6 }),
          make("circle.a", { cx: x(after), cy: "50%", r: 6 })),
        make("p.num", {}, `${before.toFixed(2)} \u2192 ${after.toFixed(2)} `,
          make(`span.${direction(after - before) || "none"}`, {}, signed(after - before)))));
    }
    $("chart").append(make("p.legend", {}, make("span.key.b", {}, "before"), make("span.key.a", {}, "after"), "axis from 1 to 5"));
  }

  // ---- the list --------------------------------------------------------------------------------------
  let open = null; // {index, item, panel, player, ...} of the file whose panel is open
  const items = files.map((file, index) => {
    const cut = file.source.lastIndexOf("/") + 1, gain = gainOf(file), worth = file.message || file.problem;
    const notKept = file.spans.filter((span) => span.verdict !== "kept").length;
    const row = make("button.row", { type: "button", "aria-expanded": file.playable && !file.problem ? "false" : null,
      "aria-disabled": file.playable && !file.problem ? null : "true", onclick: () => toggle(index) },
    make(`span.mark.${file.outcome}`, { role: "img", "aria-label": STATES[file.outcome] || file.outcome }),
    make("span.name", {}, make("span.dir", {}, file.source.slice(0, cut)), make("bdi", {}, file.source.slice(cut)),
      worth ? make(`small.${file.outcome}`, {}, worth) : "",
      notKept ? make("small", {}, `guard: ${notKept} ${notKept === 1 ? "stretch" : "stretches"} not kept`) : ""),
    make("span.delta", {}, ...(gain === null ? [] : ["DNSMOS ", make(`b.${direction(gain) || "none"}`, {}, signed(gain))])),
    make("span.length", {}, file.seconds ? clock(file.seconds) : ""),
    make(file.playable && !file.problem ? "span.chevron" : "span", { "aria-hidden": "true" }));
    return make("li", { id: `file-${index}` }, make("h3", {}, row));
  });

  function arrange() {
    const word = $("find").value.trim().toLowerCase(), show = $("show").value, sort = $("sort").value;
    const order = { name: (a, b) => (files[a].source < files[b].source ? -1 : 1),
      gain: (a, b) => (gainOf(files[a]) ?? Infinity) - (gainOf(files[b]) ?? Infinity), long: (a, b) => files[b].seconds - files[a].seconds };
    const shown = files.map((_, index) => index).filter((index) => {
      const file = files[index];
      return file.source.toLowerCase().includes(word) && (show === "all" || file.outcome === show
        || (show === "guard" && file.spans.some((span) => span.verdict !== "kept"))
        || (show === "worse" && gainOf(file) < 0));
    });
    if (order[sort]) shown.sort(order[sort]);
    $("list").replaceChildren(...shown.map((index) => items[index]));
    $("count").textContent = shown.length === files.length ? "" : `${shown.length} of ${files.length}`;
    if (open && !shown.includes(open.index)) shut();
    return shown;
  }
  function tools() {
    const choices = [["all", "all"]];
    for (const name of Object.keys(STATES)) if (files.some((file) => file.outcome === name)) choices.push([name, STATES[name]]);
    if (files.some((file) => gainOf(file) < 0)) choices.push(["worse", "with a lower score"]);
    if (files.some((file) => file.spans.some((span) => span.verdict !== "kept"))) choices.push(["guard", "with guarded stretches"]);
    $("show").append(...choices.map(([value, text]) => make("option", { value }, text)));
    $("tools").hidden = files.length < 2;
    for (const id of ["find", "show", "sort"]) $(id).addEventListener("input", arrange);
    $("tools").addEventListener("submit", (event) => event.preventDefault());
  }

  function toggle(index) {
    if (open && open.index === index) return shut();
    if (!document.getElementById(`media-${index}`)) return undefined;
    shut();
    open = { index, item: items[index] };
    open.item.classList.add("open");
    open.item.querySelector(".row").setAttribute("aria-expanded", "true");
    open.item.append((open.panel = panel(open, files[index], JSON.parse($(`media-${index}`).textContent))));
    return open;
  }
  function shut() {
    if (!open) return;
    if (open.player) open.player.close();
    open.closed = true;
    open.panel.remove();
    open.item.classList.remove("open");
    open.item.querySelector(".row").setAttribute("aria-expanded", "false");
    open = null;
  }
  function step(by) {
    const rows = [...$("list").querySelectorAll("[aria-expanded]")];
    const at = open ? rows.indexOf(open.item.querySelector(".row")) : -1, next = rows[Math.max(0, at + by)];
    if (!next || (open && open.item.contains(next))) return;
    next.click();
    next.scrollIntoView({ block: "start", behavior: "smooth" });
    next.focus({ preventScroll: true });
  }

  // ---- one file --------------------------------------------------------------------------------------
  let context = null;
  function audio() { return (context = context || new AudioContext()); }

  function panel(state, file, media) {
    state.side = 1;
    state.seconds = file.preview.seconds;
    state.lanes = media.sides.map((side, number) => lane(state, file, media, side, number));
    state.time = make("b", {}, clock(0, true));
    state.button = make("button.play", { type: "button", "aria-label": "Play", onclick: () => playPause(state) });
    state.range = make("input.seek", { type: "range", min: 0, max: state.seconds, step: 0.01, value: 0, "aria-label": "Position",
      oninput: () => seek(state, Number(state.range.value)) });
    state.radios = SIDES.map((name, number) => make("input", { type: "radio", name: `side-${state.index}`, checked: number === 1, onchange: () => choose(state, number) }));
    icon(state, false);
    const box = make("div.panel", {},
      make("div.transport", {}, state.button,
        make("div.sides", { role: "radiogroup", "aria-label": "What is heard" },
          ...SIDES.map((name, number) => make(`label.${CLASSES[number]}`, {}, state.radios[number], make("span", {}, name)))),
        make("p.clock", {}, state.time, make("span.muted", {}, ` / ${clock(state.seconds, true)}`)),
        make("div.options", {}, check("Equal loudness", true, (on) => { state.unmatched = !on; if (state.player) state.player.match(on); }),
          check("Loop", false, (on) => { state.loop = on; if (state.player) state.player.repeat(on); }))),
      make("div.score", {}, ...state.lanes.map((one) => one.node),
        make("div.under", {}, state.range, times(file.preview), ...guard(file), ...overview(file, media))),
      notes(file));
    choose(state, 1, true);
    place(state, 0);
    return box;
  }
  function check(text, on, change) {
    const box = make("input", { type: "checkbox", checked: on, onchange: () => change(box.checked) });
    return make("label", {}, box, text);
  }
  function lane(state, file, media, side, number) {
    const level = file.loudness[number], what = number ? "the enhanced recording" : "the input";
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
    const node = make(`div.lane.${CLASSES[number]}`, {}, make("div.title", {}, make("span", {}, SIDES[number]),
      make("span", {}, level === null ? "silent" : `${minus(level.toFixed(1))} LUFS`)), scale, view);
    for (const [hz, share] of media.ticks) {
      const tick = make("i", {}, hz < 1000 ? `.${hz / 100}k` : `${hz / 1000}k`);
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
    if (file.preview.whole) return [];
    const { start, seconds } = file.preview;
    return [make("div.overview", {}, wave(media.sides[1].overview, "the whole file"), block("span.part", start, start + seconds, 0, file.seconds)),
      make("p.muted", {}, `The stretch above is ${clock(start, true)} to ${clock(start + seconds, true)} of ${clock(file.seconds, true)}.`)];
  }
  function notes(file) {
    const box = make("div.notes"), rows = [];
    if (file.scores) for (const [name, word, short] of SCORES) rows.push([`${word} (${short})`, file.scores[0][name], file.scores[1][name], 2]);
    if (!file.loudness.includes(null)) rows.push(["Loudness, LUFS", ...file.loudness, 1]);
    if (rows.length) {
      box.append(make("table", {}, make("caption", {}, "Of the stretch shown"),
        make("thead", {}, make("tr", {}, ...["", "before", "after", "change"].map((text) => make("th", { scope: "col" }, text)))),
        make("tbody", {}, ...rows.map(([name, before, after, digits]) => make("tr", {}, make("th", { scope: "row" }, name),
          make("td", {}, minus(before.toFixed(digits))), make("td", {}, minus(after.toFixed(digits))), make("td", {}, signed(after - before, digits)))))));
    }
    const link = (href, text) => make("a", { href, target: "_blank", rel: "noopener" }, make("bdi", {}, text));
    const lines = [["Input", link(file.links[0], file.source)], ["Output", link(file.links[1], file.target)],
      ["Time", file.elapsed ? `${file.elapsed.toFixed(1)} s, waiting included` : "made by an earlier run"],
      ["Gain for equal loudness", `${signed(file.gains[0], 1)} dB before, ${signed(file.gains[1], 1)} dB after`]];
    box.append(make("dl.paths", {}, ...lines.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])));
    return box;
  }

  // ---- playing ---------------------------------------------------------------------------------------
  async function ready(state) {
    if (state.player) return state.player;
    state.loading = state.loading || (async () => {
      const media = JSON.parse($(`media-${state.index}`).textContent);
      const buffers = await Promise.all(media.sides.map((side) => Player.decode(audio(), side.audio)));
      if (state.closed) return null;
      state.player = new Player(audio(), buffers, files[state.index].gains);
      state.player.onend = () => { icon(state, false); place(state, 0); };
      state.player.match(!state.unmatched);
      state.player.repeat(Boolean(state.loop));
      state.player.choose(state.side);
      state.player.seek(Number(state.range.value));
      return state.player;
    })();
    return state.loading;
  }
  async function playPause(state) {
    let player;
    try {
      if (audio().state === "suspended") audio().resume(); // browsers want a gesture first
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
    if (!silently) say(SIDES[side]);
  }
  function icon(state, playing) {
    state.button.setAttribute("aria-label", playing ? "Pause" : "Play");
    state.button.replaceChildren(make("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" },
      make("path", { d: playing ? "M3 1h4v14H3zM9 1h4v14H9z" : "M4 1l10 7-10 7z" })));
  }

  // ---- keys ------------------------------------------------------------------------------------------
  function keyed(event) {
    const tag = event.target.tagName, type = event.target.type;
    if (event.ctrlKey || event.metaKey || event.altKey || !$("shortcuts").checked) return;
    if (tag === "SELECT" || (tag === "INPUT" && !["radio", "range", "checkbox"].includes(type))) return;
    const own = tag === "BUTTON" || tag === "SUMMARY" || tag === "A" || type === "checkbox"; // space is theirs
    const arrows = type === "range" || type === "radio";
    const at = () => (open.player ? open.player.position : Number(open.range.value));
    const action = {
      " ": !own && open && (() => playPause(open)), x: open && (() => choose(open, 1 - open.side)),
      1: open && (() => choose(open, 0)), 2: open && (() => choose(open, 1)),
      ArrowLeft: !arrows && open && (() => seek(open, at() - 1)), ArrowRight: !arrows && open && (() => seek(open, at() + 1)),
      j: () => step(1), k: () => step(-1), "/": () => $("find").focus(),
    }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (action) { event.preventDefault(); action(); }
  }

  // ---- the end of the page ---------------------------------------------------------------------------
  function foot() {
    $("command").textContent = run.command;
    $("copy").addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(run.command);
        say("Copied");
        $("copy").textContent = "Copied";
      } catch { getSelection().selectAllChildren($("command")); }
    });
    for (const [name, value] of Object.entries(run.settings)) {
      if (value === null || value === "") continue;
      $("settings").append(make("div", {}, make("dt", {}, name.replaceAll("_", " ")), make("dd", {}, String(value))));
    }
    const cut = files.filter((file) => file.preview && !file.preview.whole).length;
    $("preview-note").textContent = "Everything is in this one file; it loads nothing and sends nothing. The players hold previews: mono, "
      + "Opus at 24 or 40 kbit/s, brought to one loudness unless you switch that off"
      + (cut ? `; of ${plural(cut, "long file")} a stretch only. ` : ". ")
      + "Pictures, loudness and scores come from the recordings themselves, of the same stretch, channels averaged. The recordings are linked, and lie where they lay.";
  }

  head();
  tools();
  arrange();
  foot();
  document.addEventListener("keydown", keyed);
  const wanted = Number((location.hash.match(/^#file-(\d+)$/) || [])[1] ?? files.findIndex((file, i) => $(`media-${i}`)));
  if (wanted >= 0 && files[wanted]) toggle(wanted);
  window.dacseReport = { get open() { return open; }, ready: () => ready(open), Player };
})();
