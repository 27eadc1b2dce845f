// The page: what is typed is asked about, what is answered is shown. Nothing else is asked.
import { Editor, make } from "./editor.js";

const $ = (id) => document.getElementById(id);
const served = document.documentElement.dataset.mode === "served";
const LONGEST = 200000;
const status = (text) => { $("status").textContent = text; };

// --- who answers: the server on this machine, or Python in a worker of this page ----------------
const LIMIT = 20000, START = 180000;
let worker, running = false, number = 0;
const waiting = new Map();

function start() {
  running = false;
  status("starting Python in this page …");
  worker = new Worker("worker.js", { type: "module" });
  worker.onmessage = ({ data }) => {
    if (data.ready) { running = true; status(""); }
    else if (data.failed) stop(`Python could not be started: ${data.failed}`);
    else { waiting.get(data.id)?.(data.answer); }
  };
  worker.onerror = () => stop("Python could not be started");
}

function stop(why) {
  worker.terminate();
  for (const answer of [...waiting.values()]) answer({ error: why, line: 0, column: 0 });
}

function inWorker(task) {
  const id = ++number;
  return new Promise((answered) => {
    const clock = setTimeout(() => { stop("this took more than 20 s and was stopped"); start(); },
      running ? LIMIT : START);
    waiting.set(id, (answer) => { clearTimeout(clock); waiting.delete(id); answered(answer); });
    worker.postMessage({ ...task, id });
  });
}

async function atServer({ kind, ...task }) {
  const headers = { "Content-Type": "application/json", "X-Tinygrad-Edu": "1" };
  const answer = await fetch(`ask/${kind}`, { method: "POST", headers, body: JSON.stringify(task) });
  return answer.json();
}

async function ask(task) {
  if (task.text.length > LONGEST)
    return { error: `a sheet has at most ${LONGEST.toLocaleString("en")} characters`, line: 1, column: 1 };
  try {
    return await (served ? atServer(task) : inWorker(task));
  } catch {
    return { error: "nobody answers: is tinygrad-edu serve still running?", line: 0, column: 0 };
  }
}

// Asks one thing at a time, always the latest; of what was overtaken nothing is shown.
class Latest {
  constructor(shown) { this.shown = shown; this.busy = false; this.next = null; }
  async ask(task) {
    this.next = task;
    if (this.busy) return;
    this.busy = true;
    while (this.next) {
      const asked = this.next;
      this.next = null;
      const answer = await ask(asked);
      if (!this.next) this.shown(asked, answer);
    }
    this.busy = false;
  }
}

// --- verdicts -----------------------------------------------------------------------------------
let chosen = {}; // the numbers that sliders were moved to
let soon, later;
const editor = new Editor($("editor"), "derivation", () => {
  clearTimeout(soon);
  clearTimeout(later);
  soon = setTimeout(() => checks.ask({ kind: "check", text: editor.text, numbers: chosen }), 40);
});

const rowsOf = (answer) => answer.rows
  ?? [{ line: answer.line, verdict: "wrong", said: [answer.error], mistake: answer.line ? "cannot be read" : "not judged" }];

const checks = new Latest(({ text }, answer) => {
  editor.show(text, rowsOf(answer));
  say(answer);
  $("remarks").replaceChildren(...(answer.remarks ?? []).map((said) => make("li", "", said)));
  document.body.dataset.checked = text.length;
  link(text);
  later = setTimeout(() => explain(text), 200);
});

function say(answer) {
  const rows = answer.rows ?? [];
  const count = (verdict) => rows.filter((row) => row.verdict === verdict).length;
  const said = answer.error ?? (answer.ok ? "All right."
    : rows.length ? `${count("wrong")} wrong, ${count("follows")} only because of that` : "Nothing is claimed yet.");
  $("verdict").className = answer.ok ? "good" : "bad";
  $("verdict").textContent = said + (answer.title ? ` (${answer.title})` : "");
}

// --- rules, graph, numbers ----------------------------------------------------------------------
const explain = (text) => explanations.ask({ kind: "explain", text, numbers: chosen });

