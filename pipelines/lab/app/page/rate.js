// Two replies to the same row, names hidden and sides shuffled, rated with the keyboard.

import { $, columns, download, fill, get, h, post, guarded } from "/dom.js";

let lab;
let pairs = [];
let place = 0;
let done = new Map();
let seen = null;

const KEYS = { ArrowLeft: "left", 1: "left", ArrowRight: "right", 2: "right", 0: "tie", "=": "tie", x: "neither" };
const LABELS = { left: "Left is better", right: "Right is better", tie: "As good", neither: "Both bad" };
const HINTS = { left: "1", right: "2", tie: "0", neither: "x" };

/** A number from a text, the same every time: which side stands left must not follow the variant. */
function hash(text) {
  let value = 2166136261;
  for (const char of text) value = Math.imul(value ^ char.codePointAt(0), 16777619);
  return value >>> 0;
}

function pairsOf(comparison) {
  const found = [];
  const names = comparison.variants.map((variant) => variant.name);
  for (const row of comparison.rows) {
    const cells = comparison.cells.filter((cell) => cell.row === row.id && cell.outcomes.length);
    for (const base of cells.filter((cell) => cell.variant === 0)) {
      for (const other of cells.filter((cell) => cell.variant > 0 && cell.repeat === base.repeat)) {
        const sides = [base, other].map((cell) => ({ variant: names[cell.variant], text: cell.outcomes[0].text }));
        if (sides[0].text === sides[1].text) continue;
        const turned = hash(`${row.id} ${base.repeat} ${other.variant}`) % 2 === 1;
        found.push({ row, repeat: base.repeat, sides, turned, messages: base.messages });
      }
    }
  }
  return found;
}

export async function openRate(shared) {
  lab = shared;
  if (lab.comparison !== seen) {
    [seen, place, done] = [lab.comparison, 0, new Map()];
    pairs = seen ? pairsOf(seen) : [];
  }
  await draw();
}

async function draw() {
  const known = await get("/api/ratings");
  const export_ = h("button", { click: guarded(save), disabled: !known.ratings }, "Export preferences");
  const head = h("div", { class: "fields" },
    h("span", { class: "note" }, pairs.length ? `pair ${place + 1} of ${pairs.length}, ${done.size} rated now, ${known.ratings} in all` : `${known.ratings} ratings in all`),
    h("span", { class: "push" }), export_);
  const wins = Object.keys(known.variants).length ? standings(known.variants) : null;
  if (!pairs.length) {
    const why = seen ? "All replies of the last comparison are the same." : "Run a comparison first: its replies come here, two at a time.";
    fill($("rate"), head, h("p", { class: "note" }, why), wins);
    return;
  }
  const pair = pairs[place];
  const [left, right] = pair.turned ? [pair.sides[1], pair.sides[0]] : pair.sides;
  const verdict = done.get(place);
  fill($("rate"), head,
    h("article", { class: "row" },
      h("details", { open: true }, h("summary", {}, "The row"), columns(pair.row.data)),
      h("div", { class: "side" }, [["Left", left], ["Right", right]].map(([title, side]) =>
        h("div", { class: "cell" }, h("div", { class: "head" }, h("strong", {}, title), verdict ? `variant ${side.variant}` : ""),
          h("p", { class: "text" }, side.text || "(empty)"))))),
    h("div", { class: "choices", role: "group", "aria-label": "Which is better" }, Object.entries(LABELS).map(([key, label]) =>
      h("button", { "aria-pressed": String(verdict === key), click: guarded(() => rate(key)) }, h("kbd", {}, HINTS[key]), ` ${label}`))),
    h("p", { class: "note" }, h("kbd", {}, "j"), " next  ", h("kbd", {}, "k"), " back. Names are shown once you have chosen, and sides are shuffled."),
    wins);
}

function standings(variants) {
  return h("div", { class: "card scroll" }, h("table", {},
    h("thead", {}, h("tr", {}, ["variant", "won", "lost", "tied"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, Object.entries(variants).map(([name, counts]) =>
      h("tr", {}, h("td", {}, name), ["won", "lost", "tied"].map((key) => h("td", { class: "number" }, String(counts[key]))))))));
}

async function rate(choice) {
  const pair = pairs[place];
  const sides = { left: pair.turned ? "b" : "a", right: pair.turned ? "a" : "b" };
  await post("/api/rate", {
    row: pair.row.id, repeat: pair.repeat, stage: lab.comparison.stage, verdict: sides[choice] ?? choice,
    a: pair.sides[0], b: pair.sides[1], prompt: pair.messages.map(([role, content]) => ({ role, content })),
  });
  done.set(place, choice);
  await draw();
}

async function move(step) {
  place = Math.min(Math.max(place + step, 0), pairs.length - 1);
  await draw();
}

export function rateKey(event) {
  if (!pairs.length) return;
  const step = { j: 1, k: -1 }[event.key];
  const choice = KEYS[event.key];
  if (!step && !choice) return;
  event.preventDefault();
  guarded(() => (step ? move(step) : rate(choice)))();
}

async function save() {
  const address = URL.createObjectURL(await download("/api/preferences"));
  const link = h("a", { href: address, download: `${lab.state.job}.preferences.jsonl` });
  link.click();
  URL.revokeObjectURL(address);
}
