/* The data embedded in the page, and functions that make nodes, numbers and times from it. File names are
   untrusted: they become text, never markup. */
const SIDES = ["Before", "After"], CLASSES = ["b", "a"];
const SCORES = [
  ["dnsmos_ovrl", "Overall", "OVRL"], ["dnsmos_sig", "Speech", "SIG"],
  ["dnsmos_bak", "Background", "BAK"], ["dnsmos_p808", "Overall, P.808", "P808"],
];
const STATES = {
  done: "done", "done-warned": "done with a warning", skipped: "skipped", failed: "failed", "not-reached": "not reached",
};
const VERDICTS = { kept: "kept", repaired: "repaired", "passed-through": "passed through", doubted: "doubted" };
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
/* [name, change] of the score that fell most, by a tenth or more; null where none did. */
function worstOf(file) {
  if (!file.scores) return null;
  const changes = SCORES.map(([name, word]) => [word, file.scores[1][name] - file.scores[0][name]]);
  const worst = changes.reduce((one, other) => (other[1] < one[1] ? other : one));
  return worst[1] <= -0.1 ? worst : null;
}
const say = (text) => { $("said").textContent = text; };
