/* The page: its head, the list of files, keys, and the command that repeats the run. */
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
    tile("Audio", clock(run.audio_seconds), "of enhanced audio");
    tile("Time", clock(run.elapsed), `${pace.toFixed(2)} \u00d7 real time, start to end`);
  }
  const scored = files.filter((file) => file.scores);
  $("no-scores").hidden = scored.length > 0;
  if (scored.length) {
    const [before, after] = means(scored, "dnsmos_ovrl");
    tile("DNSMOS overall", `${before.toFixed(2)} \u2192 ${after.toFixed(2)}`, `${signed(after - before)} over ${plural(scored.length, "file")}`);
    chart(scored);
  }
  const spans = files.flatMap((file) => file.spans);
  if (spans.length) {
    const count = (verdict) => spans.filter((span) => span.verdict === verdict).length;
    const odd = Object.keys(VERDICTS).filter((name) => name !== "kept" && count(name));
    tile("Guard", `${spans.length - count("kept")} of ${spans.length}`,
      `stretches not kept${odd.length ? ": " : ""}${odd.map((name) => `${count(name)} ${VERDICTS[name]}`).join(", ")}`);
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
  const cut = file.source.lastIndexOf("/") + 1, gain = gainOf(file), worst = worstOf(file), worth = file.message || file.problem;
  const notKept = file.spans.filter((span) => span.verdict !== "kept").length;
  const row = make("button.row", { type: "button", "aria-expanded": file.playable && !file.problem ? "false" : null,
    "aria-disabled": file.playable && !file.problem ? null : "true", onclick: () => toggle(index) },
  make(`span.mark.${file.outcome}`, { role: "img", "aria-label": STATES[file.outcome] || file.outcome }),
  make("span.name", {}, make("span.dir", {}, file.source.slice(0, cut)), make("bdi", {}, file.source.slice(cut)),
    worth ? make(`small.${file.outcome}`, {}, worth) : "",
    notKept ? make("small", {}, `guard: ${notKept} ${notKept === 1 ? "stretch" : "stretches"} not kept`) : ""),
  make("span.delta", {}, ...(gain === null ? [] : ["DNSMOS ", make(`b.${direction(gain) || "none"}`, {}, signed(gain)),
    worst && worst[0] !== SCORES[0][1] ? make("small.down", {}, `${worst[0].toLowerCase()} ${signed(worst[1])}`) : ""])),
  make("span.length", {}, file.seconds ? clock(file.seconds, file.seconds < 60) : ""),
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
  if (files.some((file) => gainOf(file) < 0)) choices.push(["worse", "with a lower DNSMOS"]);
  if (files.some((file) => file.spans.some((span) => span.verdict !== "kept"))) choices.push(["guard", "with guard decisions"]);
  if (files.some((file) => file.scores)) $("sort").append(make("option", { value: "gain" }, "least improved DNSMOS first"));
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

// ---- keys ------------------------------------------------------------------------------------------
function keyed(event) {
  const tag = event.target.tagName, type = event.target.type;
  if (event.key === "Escape" && event.target === $("find")) return $("find").blur();
  if (event.ctrlKey || event.metaKey || event.altKey || !$("shortcuts").checked) return undefined;
  if (tag === "SELECT" || (tag === "INPUT" && !["radio", "range", "checkbox"].includes(type))) return undefined;
  const own = tag === "BUTTON" || tag === "SUMMARY" || tag === "A" || type === "checkbox"; // these use the space bar themselves
  const arrows = type === "range" || type === "radio";
  const at = () => (open.player ? open.player.position : Number(open.range.value));
  const action = {
    " ": !own && open && (() => playPause(open)), x: open && (() => choose(open, 1 - open.side)),
    1: open && (() => choose(open, 0)), 2: open && (() => choose(open, 1)),
    ArrowLeft: !arrows && open && (() => seek(open, at() - 1)), ArrowRight: !arrows && open && (() => seek(open, at() + 1)),
    j: () => step(1), k: () => step(-1), "/": () => $("find").focus(),
  }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (action) { event.preventDefault(); action(); }
  return undefined;
}

// ---- the end of the page ---------------------------------------------------------------------------
const short = (value) => (/^[0-9a-f]{20,}$/.test(value) ? `${value.slice(0, 12)}\u2026` : String(value)); // a hash
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
    $("settings").append(make("div", {}, make("dt", {}, name.replaceAll("_", " ")), make("dd", { title: short(value) === String(value) ? null : value }, short(value))));
  }
  const cut = files.filter((file) => file.preview && !file.preview.whole).length;
  $("preview-note").textContent = "Everything is in this one file; it loads nothing and sends nothing. The players hold previews: mono, "
    + "Opus at 24 or 40 kbit/s, brought to one loudness unless you switch that off"
    + (cut ? `; of ${plural(cut, "long file")} a stretch only. ` : ". ")
    + "Pictures, loudness and scores are computed from the recordings themselves, over the same stretch, with channels averaged. The recordings themselves are linked; they were not moved.";
}

head();
tools();
arrange();
foot();
document.addEventListener("keydown", keyed);
const wanted = Number((location.hash.match(/^#file-(\d+)$/) || [])[1] ?? files.findIndex((file, i) => $(`media-${i}`)));
if (wanted >= 0 && files[wanted]) toggle(wanted);
window.dacseReport = { get open() { return open; }, ready: () => ready(open), Player };
