"use strict";

// The page around the rows: theme, table of contents, map.

const report = JSON.parse(document.getElementById("data").textContent);

function make(name, attributes, ...inside) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value !== null && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  for (const part of inside.flat()) {
    if (part !== null && part !== undefined) element.append(part);
  }
  return element;
}

(function theme() {
  const button = document.getElementById("theme");
  const choices = ["system", "light", "dark"];
  let chosen = "system";
  try {
    chosen = localStorage.getItem("textmill-theme") || "system";
  } catch {
    // A browser may refuse storage to files; the choice then lasts as long as the page.
  }
  const show = () => {
    if (chosen === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = chosen;
    button.textContent = `Theme: ${chosen}`;
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    chosen = choices[(choices.indexOf(chosen) + 1) % choices.length];
    try {
      localStorage.setItem("textmill-theme", chosen);
    } catch {
      // As above.
    }
    show();
  });
  if (!choices.includes(chosen)) chosen = "system";
  show();
})();

(function contents() {
  const links = new Map();
  for (const link of document.querySelectorAll(".rail li a")) {
    links.set(link.getAttribute("href").slice(1), link);
  }
  const seen = new Set();
  const watcher = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (entry.isIntersecting) seen.add(entry.target.id);
        else seen.delete(entry.target.id);
      }
      let first = true;
      for (const [name, link] of links) {
        const here = first && seen.has(name);
        if (here) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
        if (here) first = false;
      }
    },
    { rootMargin: "-10% 0px -60% 0px" },
  );
  for (const name of links.keys()) {
    const section = document.getElementById(name);
    if (section) watcher.observe(section);
  }
})();

(function map() {
  const drawing = document.querySelector("svg.map");
  if (!drawing) return;
  const caption = document.getElementById("caption");
  const points = [...drawing.querySelectorAll("use")];
  const buttons = [...document.querySelectorAll(".legend button")];

  const describe = (point) => {
    const row = report.rows[Number(point.dataset.row)];
    if (!row) return;
    const slice = report.slices.length ? row[3][report.slices[0]] : null;
    const texts = report.leads.map((place) => row[3][place]).filter((text) => text !== null);
    caption.textContent = (slice === null ? "" : `${slice}: `) + texts.join(" / ").slice(0, 240);
  };
  drawing.addEventListener("pointerover", (event) => {
    if (event.target.dataset.row) describe(event.target);
  });
  drawing.addEventListener("click", (event) => {
    const place = Number(event.target.dataset.row);
    if (event.target.dataset.row && place >= 0) window.openRow(place);
  });

  let only = null;
  for (const button of buttons) {
    button.addEventListener("click", () => {
      only = only === button.dataset.group ? null : button.dataset.group;
      for (const other of buttons) {
        other.setAttribute("aria-pressed", String(other.dataset.group === only));
      }
      for (const point of points) {
        point.classList.toggle("faint", only !== null && point.dataset.group !== only);
      }
    });
  }
})();
