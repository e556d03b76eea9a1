// The search, light and dark, and what a keyboard needs. A page can be read without it.
"use strict";
const root = document.documentElement.dataset.root;
const tools = document.querySelector(".tools");
const field = tools.querySelector("input");
const found = document.querySelector(".found");
const list = found.querySelector("ol");
const status = found.querySelector("[role=status]");
const theme = tools.querySelector(".theme");
tools.hidden = false;
if (matchMedia("(pointer: coarse)").matches) field.placeholder = "Search"; // without keys

// Light and dark: as the system has it, until a reader chooses.
const memory = (() => { try { return window.localStorage; } catch { return null; } })();
const isDark = () => (document.documentElement.style.colorScheme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
const show = (scheme) => {
  if (scheme) document.documentElement.style.colorScheme = scheme;
  theme.textContent = isDark() ? "Light" : "Dark";
  theme.setAttribute("aria-label", isDark() ? "Light colours" : "Dark colours");
};
show(memory?.getItem("itd-scheme"));
theme.addEventListener("click", () => {
  const scheme = isDark() ? "light" : "dark";
  show(scheme);
  memory?.setItem("itd-scheme", scheme);
});

// Letters without case and accents, one kind of dash; a letter of a formula is the letter.
const flat = (text) => text.toLowerCase().normalize("NFKD").replace(/[\u0300-\u036f]/g, "").replace(/[‐‑–−]/g, "-").replace(/⁄/g, "/").replace(/ς/g, "σ");

// The text of all pages comes when it is first wanted.
let sections = null;
let loading = null;
window.itdSearch = (rows) => {
  sections = rows.map(([page, id, title, heading, text]) =>
    ({ page, id, title, heading, text, names: flat(title + " " + heading), flat: flat(text) }));
};
const load = () => loading ??= new Promise((done) => {
  const script = document.createElement("script");
  script.src = root + "assets/search.js";
  script.onload = done;
  document.head.append(script);
});

// What else a word is written as.
const other = new Map([["equation", "eqs?"], ["equations", "eqs?"], ...Object.entries({ alpha: "α", beta: "β", gamma: "γ", delta: "δ", epsilon: "ε",
  eps: "ε", kappa: "κ", lambda: "λ", mu: "μ", pi: "π", rho: "ρ", sigma: "σ", tau: "τ", phi: "φ", chi: "χ", psi: "ψ", omega: "ω" })]);
// code-length finds code length, normalisation finds normalization, and eq.9 finds Eq. 9.
const pattern = (word) => {
  const own = word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/-/g, "[-\\s]?").replace(/i[sz](?=(e[drs]?|ing|ations?)$)/, "i[sz]")
    .replace(/(\p{L})\\\.(?=\d)/u, "$1\\.?\\s*");
  return other.has(word) ? `(?:${own}|${other.get(word)})` : own;
};
const START = "(?<![\\p{L}\\p{N}])", END = "(?![\\p{L}\\p{N}])";

const search = (words) => {
  const patterns = words.map(pattern);
  // From the best place of a word to the worst: alone, at the start of another, inside.
  const ways = patterns.map((own) => [START + own + END, START + own, own].map((way) => new RegExp(way, "u")));
  const phrase = new RegExp(START + patterns.join("[\\s.,]+") + END, "u");
  const hits = [];
  for (const section of sections) {
    let score = 0;
    for (const way of ways) {
      const named = [8, 5, 0][way.findIndex((one) => one.test(section.names))] ?? 0;
      const inside = [3, 2, 1][way.findIndex((one) => one.test(section.flat))] ?? 0;
      if (!named && !inside) { score = 0; break; }
      score += named + inside;
    }
    if (score && words.length > 1) score += (phrase.test(section.names) ? 16 : 0) + (phrase.test(section.flat) ? 6 : 0);
    if (score) hits.push([score, section]);
  }
  const [alone, start, inside] = ways[0];
  const seen = words.length > 1 ? [phrase, alone, start, inside] : ways[0];
  return hits.sort((one, other) => other[0] - one[0]).map(([, section]) => ({ ...section, found: seen.find((one) => one.test(section.flat)) }));
};