const explanations = new Latest(async ({ text }, answer) => {
  if (text !== editor.text || answer.error) return;
  const open = new Set([...$("rules").querySelectorAll("details[open]")].map((d) => d.dataset.name));
  $("rules").replaceChildren(...answer.rules.map((rule) => {
    const box = make("details"), line = make("summary");
    box.dataset.name = rule.name;
    box.open = open.has(rule.name);
    put(line, rule.mathml);
    const why = make("div", "why");
    put(why, rule.why);
    box.append(line, why, make("code", "", rule.numpy));
    return box;
  }));
  const { name, value } = answer.cost;
  $("cost").textContent = `${name} = ${value ?? "no number"}`;
  showNumbers(answer.numbers, name);
  showGraph(answer.svg ?? await drawn(answer.dot));
  document.body.dataset.explained = text.length;
});

// Only these elements and attributes of what the package writes come into the page.
const ELEMENTS = new Set(("section p div span b i em code ul ol li table tbody tr td th math mrow mi mo mn mtext mspace "
  + "msub msup msubsup mfrac msqrt mover munder munderover mtable mtr mtd mstyle mpadded menclose").split(" "));
const ATTRIBUTES = new Set("class width height form stretchy accent mathvariant columnalign displaystyle fence separator lspace rspace".split(" "));

function put(place, markup) {
  // An inset would be a style in the markup, which this page does not take.
  const inset = markup.replace(/ style="margin-left:\d+em"/g, ' class="inset"');
  const from = new DOMParser().parseFromString(inset, "text/html").body;
  const copy = (node, into) => {
    for (const child of node.childNodes) {
      if (child.nodeType === Node.TEXT_NODE) into.append(child.data);
      else if (ELEMENTS.has(child.localName)) {
        const element = document.createElementNS(child.namespaceURI, child.localName);
        for (const { name, value } of child.attributes) if (ATTRIBUTES.has(name)) element.setAttribute(name, value);
        copy(child, element);
        into.append(element);
      }
    }
  };
  place.replaceChildren();
  copy(from, place);
}

let picture;
function showGraph(svg) {
  if (picture) URL.revokeObjectURL(picture);
  picture = null;
  if (!svg) return $("graph").replaceChildren(make("p", "", "Pictures need Viz.js: tinygrad-edu page --viz"));
  picture = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
  const image = make("img");
  image.alt = "the graph, with values and gradients";
  image.src = picture;
  image.title = "click for its full size";
  image.addEventListener("click", () => image.classList.toggle("whole"));
  $("graph").replaceChildren(image);
}

let viz;
async function drawn(dot) {
  try {
    viz ??= (await import("./viz.js")).instance();
    return (await viz).renderString(dot, { format: "svg" }).replace(/^[^]*?(?=<svg)/, "");
  } catch {
    return null;
  }
}

const entriesOf = (value, index = []) => Array.isArray(value)
  ? value.flatMap((part, i) => entriesOf(part, [...index, i])) : [{ index, value }];
const at = (value, index) => index.reduce((part, i) => part?.[i], value);
const shapeOf = (numbers) => JSON.stringify(Object.entries(numbers)
  .map(([name, { value }]) => [name, entriesOf(value).map(({ index }) => index)]));

const short = (x) => x === null || x === undefined ? "none" : String(Number(x.toPrecision(3)));

let shape, current;
function showNumbers(numbers, cost) {
  current = numbers;
  if (shape !== shapeOf(numbers)) {
    shape = shapeOf(numbers);
    const open = new Set([...$("numbers").querySelectorAll("details[open]")].map((d) => d.dataset.name));
    $("numbers").replaceChildren(...Object.entries(numbers).map(([name, { value }]) => {
      const box = make("details"), title = make("summary", "", name);
      box.dataset.name = name;
      box.open = open.has(name);
      box.append(title, ...entriesOf(value).map(({ index }) => slider(name, index, cost)));
      return box;
    }));
  }
  for (const line of $("numbers").querySelectorAll(".slider")) {
    const { name, index } = line.own;
    const value = at(numbers[name].value, index), grad = at(numbers[name].grad, index);
    const [range, number, gradient] = line.querySelectorAll("input, output");
    if (document.activeElement !== range) range.value = value;
    number.textContent = short(value);
    gradient.textContent = short(grad);
  }
}

