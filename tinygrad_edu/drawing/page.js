"use strict";
// The page's own script. Texts are set as text, never as markup; the only markup inserted is the
// MathML of the formulas and the explanations, in which Python has escaped every name.
const { nodes, steps, words } = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const graph = at("graph");
let current = 0, chosen = null, timer = null;

// --- building elements --------------------------------------------------------------------------

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function math(markup) {
  const span = make("span");
  span.innerHTML = markup;
  return span;
}

// A sentence of the catalogue; what stands in its braces may be an element.
function say(key, values = {}) {
  return words[key].split(/\{(\w+)\}/).map((part, i) => (i % 2 ? values[part] : part));
}

const said = (key, values) => say(key, values).join("");

const named = (node) => make("bdi", {}, node.name);

function short(x) {
  if (typeof x === "string") return x;
  return Number.isInteger(x) && Math.abs(x) < 1e6 ? String(x) : String(Number(x.toPrecision(4)));
}

function colour(x, largest) {
  if (typeof x === "string") return "#999";
  const t = largest ? Math.max(-1, Math.min(1, x / largest)) : 0;
  const end = t > 0 ? [178, 24, 43] : [33, 102, 172];
  return `rgb(${end.map((c) => Math.round(255 + (c - 255) * Math.abs(t) * 0.8)).join(" ")})`;
}

// One number, or an array as a heat map that shows its numbers too where they are few.
function quantity(x) {
  if (x === null) return make("i", {}, words.unknown);
  if (typeof x !== "object") return make("span", { class: "number", title: String(x), "data-value": String(x) }, short(x));
  const told = x.summary.join(", ");
  const box = make("div");
  const flat = x.data && x.data.length && x.shape.length <= 2;
  if (!flat || x.data.length > 36) {
    box.append(make("div", { class: "soft" }, `(${x.shape.join(", ")}${x.shape.length === 1 ? "," : ""})  ${told}`));
  }
  if (!flat) return box;
  const columns = x.shape[x.shape.length - 1];
  const finite = x.data.filter((v) => typeof v === "number").map(Math.abs);
  const largest = Math.max(0, ...finite);
  const few = x.data.length <= 36 && columns <= 8;
  const table = make("table", { class: few ? "heat" : "heat small", "aria-label": told });
  for (let i = 0; i < x.data.length; i += columns) {
    const row = table.insertRow();
    for (const v of x.data.slice(i, i + columns)) {
      const cell = row.insertCell();
      cell.title = String(v);
      cell.dataset.value = String(v);
      cell.style.background = colour(v, largest);
      if (few) cell.textContent = short(v);
      else cell.setAttribute("aria-label", short(v));
    }
  }
  box.append(table);
  return box;
}

function list(pairs) {
  const dl = make("dl");
  for (const [term, content] of pairs) dl.append(make("dt", {}, term), make("dd", {}, content));
  return dl;
}

// The explanation of a rule, folded.
function why(node) {
  const box = make("details", {}, make("summary", {}, words.why));
  box.insertAdjacentHTML("beforeend", node.why);
  return box;
}

// --- one step -----------------------------------------------------------------------------------

const equation = (left, right) => make("p", { dir: "ltr", class: "line" }, math(left), " = ", math(right));

const forward = steps.filter((s) => s.kind === "given" || s.kind === "forward").length;

// The step at which the gradient of a value is known: when the last of its contributions arrives.
const known = new Map();
// The step at which each part of the picture appears that belongs to a gradient.
const appears = new Map();
steps.forEach((step, i) => {
  if (step.kind === "seed") known.set(step.node, i);
  if (step.kind !== "backward") return;
  for (const s of step.sent) appears.set(at(`b${s.edge}`), i);
  for (const s of step.sent) known.set(s.to, i);
});
nodes.forEach((node, i) => {
  if (node.grad === null) return;
  if (!known.has(i)) known.set(i, Math.min(forward, steps.length - 1));  // left by another sweep
  for (const part of graph.getElementsByClassName(`gradient ${node.box}`)) {
    appears.set(part, Math.max(known.get(i), appears.get(part) ?? 0));
  }
});
appears.delete(null);  // an edge inside of a folded box

const ahead = (i) => known.get(i) > current;

