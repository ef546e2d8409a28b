// Variants of one stage: edit, run, watch the cells come in, read the verdict, promote one.

import { $, columns, events, fill, get, guarded, h, marked, post, shown } from "/dom.js";

const NAMES = ["A", "B", "C", "D", "E", "F"];
let lab;
let variants = [];
let rows = [];
let cells = new Map();

const stageNow = () => lab.state.stages.find((stage) => stage.name === $("stage").value);
const option = (value) => h("option", { value }, value);

export async function openCompare(shared) {
  lab = shared;
  const asks = lab.state.stages.filter((stage) => stage.prompt || stage.model);
  fill($("stage"), ...(asks.length ? asks : lab.state.stages).map((stage) => option(stage.name)));
  $("stage").addEventListener("change", guarded(begin));
  $("add").addEventListener("click", guarded(add));
  $("setup").addEventListener("submit", guarded(run));
  $("stop").addEventListener("click", guarded(() => post("/api/stop", {})));
  $("words").addEventListener("change", () => draw());
  $("promote-write").addEventListener("click", write);
  await begin();
}

async function begin() {
  variants = [];
  fill($("variants"));
  await add();
  await add();
}

async function add() {
  const stage = stageNow();
  const name = NAMES.find((each) => !variants.some((variant) => variant.name === each));
  if (!name) return;
  const variant = { name, prompt: stage.prompt, model: stage.model, original: "", settings: "" };
  const parts = {
    source: h("textarea", { spellcheck: "false", "aria-label": `Prompt of ${name}`, input: later(variant) }),
    settings: h("textarea", { class: "short", spellcheck: "false", placeholder: "decoding.temperature: 0.7" }),
    fault: h("p", { class: "fault", role: "status" }),
    chat: h("pre", {}),
  };
  const library = lab.state.prompts;
  const prompt = h("select", { change: guarded((event) => load(variant, event.target.value)) }, library.map(option));
  const model = h("select", { change: (event) => (variant.model = event.target.value) }, lab.state.models.map(option));
  prompt.value = variant.prompt;
  model.value = variant.model;
  variant.parts = parts;
  const body = [
    h("div", { class: "head" },
      h("h3", {}, `Variant ${name}`),
      h("button", { type: "button", click: () => openPromote(variant) }, "Promote"),
      h("button", { type: "button", class: "quiet", click: () => drop(variant), "aria-label": `Remove variant ${name}` }, "Remove")),
    h("div", { class: "pair" },
      stage.prompt ? h("label", {}, "Start from", prompt) : null,
      stage.model ? h("label", {}, "Model", model) : null),
    stage.prompt ? h("label", {}, "Prompt", parts.source) : null,
    h("label", {}, "Settings of the stage, one a line", parts.settings),
    parts.fault,
    stage.prompt ? h("details", {}, h("summary", {}, "As it is sent"), parts.chat) : null,
  ];
  variant.card = h("div", { class: "variant", role: "group", "aria-label": `Variant ${name}` }, body);
  variants.push(variant);
  variants.sort((a, b) => a.name.localeCompare(b.name));
  if (stage.prompt) await load(variant, stage.prompt); // before anybody can type into it
  fill($("variants"), ...variants.map((each) => each.card));
}

function drop(variant) {
  variants = variants.filter((each) => each !== variant);
  variant.card.remove();
}

async function load(variant, name) {
  const prompt = await get(`/api/prompt?name=${encodeURIComponent(name)}`);
  Object.assign(variant, { prompt: name, original: prompt.source });
  variant.parts.source.value = prompt.source;
  await check(variant);
}

function later(variant) {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(() => check(variant), 250);
  };
}

async function check(variant) {
  const body = { stage: $("stage").value, source: variant.parts.source.value, row: rows[0]?.data ?? null };
  try {
    const found = await post("/api/render", body);
    variant.parts.fault.textContent = found.warnings.join("\n");
    variant.parts.chat.textContent = found.messages
      ? found.messages.map(([role, content]) => `${role}\n${content}`).join("\n\n")
      : "run once to see it with a row";
  } catch (error) {
    variant.parts.fault.textContent = error.message;
  }
}

/** `key: value` lines; values are numbers, true, false, null, JSON, or text. */
function settingsOf(text) {
  const found = {};
  for (const line of text.split("\n").filter((each) => each.trim())) {
    const [, key, value] = line.match(/^\s*([\w.]+)\s*[:=]\s*(.+?)\s*$/) ?? [];
    if (!key) throw new Error(`'${line.trim()}' is not KEY: VALUE`);
    try {
      found[key] = JSON.parse(value);
    } catch {
      found[key] = value;
    }
  }
  return found;
}

function draftOf(variant) {
  const source = variant.parts.source.value;
  const draft = { name: variant.name, settings: settingsOf(variant.parts.settings.value) };
  const stage = stageNow();
  if (variant.model && variant.model !== stage.model) draft.model = variant.model;
  if (!stage.prompt) return draft;
  if (source === variant.original) draft.prompt = variant.prompt;
  else Object.assign(draft, { prompt: `${variant.prompt.replace(/\.ya?ml$/, "")}@lab-${variant.name}`, source });
  return draft;
}