function slider(name, index, cost) {
  const line = make("label", "slider");
  const which = name + (index.length ? `[${index}]` : "");
  const range = make("input");
  Object.assign(range, { type: "range", min: -3, max: 3, step: 0.01 });
  range.setAttribute("aria-label", which);
  line.own = { name, index };
  line.append(make("code", "", which), range, make("output"), make("span", "", `∂${cost}/∂`), make("output", "gradient"));
  range.addEventListener("input", () => {
    const value = structuredClone(chosen[name] ?? current[name].value);
    if (index.length) at(value, index.slice(0, -1))[index.at(-1)] = Number(range.value);
    chosen = { ...chosen, [name]: index.length ? value : Number(range.value) };
    explain(editor.text);
  });
  return line;
}

// --- the sheet in the address, which is sent nowhere --------------------------------------------
async function pack(text) {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  let letters = "";
  for (const byte of bytes) letters += String.fromCharCode(byte);
  return btoa(letters).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

async function unpack(code) {
  const bytes = Uint8Array.from(atob(code.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done || text.length > LONGEST) return text;
    text += decoder.decode(value, { stream: true });
  }
}

async function link(text) {
  const packed = text.length > LONGEST ? "" : await pack(text);
  $("steps").hidden = !packed || packed.length > 50000;
  if (served) $("steps").href = `steps?s=${packed}`;
}

$("steps").addEventListener("click", async (event) => {
  if (served) return;
  event.preventDefault();
  const answer = await ask({ kind: "steps", text: editor.text, numbers: chosen });
  if (answer.error) return status(answer.error);
  const page = make("a");
  page.href = URL.createObjectURL(new Blob([answer.html], { type: "text/html" }));
  page.download = "steps.html";
  page.click();
});

$("share").addEventListener("click", async () => {
  history.replaceState(null, "", `#s=${await pack(editor.text)}`);
  status("The derivation is in the address of this page.");
});

async function restore() {
  const packed = /^#s=([\w-]+)$/.exec(location.hash);
  if (!packed) return false;
  try {
    chosen = {};
    editor.text = await unpack(packed[1]);
    return true;
  } catch {
    status("There is no derivation in this address.");
    return false;
  }
}
addEventListener("hashchange", restore);

// --- the second tab: code -----------------------------------------------------------------------
const code = new Editor($("code-editor"), "code", () => {});
const runs = new Latest(({ text }, answer) => {
  code.show(text, rowsOf(answer));
  $("code-verdict").className = answer.ok ? "good" : "bad";
  $("code-verdict").textContent = answer.error ?? answer.title;
  $("code-said").textContent = answer.said ?? "";
  $("run").disabled = false;
});
$("run").addEventListener("click", () => {
  $("run").disabled = true;
  $("code-verdict").textContent = "running …";
  runs.ask({ kind: "code", text: code.text });
});
function show(tab) {
  for (const name of ["sheet", "code"]) {
    $(name).hidden = name !== tab;
    $(`to-${name}`).setAttribute("aria-selected", name === tab);
  }
  (tab === "code" ? code : editor).place();
}
$("to-sheet").addEventListener("click", () => show("sheet"));
$("to-code").addEventListener("click", () => show("code"));
$("to-code").hidden = !served;

// --- begin --------------------------------------------------------------------------------------
if (!served) start();
const { code: example, ...sheets } = await (await fetch("gallery.json")).json();
for (const title of Object.keys(sheets)) $("gallery").append(new Option(title));
$("gallery").addEventListener("change", () => { chosen = {}; editor.text = sheets[$("gallery").value]; });
code.text = example;
if (!(await restore())) editor.text = Object.values(sheets)[0];
document.body.dataset.ready = "yes";