function describe(step) {
  const node = step.node === undefined ? null : nodes[step.node];
  const parts = [];
  if (step.kind === "given") {
    parts.push(make("h2", {}, words.given));
    const pairs = step.nodes.slice(0, 40).map((i) => [named(nodes[i]), quantity(nodes[i].value)]);
    parts.push(list(pairs));
    if (step.nodes.length > 40) parts.push(make("p", {}, ...say("more", { n: step.nodes.length - 40 })));
  } else if (step.kind === "forward") {
    parts.push(make("h2", {}, ...say("forward", { name: named(node) })), equation(node.math, node.formula));
    const pairs = node.inputs.map((i) => [named(nodes[i]), quantity(nodes[i].value)]);
    pairs.push([make("b", {}, named(node)), quantity(node.value)]);
    parts.push(list(pairs));
  } else if (step.kind === "seed") {
    parts.push(make("h2", {}, ...say("begins", { name: named(node) })));
    parts.push(make("p", {}, words.seed));
    parts.push(list([[math(node.gradient), quantity(node.grad)]]));
  } else {
    parts.push(make("h2", {}, ...say("backward", { name: named(node) })), equation(node.math, node.formula));
    parts.push(list([[words.upstream, make("div", {}, math(node.gradient), " ", quantity(node.grad))]]));
    const sent = make("ol", { class: "sent" });
    for (const s of step.sent) {
      const to = nodes[s.to];
      const pairs = [[words.rule, math(s.rule)]];
      if (s.local !== null) {
        const side = s.local.side ? make("div", { class: "soft" }, words[s.local.side]) : "";
        pairs.push([words.local, make("div", {}, math(s.local.math), quantity(s.local.value), side)]);
      }
      pairs.push([words.contribution, quantity(s.amount)]);
      if (s.of > 1) {
        pairs.push([said("sofar", s), quantity(s.total)]);
      }
      if (s.whole !== null) pairs.push([words.whole, math(s.whole)]);
      const item = make("li", { "data-to": s.to }, ...say(s.of > 1 ? "used" : "to", { name: named(to), n: s.of }));
      item.append(list(pairs));
      if (s.count === s.of && to.why !== null) item.append(why(to));
      sent.append(item);
    }
    parts.push(step.sent.length ? sent : make("p", {}, words.nothing));
  }
  at("step").replaceChildren(...parts);
}

function lit(step) {
  const found = [];
  if (step.kind === "given") found.push(...step.nodes.map((i) => nodes[i].box));
  else {
    const node = nodes[step.node];
    found.push(node.box);
    if (step.kind === "forward") {
      found.push(...node.edges.map((edge) => `f${edge}`));
    } else if (step.kind === "backward") {
      found.push(...step.sent.map((s) => `b${s.edge}`));
    }
  }
  return found;
}

function touched(step) {
  const found = lit(step);
  if (step.kind === "backward") found.push(...step.sent.map((s) => nodes[s.to].box));
  return found;
}

function go(to) {
  current = Math.max(0, Math.min(steps.length - 1, to));
  for (const element of graph.querySelectorAll(".lit, .seen")) element.classList.remove("lit", "seen");
  graph.classList.add("stepping");
  for (const step of steps.slice(0, current + 1)) {
    for (const id of touched(step)) at(id)?.classList.add("seen");
  }
  for (const id of lit(steps[current])) at(id)?.classList.add("lit");
  for (const [part, step] of appears) part.classList.toggle("ahead", step > current);
  describe(steps[current]);
  if (chosen !== null) choose(chosen);
  label();
  at("slider").value = current;
  const text = current < forward ? said("count_forward", { i: current + 1, n: forward })
    : said("count_backward", { i: current - forward + 1, n: steps.length - forward });
  at("count").textContent = text;
  at("slider").setAttribute("aria-valuetext", text);
  if (current === steps.length - 1) play(false);
  follow();
}

function play(on) {
  clearInterval(timer);
  timer = on ? setInterval(() => go(current + 1), 1400) : null;
  at("play").textContent = on ? words.pause : words.play;
  at("play").setAttribute("aria-label", on ? words.pause : words.play);
  at("play").setAttribute("aria-pressed", String(on));
}

function toggle() {
  if (timer === null && current === steps.length - 1) go(0);
  play(timer === null);
}

// --- one node -----------------------------------------------------------------------------------

function choose(i) {
  const node = nodes[i];
  graph.querySelector(".chosen")?.classList.remove("chosen");
  at(node.box)?.classList.add("chosen");
  chosen = i;
  const pairs = [[words.part, node.role], [words.shape, `${node.shape} ${node.dtype}`], [words.value, quantity(node.value)]];
  if (node.needs) pairs.push([words.gradient, ahead(i) ? make("i", {}, words.ahead) : quantity(node.grad)]);
  if (node.verdict) pairs.push([words.verdict, make("b", { class: "back" }, node.verdict)]);
  if (node.derived && !ahead(i)) pairs.push([words.derived, math(node.derived)]);
  const parts = [make("h2", {}, named(node))];
  if (node.formula) parts.push(equation(node.math, node.formula));
  parts.push(list(pairs));
  if (node.why !== null && !ahead(i)) parts.push(why(node));
  const arriving = steps.slice(0, current + 1).flatMap((s) => (s.sent || []).filter((c) => c.to === i).map((c) => [s, c]));
  if (arriving.length) {
    parts.push(make("h3", {}, words.from));
    const sources = make("ol", { class: "sent" });
    for (const [s, c] of arriving) {
      sources.append(make("li", {}, named(nodes[s.node]), list([[words.rule, math(c.rule)], [words.contribution, quantity(c.amount)]])));
    }
    parts.push(sources);
    if (arriving.length > 1) parts.push(list([[ahead(i) ? words.sumsofar : words.sum, quantity(arriving[arriving.length - 1][1].total)]]));
  }
  at("node").replaceChildren(...parts);
}