async function run() {
  const drafts = variants.map(draftOf);
  const asked = { stage: $("stage").value, rows: +$("rows").value, repeats: +$("repeats").value, variants: drafts };
  [rows, cells, lab.comparison, lab.drafts] = [[], new Map(), null, drafts];
  fill($("cells"));
  fill($("verdict"));
  working(true);
  try {
    for await (const event of events("/api/compare", asked)) receive(event, asked);
  } finally {
    working(false);
  }
}

function working(now) {
  $("run").disabled = now;
  $("stop").hidden = !now;
  if (now) $("progress").textContent = "waiting for the first rows";
}

function receive(event, asked) {
  if (event.error) {
    $("progress").textContent = "";
    throw new Error(event.error);
  }
  if (event.rows) rows = event.rows;
  if (event.cells) {
    keep(event.cells);
    $("progress").textContent = `${new Set([...cells.values()].map((cell) => cell.row)).size} of ${rows.length} rows`;
    draw(event.variants);
  }
  if (event.comparison) {
    lab.comparison = event.comparison;
    paid = event.paid;
    cells.clear();
    keep(event.comparison.cells);
    draw(event.comparison.variants.map((variant) => variant.name));
    verdict(event.comparison);
    variants.forEach(check);
  }
  if (event.done) $("progress").textContent = `done: ${rows.length} rows, ${paid} model calls paid`;
  if (event.stopped) $("progress").textContent = "stopped; what was paid for is kept";
}

const keep = (list) => list.forEach((cell) => cells.set(`${cell.row} ${cell.variant} ${cell.repeat}`, cell));
let drawn = [];
let paid = 0;

function draw(names = drawn) {
  drawn = names;
  fill($("cells"), ...rows.map((row) => rowCard(row, names)).filter(Boolean));
}

function rowCard(row, names) {
  const mine = [...cells.values()].filter((cell) => cell.row === row.id);
  if (!mine.length) return null;
  const repeats = [...new Set(mine.map((cell) => cell.repeat))].sort((a, b) => a - b);
  const head = Object.values(row.data).map(shown).join("  ·  ").slice(0, 300);
  return h("article", { class: "row" },
    h("details", {}, h("summary", {}, head || row.id), columns(row.data)),
    repeats.map((repeat) => {
      const group = mine.filter((cell) => cell.repeat === repeat).sort((a, b) => a.variant - b.variant);
      return h("div", { class: "side" }, group.map((cell) => cellPart(cell, names[cell.variant], group[0])));
    }));
}

const textsOf = (cell) => cell.outcomes.map((outcome) => outcome.text);

export function cellPart(cell, name, base) {
  const good = cell.outcomes.some((outcome) => !outcome.reason);
  const other = $("words").checked && base && base !== cell ? textsOf(base).join("\n") : null;
  return h("div", { class: `cell ${good ? "good" : "bad"}` },
    h("div", { class: "head" }, h("strong", {}, name), `${cell.tokens} tokens`),
    cell.outcomes.map((outcome) => [
      h("p", { class: "text" }, outcome.text ? marked(outcome.text, other) : "(empty)"),
      outcome.reason
        ? h("span", { class: "chip bad", title: JSON.stringify(outcome.detail) }, `rejected by ${outcome.stage}: ${outcome.reason}`)
        : h("span", { class: "chip good" }, "accepted"),
    ]));
}

const percent = (rate) => (rate && rate.of ? `${Math.round((100 * rate.done) / rate.of)} %  (${rate.done} of ${rate.of})` : "–");
const number = (value) => (value === null || value === undefined ? "–" : String(+value.toFixed(3)));

function verdict(found) {
  const names = found.variants.map((variant) => variant.name);
  const rates = [...new Set(found.summaries.flatMap((summary) => Object.keys(summary.rates)))];
  const figures = [...new Set(found.summaries.flatMap((summary) => Object.keys(summary.figures)))];
  const line = (title, cellOf) =>
    h("tr", {}, h("th", { scope: "row" }, title), found.summaries.map((summary) => h("td", { class: "number" }, cellOf(summary))));
  const table = h("table", {},
    h("thead", {}, h("tr", {}, h("td"), names.map((name) => h("th", { class: "number", scope: "col" }, name)))),
    h("tbody", {},
      rates.map((name) => line(name.replace("gate:", "passes "), (summary) => percent(summary.rates[name]))),
      figures.map((name) => line(name.replaceAll("_", " "), (summary) => number(summary.figures[name])))));
  const said = found.contrasts.map((contrast) => h("p", {}, contrast.verdict));
  fill($("verdict"), h("div", { class: "card" }, said, h("details", {}, h("summary", {}, "All figures"), table)));
}

let promoted;

function openPromote(variant) {
  promoted = variant;
  $("promote-file").value = `${lab.state.job}-${variant.name.toLowerCase()}.yaml`;
  $("promote-fault").textContent = "";
  $("promote-diff").hidden = true;
  $("promote").showModal();
}

async function write() {
  try {
    const body = { stage: $("stage").value, variant: draftOf(promoted), file: $("promote-file").value };
    const found = await post("/api/promote", body);
    $("promote-fault").textContent = "";
    $("promote-diff").hidden = false;
    $("promote-diff").textContent = `${found.file}\n\n${found.diff || "nothing differs from the job"}`;
  } catch (error) {
    $("promote-fault").textContent = error.message;
  }
}