// Where the text is that has become `flat` up to a place: one letter may be several there.
const place = (text, at) => {
  let index = 0, seen = 0;
  for (const sign of text) {
    if (seen >= at) break;
    seen += flat(sign).length;
    index += sign.length;
  }
  return index;
};

// The words around what was found, which is marked.
const snippet = (section) => {
  const hit = section.found?.exec(section.flat);
  const [from, to] = hit ? [hit.index, hit.index + hit[0].length].map((at) => place(section.text, at)) : [0, 0];
  const start = from < 50 ? 0 : section.text.lastIndexOf(" ", from - 50) + 1;
  const end = Math.max(start + 150, to);
  const mark = document.createElement("mark");
  mark.textContent = section.text.slice(from, to);
  return [start ? "… " : "", section.text.slice(start, from), mark, section.text.slice(to, end), end < section.text.length ? " …" : ""];
};

// Words that tell nothing about what is looked for, unless there are no others.
const IDLE = new Set("a an and are be can do does for from how i in is it me my of on or the to what when where which why with".split(" "));

const answer = async () => {
  const typed = flat(field.value).split(/\s+/).filter(Boolean);
  const telling = typed.filter((word) => !IDLE.has(word));
  const words = telling.length ? telling : typed;
  found.hidden = !words.length;
  if (!words.length) return;
  found.style.setProperty("--below", `${Math.max(tools.getBoundingClientRect().bottom, 0) + 8}px`);
  await load();
  const hits = search(words);
  status.textContent = hits.length ? `${hits.length} ${hits.length === 1 ? "place" : "places"}` : "Nothing has all of these words.";
  list.replaceChildren(...hits.slice(0, 20).map((section) => {
    const link = document.createElement("a");
    link.href = root + section.page + (section.id ? "#" + encodeURIComponent(section.id) : "");
    link.textContent = section.heading && section.heading !== section.title ? `${section.title} › ${section.heading}` : section.title;
    const text = document.createElement("p");
    text.append(...snippet(section));
    const item = document.createElement("li");
    item.append(link, text);
    return item;
  }));
};

let turn = 0;
field.addEventListener("focus", load, { once: true });
field.addEventListener("input", () => { clearTimeout(turn); turn = setTimeout(answer, 80); });
const close = () => { found.hidden = true; };
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea, select");
  const links = [...list.querySelectorAll("a")];
  const at = links.indexOf(document.activeElement);
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    field.focus();
    field.select();
  } else if (event.key === "Escape" && !found.hidden) {
    close();
    field.focus();
  } else if (event.key === "Enter" && event.target === field && links.length) {
    links[0].click();
  } else if (event.key === "ArrowDown" && (event.target === field || at >= 0) && links.length) {
    event.preventDefault();
    links[Math.min(at + 1, links.length - 1)].focus();
  } else if (event.key === "ArrowUp" && at >= 0) {
    event.preventDefault();
    (links[at - 1] ?? field).focus();
  }
});
document.addEventListener("click", (event) => {
  if (!event.target.closest(".found, .tools") || event.target.closest(".found a")) close();
});

// What is wider than the page can be moved with the keys as well.
const moves = (box) => {
  const { overflowX, overflowY } = getComputedStyle(box);
  return /auto|scroll/.test(overflowX) && box.scrollWidth > box.clientWidth || /auto|scroll/.test(overflowY) && box.scrollHeight > box.clientHeight;
};
const reach = () => document.querySelectorAll("pre, .wide, .formula, .output, .contents, main :is(p, ul, ol, h1, h2, h3), figcaption").forEach((box) => {
  if (moves(box)) box.tabIndex = 0;
  else box.removeAttribute("tabindex");
});
reach();
addEventListener("load", reach);
document.fonts.ready.then(reach);
addEventListener("resize", reach);
// On paper hints and solutions stay folded; derivations are told.
addEventListener("beforeprint", () => document.querySelectorAll(".derivation details").forEach((fold) => { fold.open = true; }));
