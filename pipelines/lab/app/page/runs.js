// Runs: the list, a run's funnel, its rows and rejected rows.

import { $, columns, fill, get, guarded, h } from "/dom.js";

let view = { name: "", rejected: false, reason: "", text: "", start: 0 };

export async function openRuns(lab) {
  const { runs } = await get("/api/state");
  lab.state.runs = runs;
  if (!runs.length) {
    fill($("runs"), h("p", { class: "note" }, "There are no runs yet. Begin one with: textmill run JOB"));
    return;
  }
  const list = h("ul", { class: "list", "aria-label": "Runs" }, runs.map((run) =>
    h("li", {}, h("button", { click: guarded((event) => pick(run.run, event.currentTarget)), "data-run": run.run },
      run.run, h("small", {}, `${run.rows} rows, ${run.stop}`)))));
  fill($("runs"), h("div", { class: "runs" }, list, h("div", { id: "run-view" })));
  const known = runs.some((run) => run.run === view.name) ? view.name : runs[0].run;
  await pick(known, list.querySelector(`[data-run="${CSS.escape(known)}"]`));
}

async function pick(name, button) {
  document.querySelectorAll("#runs [data-run]").forEach((each) => each.setAttribute("aria-current", String(each === button)));
  view = { name, rejected: false, reason: "", text: "", start: 0 };
  const run = await get(`/api/run?name=${encodeURIComponent(name)}`);
  const rows = h("div", { id: "run-rows" });
  const search = h("input", { type: "search", placeholder: "Text in a row", "aria-label": "Text in a row",
    change: guarded((event) => again({ text: event.target.value })) });
  fill($("run-view"),
    h("h2", {}, name),
    h("div", { class: "card scroll" }, funnel(run.stages)),
    h("div", { class: "fields" },
      h("button", { click: guarded(() => again({ rejected: false, reason: "" })) }, "Accepted rows"),
      h("button", { click: guarded(() => again({ rejected: true, reason: "" })) }, "Rejected rows"), search),
    rows);
  await draw();
}

function funnel(stages) {
  return h("table", {},
    h("thead", {}, h("tr", {}, ["stage", "in", "created", "out", "rejected for"].map((name, place) =>
      h("th", { scope: "col", class: place && place < 4 ? "number" : null }, name)))),
    h("tbody", {}, stages.map((stage) => h("tr", {},
      h("td", {}, stage.stage),
      ["in", "created", "out"].map((key) => h("td", { class: "number" }, String(stage[key]))),
      h("td", {}, Object.entries(stage.rejected).map(([reason, count]) =>
        h("button", { class: "quiet", click: guarded(() => again({ rejected: true, reason })) }, `${reason} ${count}`)))))));
}

async function again(changes) {
  Object.assign(view, changes, { start: changes.start ?? 0 });
  await draw();
}

async function draw() {
  const query = new URLSearchParams({ ...view, rejected: view.rejected ? "1" : "0" });
  const { rows, more } = await get(`/api/rows?${query}`);
  const what = view.rejected ? `Rejected rows${view.reason ? `: ${view.reason}` : ""}` : "Accepted rows";
  fill($("run-rows"),
    h("h2", {}, what),
    rows.length ? rows.map(card) : h("p", { class: "note" }, "None."),
    h("div", { class: "fields" },
      view.start ? h("button", { click: guarded(() => again({ start: Math.max(0, view.start - 25) })) }, "Back") : null,
      more ? h("button", { click: guarded(() => again({ start: view.start + 25 })) }, "Next") : null));
}

function card(row) {
  const chip = row.reason ? h("span", { class: "chip bad" }, `rejected by ${row.stage}: ${row.reason}`) : null;
  const detail = row.reason && Object.keys(row.detail).length ? columns(row.detail) : null;
  return h("article", { class: "row" },
    h("div", { class: "line" }, h("span", { class: "note" }, `${row.order}  ${row.id}`), chip),
    columns(row.data),
    detail ? h("details", {}, h("summary", {}, "Why"), detail) : null,
    h("details", {}, h("summary", {}, "History"), row.history.map((event) => columns(event))));
}
