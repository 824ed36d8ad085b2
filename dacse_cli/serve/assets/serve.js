/* The page of `dacse serve`: files in, the report's player for their first seconds, a link to the result.
   File names are text, never markup. Every request goes to this server and contains the token. */
const LARGEST = 2e9, LOOK_EVERY = 700, STAY_EVERY = 60000;
const TOKEN = new URLSearchParams(location.search).get("token") || "";
const FORMATS = [["keep", "same format"], ["wav", "WAV"], ["flac", "FLAC"], ["mp3", "MP3"], ["opus", "Opus"]];
const LEVELS = [["", "level as it is"], ["match", "as loud as before"], ["-16", "podcast, \u221216 LUFS"], ["-23", "broadcast, \u221223 LUFS"]];
const cards = new Map(); // id -> card
let current = null; // the card that keyboard shortcuts act on
let looking = null;

async function ask(path, options = {}) {
  const answer = await fetch(path, { ...options, headers: { Authorization: `Bearer ${TOKEN}`, ...options.headers } });
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  const told = await answer.json().catch(() => null);
  throw new Error(told && told.error ? told.error.message : `The server answered ${answer.status}.`);
}
function complain(text) {
  $("trouble").textContent = text;
  $("trouble").hidden = !text;
}

// ---- uploads ---------------------------------------------------------------------------------------
async function handIn(list) {
  complain("");
  const troubles = [];
  for (const file of list) {
    if (file.size > LARGEST) { troubles.push(`${file.name}: at most 2 GB per recording.`); continue; }
    try {
      const told = await ask(`/v1/recordings?name=${encodeURIComponent(file.name)}`,
        { method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" } });
      update(told);
    } catch (error) { troubles.push(`${file.name}: ${error.message}`); }
  }
  complain(troubles.join(" "));
  look();
}

// ---- one recording ---------------------------------------------------------------------------------
function card(told) {
  const one = { id: told.id, told, strength: "normal", state: null };
  one.words = make("small");
  one.bar = make("progress", { max: 1, value: 0, "aria-label": `Progress of ${told.name}` });
  one.remove = make("button.remove", { type: "button", "aria-label": `Remove ${told.name}`, onclick: () => remove(one) }, "Remove");
  one.place = make("div");
  one.format = make("select", { "aria-label": "Format", oninput: () => link(one) }, ...FORMATS.map(([value, text]) => make("option", { value }, text)));
  one.level = make("select", { "aria-label": "Loudness", oninput: () => link(one) }, ...LEVELS.map(([value, text]) => make("option", { value }, text)));
  one.link = make("a", { "aria-disabled": "true" }, "Download");
  one.take = make("div.take", {}, one.link, one.format, one.level);
  one.take.hidden = true;
  one.node = make("li", { onclick: () => { current = one; } },
    make("div.what", {}, make("div.name", {}, make("bdi", {}, told.name), one.words), one.bar, one.remove), one.place, one.take);
  $("list").append(one.node);
  cards.set(one.id, one);
  current = current || one;
  return one;
}
function update(told) {
  const one = cards.get(told.id) || card(told), share = told.seconds ? told.done_seconds / told.seconds : 0;
  const before = one.told.state;
  one.told = told;
  const notes = told.notes.length ? `. ${told.notes.join("; ")}` : "";
  one.words.className = told.state;
  one.words.textContent = {
    waiting: "waiting", done: `${clock(told.seconds, true)}, done${notes}`, failed: told.error ? told.error.message : "failed",
    working: `${clock(told.done_seconds)} of ${clock(told.seconds)} done${told.preview ? "; you can listen already" : ""}`,
  }[told.state];
  one.bar.hidden = told.state === "done" || told.state === "failed";
  if (share) one.bar.value = Math.min(1, share); else one.bar.removeAttribute("value");
  if (told.preview && !one.state) show(one);
  link(one);
  if (told.state !== before && told.state === "done") say(`${told.name} is done`);
  $("empty").hidden = cards.size > 0;
}
async function show(one) {
  one.state = { index: one.id };
  const { names, file, media } = await ask(`/v1/recordings/${one.id}/preview`);
  Object.assign(one.state, { names, onchoose: (side) => chosen(one, side) });
  one.state.panel = panel(one.state, file, media);
  const start = names.indexOf("Normal");
  choose(one.state, start, true);
  chosen(one, start);
  one.place.replaceChildren(one.state.panel);
  one.take.hidden = false;
}
/* The strength that was played last is the one downloaded; playing the original does not change it. */
function chosen(one, side) {
  if (side > 0) one.strength = one.state.names[side].toLowerCase();
  const shown = one.state.names.findIndex((name) => name.toLowerCase() === one.strength);
  one.state.lanes.forEach((lane, number) => lane.node.classList.toggle("shown", number === shown));
  link(one);
}
function link(one) {
  const done = one.told.state === "done", options = new URLSearchParams({ strength: one.strength, format: one.format.value, token: TOKEN });
  if (one.level.value) options.set("loudness", one.level.value);
  one.link.textContent = done ? `Download (${one.strength})` : `Download (${one.strength}) when all is done`;
  one.link.setAttribute("aria-disabled", String(!done));
  if (done) { one.link.href = `/v1/recordings/${one.id}/audio?${options}`; one.link.setAttribute("download", ""); } else one.link.removeAttribute("href");
}
async function remove(one) {
  if (one.state && one.state.player) one.state.player.close();
  if (one.state) one.state.closed = true;
  cards.delete(one.id);
  one.node.remove();
  if (current === one) current = cards.values().next().value || null;
  $("empty").hidden = cards.size > 0;
  await ask(`/v1/recordings/${one.id}`, { method: "DELETE" }).catch(() => null);
  $("list").focus();
}

// ---- polling and keys ------------------------------------------------------------------------------
async function look() {
  clearTimeout(looking);
  try {
    const told = await ask("/v1/recordings"), there = new Set(told.data.map((one) => one.id));
    $("ready").textContent = told.ready ? "" : "Loading it \u2026";
    told.data.forEach(update);
    for (const one of [...cards.values()]) {
      if (!there.has(one.id)) { cards.delete(one.id); one.node.remove(); }
    }
    const busy = !told.ready || told.data.some((one) => one.state === "waiting" || one.state === "working");
    if (busy || cards.size) looking = setTimeout(look, busy ? LOOK_EVERY : STAY_EVERY); // what is listed is kept
  } catch (error) {
    complain(`The server does not answer: ${error.message}`);
    looking = setTimeout(look, 5 * LOOK_EVERY);
  }
}
function keyed(event) {
  const state = current && current.state, type = event.target.type, tag = event.target.tagName;
  if (!state || !state.lanes || event.ctrlKey || event.metaKey || event.altKey || tag === "SELECT") return;
  const own = tag === "BUTTON" || tag === "A" || tag === "SUMMARY" || ["checkbox", "file"].includes(type), arrows = type === "range" || type === "radio";
  const at = () => (state.player ? state.player.position : Number(state.range.value));
  const action = {
    " ": !own && (() => playPause(state)), ArrowLeft: !arrows && (() => seek(state, at() - 1)), ArrowRight: !arrows && (() => seek(state, at() + 1)),
  }[event.key] || (/^[1-9]$/.test(event.key) && state.names[event.key - 1] && (() => choose(state, event.key - 1)));
  if (action) { event.preventDefault(); action(); }
}

$("choose").addEventListener("change", () => { handIn([...$("choose").files]); $("choose").value = ""; });
for (const kind of ["dragenter", "dragover"]) addEventListener(kind, (event) => { event.preventDefault(); $("drop").classList.add("over"); });
addEventListener("dragleave", (event) => { if (!event.relatedTarget) $("drop").classList.remove("over"); });
addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  handIn([...event.dataTransfer.files]);
});
document.addEventListener("keydown", keyed);
look();
window.dacseServe = { get current() { return current; }, cards, Player };
