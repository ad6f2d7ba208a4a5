"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const dialog = document.getElementById("window");
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// Text always goes in as text: nothing that a record says is read as HTML.
function make(tag, attributes = {}, ...children) {
  const space = ["svg", "path", "text"].includes(tag) ? "http://www.w3.org/2000/svg" : "http://www.w3.org/1999/xhtml";
  const node = document.createElementNS(space, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function show(title, ...content) {
  const close = make("button", { type: "button", class: "close" }, "Close");
  close.addEventListener("click", () => dialog.close());
  dialog.replaceChildren(close, make("h2", { id: "window-title" }, title), ...content);
  dialog.showModal();
  dialog.scrollTop = 0;
}
dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());

function curve(name, points) {
  const width = 360, height = 160, [left, right, top, bottom] = [8, 8, 16, 18];
  const xs = points.map((point) => point[0]), ys = points.map((point) => point[1]);
  const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const x = (value) => left + (width - left - right) * (x1 > x0 ? (value - x0) / (x1 - x0) : 0.5);
  const y = (value) => top + (height - top - bottom) * (y1 > y0 ? (y1 - value) / (y1 - y0) : 0.5);
  const path = points.map((p, i) => `${i ? "L" : "M"}${x(p[0]).toFixed(1)} ${y(p[1]).toFixed(1)}`).join("");
  const label = `${name} from ${ys[0]} at step ${xs[0]} to ${ys.at(-1)} at step ${x1}`;
  return make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
    make("path", { d: path }),
    make("text", { x: left, y: 11 }, `${name} ${y1} (highest)`),
    make("text", { x: left, y: height - 4 }, `step ${x0}`),
    make("text", { x: width - right, y: height - 4, "text-anchor": "end" }, `step ${x1}; lowest ${y0}`));
}

function metrics(rows) {
  const head = ["probe", "metric", "target", "split", "value"].map((name) => make("th", { scope: "col" }, name));
  const lines = rows.map(([kind, value]) =>
    make("tr", {}, ...[...data.metrics[kind], value ?? "undefined"].map((text) => make("td", {}, String(text)))));
  return make("div", { class: "scroll" },
    make("table", {}, make("caption", {}, "Metrics"), make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...lines)));
}

function folded(title, value, open = false) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 1);
  return make("details", open ? { open: "" } : {}, make("summary", {}, title), make("pre", { tabindex: 0 }, text));
}

function run(number) {
  const found = data.runs[number], parts = [];
  parts.push(make("p", {}, `${found.status}${found.reason ? `: ${found.reason}` : ""}; ${found.suite}, ${found.budget}`));
  parts.push(make("p", { class: "note" }, found.path));
  if (found.traceback) parts.push(folded("Traceback", found.traceback, true));
  if (found.curve) parts.push(curve("loss", found.curve));
  for (const [name, points] of Object.entries(found.parts ?? {})) parts.push(curve(`part ${name}`, points));
  for (const name of ["configuration", "provenance", "data", "probes"])
    if (name in found) parts.push(folded(name, data.shared[found[name]]));
  for (const name of ["training", "notes"]) if (found[name]) parts.push(folded(name, found[name]));
  if (found.metrics) parts.push(metrics(found.metrics));
  return parts;
}

// A run is put together when it is opened: a number may stand for hundreds.
function opened(number, open) {
  const found = data.runs[number];
  const node = make("details", { class: "run" }, make("summary", {}, `${found.dataset}, ${found.method}, seed ${found.seed}`));
  node.addEventListener("toggle", () => node.open && node.childElementCount === 1 && node.append(...run(number)));
  node.open = open;
  return node;
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-runs]");
  if (link) {
    event.preventDefault();
    const runs = link.dataset.runs.split(" ");
    const title = runs.length > 1 ? `${runs.length} runs behind this number` : "Run";
    show(title, ...runs.map((number, i) => opened(number, i === 0)));
  }
  const figure = event.target.closest(".large");
  if (figure) show(figure.querySelector("img").alt, figure.querySelector("img").cloneNode());
});

// Sorting: numbers by value, all else by text; what is missing comes last.
function sort(head) {
  const table = head.closest("table"), column = Number(head.dataset.column);
  const up = head.getAttribute("aria-sort") === "descending";
  all("th", table.tHead).forEach((other) => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const numeric = all("tr", table.tBodies[0]).some((row) => row.cells[column].dataset.value);
  const key = (row) => numeric ? Number(row.cells[column].dataset.value ?? NaN) : row.cells[column].textContent;
  const order = (a, b) => {
    const [x, y] = [key(a), key(b)];
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
    return (numeric ? x - y : x.localeCompare(y, "en", { numeric: true })) * (up ? 1 : -1);
  };
  table.tBodies[0].append(...all("tr", table.tBodies[0]).sort(order));
}
all(".sort").forEach((button) => button.addEventListener("click", () => sort(button.closest("th"))));

const filters = document.getElementById("filters");
filters?.addEventListener("change", () => {
  for (const name of ["suite", "budget", "method"])
    all(`[data-${name}]`).forEach((node) => node.dataset[`off${name}`] = Number(Boolean(filters[name].value) && node.dataset[name] !== filters[name].value));
  all("[data-suite], [data-budget], [data-method]").forEach((node) => {
    node.hidden = ["offsuite", "offbudget", "offmethod"].some((off) => node.dataset[off] === "1");
  });
});

document.getElementById("theme")?.addEventListener("click", () => {
  const root = document.documentElement, dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = root.style.colorScheme || (dark ? "dark" : "light");
  root.style.colorScheme = now === "dark" ? "light" : "dark";
});

for (const film of all(".film")) {
  const [image, slider, play, output] = ["img", "input", ".play", "output"].map((name) => film.querySelector(name));
  const times = film.dataset.times.split(" ");
  const at = (instant) => {
    slider.value = instant;
    image.style.transform = `translateY(${-100 * instant / times.length}%)`;
    output.textContent = `t = ${times[instant]}`;
  };
  let timer = 0;
  slider.addEventListener("input", () => at(Number(slider.value)));
  play.addEventListener("click", () => {
    play.textContent = timer ? "Play" : "Pause";
    timer = timer ? clearInterval(timer) ?? 0 : setInterval(() => at((Number(slider.value) + 1) % times.length), 400);
  });
}
