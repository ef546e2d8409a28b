// Elements, requests and word diffs. Text only ever becomes a text node: no reply can become markup.

export const $ = (id) => document.getElementById(id);

/** An element: h("p", {class: "note"}, "text", child). Functions become listeners. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (typeof value === "boolean") element.toggleAttribute(name, value);
    else if (name === "value") element.value = value;
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
}

const token = location.hash.slice(1) || sessionStorage.getItem("token") || "";
sessionStorage.setItem("token", token);
history.replaceState(null, "", location.pathname);

async function request(path, body) {
  const headers = { "X-Textmill-Token": token };
  const options = { headers };
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
    Object.assign(options, { method: "POST", body: JSON.stringify(body) });
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("the lab does not answer; is the command still running?");
  }
  if (!response.ok) throw new Error((await response.json()).error);
  return response;
}

export const get = async (path) => (await request(path)).json();
export const post = async (path, body) => (await request(path, body)).json();
export const download = async (path) => (await request(path)).blob();

/** Server-sent events of a POST, one parsed object at a time. */
export async function* events(path, body) {
  const reader = (await request(path, body)).body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (waiting + value).split("\n\n");
    waiting = parts.pop();
    for (const part of parts) yield JSON.parse(part.slice("data: ".length));
  }
}

export function notice(error) {
  const place = $("notice");
  place.hidden = !error;
  place.textContent = error ? error.message : "";
}

/** Run what a button starts; what goes wrong stands above the page. */
export function guarded(act) {
  return async (event) => {
    event?.preventDefault?.();
    notice(null);
    try {
      await act(event);
    } catch (error) {
      notice(error);
    }
  };
}

const MOST = 1200; // words; a table of both texts' lengths has to fit

/** The nodes of `text` with the words marked that are not in `other`, by longest common subsequence. */
export function marked(text, other) {
  if (other === null) return [text];
  const [mine, theirs] = [text, other].map((each) => each.match(/\s+|[^\s]+/g) || []);
  if (mine.length > MOST || theirs.length > MOST) return [text];
  const table = Array.from({ length: mine.length + 1 }, () => new Uint16Array(theirs.length + 1));
  for (let i = mine.length - 1; i >= 0; i--) {
    for (let j = theirs.length - 1; j >= 0; j--) {
      table[i][j] =
        mine[i] === theirs[j] ? table[i + 1][j + 1] + 1 : Math.max(table[i + 1][j], table[i][j + 1]);
    }
  }
  const runs = [];
  for (let i = 0, j = 0; i < mine.length; ) {
    const same = j < theirs.length && mine[i] === theirs[j];
    if (!same && j < theirs.length && table[i][j + 1] >= table[i + 1][j]) {
      j++;
      continue;
    }
    const last = runs.at(-1);
    if (last && last.same === same) last.text += mine[i];
    else runs.push({ same, text: mine[i] });
    i++;
    if (same) j++;
  }
  return runs.map((run) => (run.same || !run.text.trim() ? run.text : h("mark", {}, run.text)));
}

/** A value of JSON as text. */
export const shown = (value) =>
  typeof value === "string" ? value : JSON.stringify(value, null, 1);

export const columns = (data) =>
  h("dl", {}, ...Object.entries(data).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, shown(value))]));
