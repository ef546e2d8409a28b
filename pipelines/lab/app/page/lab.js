// The page's frame: which view is open, light or dark, and what the views share.

import { $, get, guarded } from "/dom.js";
import { openCompare } from "/compare.js";
import { openRate, rateKey } from "/rate.js";
import { openRuns } from "/runs.js";

export const lab = { state: null, comparison: null, drafts: [] };

const VIEWS = ["compare", "rate", "runs"];

function show(name) {
  for (const view of VIEWS) {
    const chosen = view === name;
    $(view).hidden = !chosen;
    $(`tab-${view}`).setAttribute("aria-selected", String(chosen));
    $(`tab-${view}`).tabIndex = chosen ? 0 : -1;
  }
  if (name === "rate") guarded(() => openRate(lab))();
  if (name === "runs") guarded(() => openRuns(lab))();
}

function turn(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const place = VIEWS.findIndex((view) => event.target.id === `tab-${view}`);
  const next = $(`tab-${VIEWS[(place + step + VIEWS.length) % VIEWS.length]}`);
  next.focus();
  next.click();
}

function paint(theme) {
  document.documentElement.dataset.theme = theme;
  $("theme").textContent = theme === "dark" ? "Light" : "Dark";
}

for (const view of VIEWS) {
  $(`tab-${view}`).addEventListener("click", () => show(view));
  $(`tab-${view}`).addEventListener("keydown", turn);
}
paint(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
$("theme").addEventListener("click", () =>
  paint(document.documentElement.dataset.theme === "dark" ? "light" : "dark"),
);
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, dialog");
  if (!typing && !event.ctrlKey && !event.metaKey && !event.altKey && !$("rate").hidden) rateKey(event);
});

guarded(async () => {
  lab.state = await get("/api/state");
  $("job").textContent = lab.state.job ?? "";
  if (lab.state.job) {
    await openCompare(lab);
  } else {
    $("tab-compare").hidden = $("tab-rate").hidden = true;
    show("runs");
  }
})();
