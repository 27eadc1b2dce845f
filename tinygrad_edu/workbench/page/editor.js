// A text area with line numbers, marks in the margin, and what is said of a line beside it.
const MARKS = { correct: "✓", kink: "∧", unchecked: "–", follows: "↳", wrong: "✗" };

export const make = (tag, name, text) => {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text !== undefined) element.textContent = text;
  return element;
};

export class Editor {
  // `changed` is called after every change of the text.
  constructor(root, label, changed) {
    this.numbers = make("pre", "numbers");
    this.numbers.setAttribute("aria-hidden", "true");
    this.bands = make("div", "bands");
    this.area = make("textarea");
    Object.assign(this.area, { spellcheck: false, wrap: "off", autocomplete: "off" });
    this.area.setAttribute("aria-label", label);
    this.area.setAttribute("autocapitalize", "off");
    this.notes = make("div", "notes");
    const paper = make("div", "paper");
    paper.append(this.bands, this.area);
    const scroll = make("div", "scroll");
    scroll.append(this.numbers, paper, this.notes);
    root.append(scroll);
    this.checked = null;
    this.area.addEventListener("input", () => this.typed(changed));
    this.changed = () => this.typed(changed);
    new ResizeObserver(() => this.place()).observe(root);
  }

  get text() { return this.area.value; }

  set text(text) {
    this.area.value = text;
    this.changed();
    this.area.scrollLeft = 0;
  }

  typed(changed) {
    let lines = 1;
    for (let i = this.text.indexOf("\n"); i >= 0; i = this.text.indexOf("\n", i + 1)) lines++;
    if (lines !== this.lines) {
      this.lines = lines;
      this.numbers.textContent = Array.from({ length: lines }, (_, i) => i + 1).join("\n");
      this.area.style.height = `calc(${lines + 1} * var(--line))`;
    }
    this.notes.classList.toggle("old", this.text !== this.checked);
    this.bands.classList.toggle("old", this.text !== this.checked);
    changed(this.text);
  }

  // Show what was found in a text: rows of a line, a verdict, what is said, a change to take.
  show(text, rows) {
    this.checked = text;
    this.bands.replaceChildren();
    this.notes.replaceChildren();
    for (const row of rows) {
      const line = Math.min(Math.max(row.line || 1, 1), this.lines);
      const band = make("div", `band ${row.verdict}`);
      const mark = make("span", "mark", MARKS[row.verdict] ?? "✗");
      mark.title = row.verdict;
      band.style.top = `calc(${line - 1} * var(--line))`;
      band.dataset.line = line;
      band.append(mark);
      this.bands.append(band);
      if (row.said.length || row.correction) this.notes.append(this.note(row, line));
    }
    this.notes.classList.toggle("old", this.text !== text);
    this.bands.classList.toggle("old", this.text !== text);
    this.place();
  }

  note(row, line) {
    const note = make("div", `note ${row.verdict}`);
    note.dataset.line = line;
    const go = make("button", "line", `line ${line}`);
    go.addEventListener("click", () => this.select(line, line));
    const head = make("p");
    head.append(go, " ", make("b", "", row.mistake ? row.mistake.replaceAll("_", " ") : row.verdict));
    note.append(head, ...row.said.map((text) => make("p", "", text)));
    if (row.change) {
      const take = make("button", "take");
      take.append(make("span", "", "take "), make("code", "", row.change.text.trim()));
      take.addEventListener("click", () => this.take(row.change));
      note.append(take);
    } else if (row.correction) note.append(make("code", "", row.correction));
    return note;
  }

  // Each note stands at its line, or below the note before it; on a narrow page below the text.
  place() {
    let free = 0;
    const line = this.numbers.offsetHeight / this.lines;
    const beside = getComputedStyle(this.notes).position === "relative";
    for (const note of this.notes.children) {
      note.style.top = beside ? `${Math.max(free, (note.dataset.line - 1) * line)}px` : "";
      free = note.offsetTop + note.offsetHeight + 6;
    }
    this.notes.style.minHeight = beside ? `${free}px` : "";
  }

  select(from, to) {
    const lines = this.text.split("\n");
    const start = lines.slice(0, from - 1).reduce((sum, text) => sum + text.length + 1, 0);
    const end = start + lines.slice(from - 1, to).join("\n").length;
    this.area.focus();
    this.area.setSelectionRange(start, end);
  }

  // Put new lines in the place of old ones, so that Ctrl-Z takes them back.
  take(change) {
    if (this.text !== this.checked) return;
    this.select(change.from, change.to);
    if (!document.execCommand("insertText", false, change.text)) {
      this.area.setRangeText(change.text);
      this.changed();
    }
  }
}
