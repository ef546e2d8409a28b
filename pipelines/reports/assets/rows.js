"use strict";

// The list of rows: search, filters, order, keyboard. Rows are made into elements a page at a time,
// always as text, so that nothing in them is ever read as HTML.

(function browser() {
  const PAGE = 25;
  const [ID, ORDER, FAMILY, CELLS, MEASURES, HISTORY, VERDICT] = [0, 1, 2, 3, 4, 5, 6];
  const root = document.getElementById("browser");
  if (!root) return;
  const rows = report.rows;
  const all = rows.map((_, place) => place);
  const state = { search: "", kind: "accepted", verdict: "", slices: {}, sort: "", page: 0 };
  const open = new Set();
  let found = [];
  let texts = null;
  let timer = 0;

  const number = (value) => value.toLocaleString("en-US");
  const shown = (value) => (value === null || value === undefined ? "" : String(value));

  // ---- what is shown -------------------------------------------------------------------------

  function textOf(place) {
    if (texts === null) texts = new Array(rows.length);
    if (texts[place] === undefined) {
      const row = rows[place];
      texts[place] = [row[ID], row[ORDER], ...row[CELLS].map(shown)].join("\n").toLowerCase();
    }
    return texts[place];
  }

  function fits(place, words) {
    const row = rows[place];
    const refused = row.length > VERDICT;
    if (state.kind === "accepted" && refused) return false;
    if (state.kind === "rejected" && !refused) return false;
    if (state.verdict !== "" && (!refused || row[VERDICT][0] !== Number(state.verdict))) return false;
    for (const [column, value] of Object.entries(state.slices)) {
      if (value !== "" && shown(row[CELLS][column]) !== value) return false;
    }
    return words.every((word) => textOf(place).includes(word));
  }

  function choose() {
    const words = state.search.toLowerCase().split(/\s+/).filter(Boolean);
    found = all.filter((place) => fits(place, words));
    if (state.sort !== "") {
      const [measure, down] = state.sort.split(" ").map(Number);
      const value = (place) => rows[place][MEASURES][measure];
      const known = found.filter((place) => value(place) !== null);
      const rest = found.filter((place) => value(place) === null);
      known.sort((a, b) => (down ? value(b) - value(a) : value(a) - value(b)) || a - b);
      found = [...known, ...rest];
    }
    state.page = 0;
    show();
  }

  function pages() {
    return Math.max(1, Math.ceil(found.length / PAGE));
  }

  function show() {
    const start = state.page * PAGE;
    list.replaceChildren(...found.slice(start, start + PAGE).map(item));
    list.start = start + 1;
    status.textContent =
      found.length === 0
        ? "No row fits. Change the search or the filters."
        : `${number(start + 1)} to ${number(Math.min(found.length, start + PAGE))} of ${number(found.length)}`;
    for (const [button, off] of [
      [before, state.page === 0],
      [after, state.page >= pages() - 1],
    ]) {
      button.setAttribute("aria-disabled", String(off));
    }
    bar.hidden = pages() === 1;
  }

  // ---- one row -------------------------------------------------------------------------------

  function verdict(row) {
    if (row.length <= VERDICT) return make("span", { class: "pill good" }, "accepted");
    const [stage, reason] = report.verdicts[row[VERDICT][0]];
    return make("span", { class: "pill bad" }, `rejected: ${reason} (${stage})`);
  }

  function item(place) {
    const row = rows[place];
    const leads = report.leads.filter((column) => row[CELLS][column] !== null);
    const lines = leads.map((column) =>
      make("span", { class: "line", dir: "auto" }, shown(row[CELLS][column]).slice(0, 400)),
    );
    const facts = report.slices.map((column) => shown(row[CELLS][column])).filter(Boolean);
    const measure = state.sort === "" ? 0 : Number(state.sort.split(" ")[0]);
    const value = row[MEASURES][measure];
    const said = value === null || value === undefined ? [] : [`${report.measures[measure]} ${value}`];
    const opened = open.has(place);
    const button = make(
      "button",
      { type: "button", class: "row", "aria-expanded": String(opened), "data-place": place },
      make("span", { class: "number" }, row[ORDER]),
      make("span", { class: "lines" }, lines.length ? lines : "(nothing in the first columns)"),
      make("span", { class: "facts" }, verdict(row), " ", [...facts, ...said].join(" · ")),
    );
    button.addEventListener("click", () => toggle(place));
    return make("li", { id: `row-${place}` }, button, opened ? detail(row) : null);
  }

  function pairs(entries) {
    return make(
      "dl",
      { class: "facts" },
      entries.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))),
    );
  }

  function evidence(value) {
    return typeof value === "string" ? value : JSON.stringify(value);
  }

  function detail(row) {
    const parts = [];
    report.columns.forEach((name, column) => {
      const value = row[CELLS][column];
      if (value === null) return;
      parts.push(make("p", { class: "column" }, name));
      parts.push(make("p", { class: "text whole", dir: "auto" }, shown(value)));
    });
    if (row.length > VERDICT) {
      const [place, attempts, detail] = row[VERDICT];
      const [stage, reason] = report.verdicts[place];
      parts.push(make("h4", {}, "Why it was rejected"));
      const known = Object.entries(detail).map(([key, value]) => [key, evidence(value)]);
      parts.push(pairs([["stage", stage], ["reason", reason], ["attempts", attempts], ...known]));
    }
    const measured = report.measures.map((name, place) => [name, row[MEASURES][place]]);
    const values = measured.filter(([, value]) => value !== null && value !== undefined);
    if (values.length) {
      parts.push(make("h4", {}, "Measures"), pairs(values));
    }
    if (row[HISTORY].length) {
      const steps = row[HISTORY].map(([common, rest]) => {
        const event = { ...report.events[common], ...rest };
        const said = Object.entries(event).filter(([key]) => key !== "stage");
        const words = said.map(([key, value]) => `${key} ${evidence(value)}`).join(", ");
        return make("li", {}, make("b", {}, shown(event.stage)), words ? ` ${words}` : "");
      });
      parts.push(make("h4", {}, "History"), make("ol", { class: "history" }, steps));
    }
    parts.push(make("p", { class: "note" }, `id ${row[ID]}, family ${row[FAMILY] || row[ID]}`));
    return make("div", { class: "detail" }, parts);
  }

  function toggle(place) {
    if (open.has(place)) open.delete(place);
    else open.add(place);
    const old = document.getElementById(`row-${place}`);
    if (!old) return;
    const fresh = item(place);
    old.replaceWith(fresh);
    fresh.querySelector("button.row").focus();
  }

  // ---- controls ------------------------------------------------------------------------------

  function select(label, choices, change) {
    const box = make("select", { "aria-label": label }, choices.map(([value, said]) => make("option", { value }, said)));
    box.addEventListener("change", () => {
      change(box.value);
      choose();
    });
    return [make("label", {}, make("span", {}, label), box), box];
  }

  const search = make("input", {
    type: "search",
    id: "search",
    placeholder: "Words, or a row's id",
    autocomplete: "off",
    spellcheck: "false",
  });
  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      state.search = search.value;
      choose();
    }, 120);
  });

  const [kindLabel, kind] = select(
    "Show",
    [["accepted", "accepted"], ["rejected", "rejected"], ["", "all"]],
    (value) => {
      state.kind = value;
      if (value === "accepted") state.verdict = reason.value = "";
    },
  );
  const [reasonLabel, reason] = select(
    "Reason",
    [["", "any"], ...report.verdicts.map(([s, r], place) => [String(place), `${s}: ${r}`])],
    (value) => {
      state.verdict = value;
      if (value !== "") state.kind = kind.value = "rejected";
    },
  );
  const sliceBoxes = report.slices.map((column) => {
    const values = [...new Set(rows.map((row) => shown(row[CELLS][column])).filter(Boolean))].sort();
    return select(
      report.columns[column],
      [["", "any"], ...values.map((value) => [value, value])],
      (value) => {
        state.slices[column] = value;
      },
    );
  });
  const orders = report.measures.flatMap((name, place) => [
    [`${place} 0`, `${name}, lowest first`],
    [`${place} 1`, `${name}, highest first`],
  ]);
  const [sortLabel, sort] = select("Order", [["", "as written"], ...orders], (value) => {
    state.sort = value;
  });

  const reset = make("button", { type: "button" }, "Clear");
  reset.addEventListener("click", () => {
    Object.assign(state, { search: "", kind: "accepted", verdict: "", slices: {}, sort: "" });
    for (const box of [reason, sort, ...sliceBoxes.map(([, each]) => each)]) box.value = "";
    kind.value = "accepted";
    search.value = "";
    choose();
  });

  const status = make("p", { class: "status", role: "status" });
  const list = make("ol", { class: "rows", role: "list" });
  const before = make("button", { type: "button" }, "Previous");
  const after = make("button", { type: "button" }, "Next");
  before.addEventListener("click", () => turn(-1));
  after.addEventListener("click", () => turn(1));
  const bar = make("div", { class: "pager" }, before, after);
  const keys = make(
    "p",
    { class: "note keys" },
    [["/", "search"], ["j", "next row"], ["k", "previous row"], ["Enter", "open"], ["n", "next page"], ["p", "previous page"]]
      .map(([key, said]) => make("span", {}, make("kbd", {}, key), ` ${said}`)),
  );
  root.append(
    make(
      "div",
      { class: "controls", role: "search", "aria-label": "Rows" },
      make("label", { class: "wider" }, make("span", {}, "Search"), search),
      kindLabel,
      report.verdicts.length ? reasonLabel : null,
      sliceBoxes.map(([label]) => label),
      report.measures.length ? sortLabel : null,
      reset,
    ),
    keys,
    status,
    list,
    bar,
  );

  function turn(step, last) {
    const page = state.page + step;
    if (page < 0 || page >= pages()) return false;
    state.page = page;
    show();
    const buttons = list.querySelectorAll("button.row");
    buttons[last ? buttons.length - 1 : 0].focus();
    root.scrollIntoView({ block: "start" });
    return true;
  }

  function move(step) {
    const buttons = [...list.querySelectorAll("button.row")];
    if (!buttons.length) return;
    const here = buttons.findIndex((button) => button.parentElement.contains(document.activeElement));
    const next = here < 0 ? (step > 0 ? 0 : buttons.length - 1) : here + step;
    if (next < 0) turn(-1, true);
    else if (next >= buttons.length) turn(1);
    else buttons[next].focus();
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target;
    if (target.matches("input, select, textarea")) {
      if (event.key === "Escape") target.blur();
      return;
    }
    const actions = {
      "/": () => search.focus(),
      j: () => move(1),
      k: () => move(-1),
      n: () => turn(1),
      p: () => turn(-1),
    };
    if (Object.hasOwn(actions, event.key)) {
      event.preventDefault();
      actions[event.key]();
    }
  });

  window.openRow = (place) => {
    Object.assign(state, { search: "", verdict: "", slices: {}, sort: "" });
    search.value = reason.value = sort.value = "";
    for (const [, box] of sliceBoxes) box.value = "";
    state.kind = kind.value = rows[place].length > VERDICT ? "rejected" : "accepted";
    choose();
    state.page = Math.floor(found.indexOf(place) / PAGE);
    open.add(place);
    show();
    const button = list.querySelector(`button[data-place="${place}"]`);
    button.focus({ preventScroll: true });
    button.scrollIntoView({ block: "center" });
  };

  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-open]");
    if (!link) return;
    event.preventDefault();
    window.openRow(Number(link.dataset.open));
  });

  choose();
})();