const inBox = new Map();
nodes.forEach((node, i) => {
  if (!inBox.has(node.box)) inBox.set(node.box, []);
  inBox.get(node.box).push(i);
});
for (const [box, members] of inBox) {
  const element = at(box);
  if (!element) continue;
  const i = members[members.length - 1];
  element.setAttribute("tabindex", "0");
  element.setAttribute("role", "button");
  const open = () => choose(chosen !== null && members.includes(chosen) ? members[(members.indexOf(chosen) + 1) % members.length] : i);
  element.addEventListener("click", () => { if (!moved) open(); });
  element.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); event.stopPropagation(); open(); }
  });
}

// What a screen reader says of each box at this step.
function label() {
  const number = (x) => (x === null ? words.unknown : typeof x === "object" ? x.summary.join(", ") : short(x));
  for (const [box, members] of inBox) {
    const i = members[members.length - 1], node = nodes[i];
    const told = said("label", { ...node, value: number(node.value) });
    const gradient = node.needs ? said("label_gradient", { gradient: ahead(i) ? words.ahead : number(node.grad) }) : "";
    at(box)?.setAttribute("aria-label", members.length > 1 ? said("folded", { n: members.length }) : told + gradient);
  }
}

// --- zoom and pan -------------------------------------------------------------------------------

const whole = graph.viewBox.baseVal;
const page = { x: whole.x, y: whole.y, width: whole.width, height: whole.height };
let view = { ...page }, moved = false, byHand = false;

function look(to) {
  view = to;
  graph.setAttribute("viewBox", `${view.x} ${view.y} ${view.width} ${view.height}`);
}

function fit() { byHand = false; look({ ...page }); }

function zoom(by, px = 0.5, py = 0.5) {
  byHand = true;
  const width = view.width / by, height = view.height / by;
  look({ x: view.x + (view.width - width) * px, y: view.y + (view.height - height) * py, width, height });
}

// At this scale the smallest letters, of ten units, are 12 px high.
const LEGIBLE = 1.2;

// Where the whole graph would be too small to read, show the part around the current step.
function follow() {
  const size = graph.getBoundingClientRect();
  if (!size.width || !size.height) return;
  const scale = Math.min(size.width / page.width, size.height / page.height);
  if (byHand || scale >= LEGIBLE) return;
  const boxes = [...graph.querySelectorAll("g.node.lit")];
  if (!boxes.length || steps[current].kind === "given") return look({ ...page });
  const inverse = graph.getScreenCTM().inverse();
  const corners = boxes.flatMap((box) => {
    const r = box.getBoundingClientRect();
    return [new DOMPoint(r.left, r.top), new DOMPoint(r.right, r.bottom)].map((p) => p.matrixTransform(inverse));
  });
  const xs = corners.map((p) => p.x), ys = corners.map((p) => p.y);
  const width = Math.min(page.width, size.width / LEGIBLE), height = Math.min(page.height, size.height / LEGIBLE);
  look({
    x: (Math.min(...xs) + Math.max(...xs)) / 2 - width / 2,
    y: (Math.min(...ys) + Math.max(...ys)) / 2 - height / 2, width, height,
  });
}

graph.addEventListener("wheel", (event) => {
  event.preventDefault();
  const size = graph.getBoundingClientRect();
  zoom(event.deltaY < 0 ? 1.15 : 1 / 1.15, (event.clientX - size.left) / size.width, (event.clientY - size.top) / size.height);
}, { passive: false });

let held = null;
graph.addEventListener("pointerdown", (event) => { held = { x: event.clientX, y: event.clientY, view: { ...view } }; moved = false; });
window.addEventListener("pointermove", (event) => {
  if (!held) return;
  const dx = event.clientX - held.x, dy = event.clientY - held.y;
  if (Math.abs(dx) + Math.abs(dy) > 4) moved = byHand = true;
  if (!moved) return;
  const scale = 1 / graph.getScreenCTM().a;
  look({ ...held.view, x: held.view.x - dx * scale, y: held.view.y - dy * scale });
});
window.addEventListener("pointerup", () => { held = null; });

// --- controls -----------------------------------------------------------------------------------

const actions = {
  first: () => go(0), back: () => go(current - 1), next: () => go(current + 1),
  last: () => go(steps.length - 1), play: toggle, in: () => zoom(1.25), out: () => zoom(0.8), fit,
};
for (const [id, action] of Object.entries(actions)) {
  at(id).addEventListener("click", () => { if (id !== "play" && !["in", "out", "fit"].includes(id)) play(false); action(); });
}
at("slider").max = steps.length - 1;
at("slider").addEventListener("input", (event) => { play(false); go(Number(event.target.value)); });

const keys = {
  ArrowRight: "next", ArrowLeft: "back", Home: "first", End: "last", p: "play", P: "play",
  "+": "in", "=": "in", "-": "out", "0": "fit",
};
window.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in keys)) return;
  event.preventDefault();
  at(keys[event.key]).click();
});
window.addEventListener("resize", follow);
go(0);
