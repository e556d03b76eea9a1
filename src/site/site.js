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

// The text of all pages comes when it is first wanted.
let sections = null;
let loading = null;
window.itdSearch = (rows) => {
  const flat = (text) => text.toLowerCase().normalize("NFKD").replace(/[\u0300-\u036f]/g, "");
  sections = rows.map(([page, id, title, heading, text]) =>
    ({ page, id, title, heading, text, names: flat(title + " " + heading), flat: flat(text) }));
};
const load = () => loading ??= new Promise((done) => {
  const script = document.createElement("script");
  script.src = root + "assets/search.js";
  script.onload = done;
  document.head.append(script);
});

const search = (words) => {
  const hits = [];
  for (const section of sections) {
    let score = 0;
    for (const word of words) {
      const start = new RegExp("(^|[^\\p{L}\\p{N}])" + word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "u");
      const named = start.test(section.names) ? 8 : 0;
      const inside = start.test(section.flat) ? 2 : section.flat.includes(word) ? 1 : 0;
      if (!named && !inside) { score = 0; break; }
      score += named + inside;
    }
    if (score) hits.push([score, section]);
  }
  return hits.sort((one, other) => other[0] - one[0]).map(([, section]) => section);
};

const snippet = (section, word) => {
  const at = Math.max(section.flat.indexOf(word), 0);
  const start = Math.max(section.text.lastIndexOf(" ", Math.max(at - 50, 0)), 0);
  const text = section.text.slice(start, start + 150).trim();
  return (start ? "… " : "") + text + (start + 150 < section.text.length ? " …" : "");
};

const answer = async () => {
  const words = field.value.toLowerCase().normalize("NFKD").replace(/[\u0300-\u036f]/g, "").split(/\s+/).filter(Boolean);
  found.hidden = !words.length;
  if (!words.length) return;
  await load();
  const hits = search(words);
  status.textContent = hits.length ? `${hits.length} ${hits.length === 1 ? "place" : "places"}` : "Nothing has all of these words.";
  list.replaceChildren(...hits.slice(0, 20).map((section) => {
    const link = document.createElement("a");
    link.href = root + section.page + (section.id ? "#" + encodeURIComponent(section.id) : "");
    link.textContent = section.heading && section.heading !== section.title ? `${section.title} › ${section.heading}` : section.title;
    const text = document.createElement("p");
    text.textContent = snippet(section, words[0]);
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
const reach = () => document.querySelectorAll("pre, .wide, .formula, .output, .contents, main :is(p, ul, ol, h1, h2, h3), figcaption").forEach((box) => {
  if (box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight) box.tabIndex = 0;
  else box.removeAttribute("tabindex");
});
reach();
addEventListener("load", reach);
document.fonts.ready.then(reach);
addEventListener("resize", reach);
// On paper hints and solutions stay folded; derivations are told.
addEventListener("beforeprint", () => document.querySelectorAll(".derivation details").forEach((fold) => { fold.open = true; }));
