"use strict";
// What is shown is a function of the state, which the address keeps: a link shows the same again.
// user: a row, or null where a history was typed; history: rows, oldest first; deny: rows; step: counted from 1, 0 for the last.
// novelty, diversity: weights; steer: pairs of row and weight; again: whether what was taken may be recommended again;
// against: the name of another model, or null; where: fact -> what it must be.
const state = { user: 0, history: null, deny: [], step: 0, novelty: 0, diversity: 0, steer: [], again: false, against: null, where: {} };
let guided = false; // whether the model can be
let about = null;
const SHORT = matchMedia("(max-width: 48rem)").matches ? 4 : 12; // past items shown at first
let answer = null, asked = 0, whole = false;
let viewed = 0; // of the overviews that were asked for, the latest

const $ = (id) => document.getElementById(id);
// Scores of one model lie near 10, of another near 0.005: three places, or as many digits where these would be zeros.
const short = (value) => Math.abs(value) >= 0.1 || value === 0 ? value.toFixed(3) : value.toPrecision(3);
const signed = (value) => (value < 0 ? "−" : "+") + short(Math.abs(value));

function make(tag, attributes = {}, ...inside) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) element.setAttribute(name, value);
  }
  element.append(...inside.filter((part) => part !== null));
  return element;
}

async function fetched(path, body) {
  const options = body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let reply;
  try { reply = await fetch(path, options); } catch { throw new Error("The server does not answer. Is diffrec explore still running?"); }
  const values = await reply.json();
  if (!reply.ok) throw new Error(values.error);
  return values;
}

function complain(error) {
  $("error").textContent = error ? error.message : "";
  $("error").hidden = !error;
}

// The state in the address

function readAddress() {
  const said = new URLSearchParams(location.hash.slice(1));
  const rows = (name) => (said.get(name) || "").split(",").filter(Boolean).map(Number);
  state.history = said.has("history") ? rows("history") : null;
  state.user = state.history === null ? Number(said.get("user") || 0) : null;
  state.deny = rows("deny");
  state.again = said.get("again") === "1";
  state.step = Number(said.get("step") || 0);
  for (const name of ["novelty", "diversity"]) state[name] = Number(said.get(name) || 0);
  state.steer = (said.get("steer") || "").split(",").filter(Boolean).map((pair) => pair.split(":").map(Number));
  state.against = said.get("against");
  try { state.where = JSON.parse(said.get("where") || "{}") || {}; } catch { state.where = {}; }
}

// An address of another model may name what this one does not have.
function dropUnknown() {
  const item = (row) => Number.isInteger(row) && row >= 0 && row < about.items;
  const user = (row) => Number.isInteger(row) && row >= 0 && row < about.users;
  if (state.history === null) { if (!user(state.user)) state.user = 0; } else state.history = state.history.filter(item);
  state.deny = state.deny.filter(item);
  state.steer = state.steer.filter(([row, weight]) => item(row) && Number.isFinite(weight));
  for (const name of ["novelty", "diversity"]) if (!Number.isFinite(state[name])) state[name] = 0;
  if (!about.against.includes(state.against)) state.against = null;
  const known = (name, wish) => {
    const filter = about.filters.find((one) => one.name === name);
    return filter && (filter.kind === "text" ? filter.choices.includes(wish) : Array.isArray(wish) && wish.length === 2);
  };
  state.where = Object.fromEntries(Object.entries(state.where).filter(([name, wish]) => known(name, wish)));
}

function writeAddress() {
  const said = new URLSearchParams();
  if (state.history === null) said.set("user", state.user);
  else said.set("history", state.history.join(","));
  if (state.deny.length) said.set("deny", state.deny.join(","));
  if (state.again) said.set("again", "1");
  if (state.step) said.set("step", state.step);
  for (const name of ["novelty", "diversity"]) if (state[name]) said.set(name, state[name]);
  if (state.steer.length) said.set("steer", state.steer.map((pair) => pair.join(":")).join(","));
  if (state.against) said.set("against", state.against);
  if (Object.keys(state.where).length) said.set("where", JSON.stringify(state.where));
  history.replaceState(null, "", "#" + said);
}

// Asking

async function refresh(note) {
  writeAddress();
  const mine = ++asked;
  $("top").classList.add("busy");
  $("top").setAttribute("aria-busy", "true");
  try {
    const whose = state.history === null ? { user: state.user } : { history: state.history };
    const { deny, novelty, diversity, steer, again, against, where } = state;
    const values = await fetched("api/recommend", { ...whose, deny, novelty, diversity, steer, again, against, where, k: 10 });
    if (mine !== asked) return; // something newer is on its way
    answer = values;
    complain(null);
    show();
    if (note) $("said").textContent = note;
  } catch (error) {
    if (mine === asked) complain(error);
  } finally {
    if (mine === asked) {
      $("top").classList.remove("busy");
      $("top").setAttribute("aria-busy", "false");
      document.body.dataset.ready = String(mine);
    }
  }
}

// Showing

function show() {
  showHistory();
  showDenied();
  showGuidance();
  showFilters();
  showChain();
  showTop();
  showOther();
}

function nameOf(item) {
  // A number says nothing without its name; a text mostly does.
  const facts = Object.entries(item.facts).map(([name, fact]) => make("span", { class: "fact", title: name }, Number.isNaN(Number(fact)) ? fact : `${name} ${fact}`));
  return make("span", { class: "name" }, pictureOf(item), item.label, item.id === null ? null : make("span", { class: "quiet" }, " " + item.id), " ", ...facts);
}

function pictureOf(item) {
  return item.picture ? make("img", { src: item.picture, alt: "", loading: "lazy", class: "picture", onerror: (event) => event.target.remove() }) : null;
}

// A date stays whole, and so does an hour; between them a line may end.
function timeOf(text) {
  return make("time", {}, ...text.split(" ").flatMap((part) => [" ", make("span", { class: "part" }, part)]).slice(1));
}

function showHistory() {
  const many = answer.history.length;
  const count = many === 1 ? "1 item" : `${many} items`;
  $("whose").textContent = answer.user === null ? `Your own history: ${count}.` : `${answer.user}: ${count}.`;
  $("user").value = answer.user === null ? "" : answer.user;
  const shown = whole ? answer.history : answer.history.slice(0, SHORT);
  $("history").replaceChildren(...shown.map((item) => make("li", { "data-row": item.row }, nameOf(item),
    make("span", { class: "when" }, item.count > 1 ? make("b", { title: `${item.count} times` }, `×${item.count} `) : null, item.time === null ? null : timeOf(item.time)),
    make("button", { type: "button", class: "small", "aria-label": `Take ${item.label} out of the history`, onclick: () => edit((rows) => rows.filter((row) => row !== item.row), `${item.label} is out of the history.`) }, "Remove"))));
  $("more").hidden = many <= SHORT;
  $("more").textContent = whole ? "Show fewer" : `Show all ${many}`;
}

function showDenied() {
  $("denied-panel").hidden = !answer.denied.length;
  $("denied").replaceChildren(...answer.denied.map((item) => make("li", {},
    make("button", { type: "button", class: "small", "aria-label": `Allow ${item.label} again`, onclick: () => allow(item) }, `${item.label} ✕`))));
}

function showGuidance() {
  $("again").checked = state.again;
  $("guidance").hidden = !guided;
  for (const name of ["novelty", "diversity"]) {
    $(name).value = state[name];
    $(`${name}-value`).textContent = state[name];
  }
  $("steered").replaceChildren(...answer.steered.map((item) => make("li", {},
    make("button", { type: "button", class: "small", "aria-label": `Stop steering towards ${item.label}`, onclick: () => unsteer(item) }, `${item.label} +${item.weight} ✕`))));
}

function showFilters() {
  for (const field of $("filters").querySelectorAll("[data-fact]")) {
    const wish = state.where[field.dataset.fact];
    field.value = wish === undefined ? "" : field.dataset.end === undefined ? wish : wish[Number(field.dataset.end)] ?? "";
  }
}

function makeFilters(filters) {
  $("filters").hidden = !filters.length;
  const narrow = (name, wish) => {
    state.where = { ...state.where };
    if (wish === null) delete state.where[name]; else state.where[name] = wish;
    refresh();
  };
  for (const one of filters) {
    if (one.kind === "text") {
      const field = make("select", { id: `fact-${one.name}`, "data-fact": one.name, onchange: (event) => narrow(one.name, event.target.value || null) },
        make("option", { value: "" }, "any"), ...one.choices.map((choice) => make("option", { value: choice }, choice)));
      $("filters").append(make("label", {}, one.name, " ", field));
      continue;
    }
    const ends = [0, 1].map((end) => make("input", { type: "number", step: "any", "data-fact": one.name, "data-end": end, placeholder: end ? one.high : one.low, "aria-label": `${one.name}, ${end ? "most" : "least"}` }));
    const changed = () => {
      const wish = ends.map((field) => field.value === "" ? null : Number(field.value));
      narrow(one.name, wish.every((end) => end === null) ? null : wish);
    };
    for (const field of ends) field.addEventListener("change", changed);
    $("filters").append(make("span", { class: "range" }, one.name, ends[0], "to", ends[1]));
  }
}

function showOther() {
  const shown = answer.other !== null;
  $("other-side").hidden = $("top-name").hidden = !shown;
  document.body.classList.toggle("two", shown);
  $("against").value = state.against || "";
  if (!shown) return;
  $("top-name").textContent = about.variant;
  $("other-name").textContent = state.against;
  const places = new Map(answer.top.map((item, place) => [item.row, place]));
  $("other").replaceChildren(...answer.other.map((item, place) => {
    const here = places.get(item.row);
    const text = here === undefined ? "only here" : here === place ? "same rank" : `${here + 1} by ${about.variant}`;
    return make("li", { "data-row": item.row }, make("div", { class: "line" },
      make("span", { class: "rank", "aria-label": `rank ${place + 1}` }, String(place + 1)), nameOf(item),
      make("span", { class: "score", title: "score" }, short(item.score)),
      make("span", { class: "move " + (here === undefined ? "down" : here === place ? "" : "up") }, text)));
  }));
  const shared = answer.other.filter((item) => places.has(item.row)).length;
  $("said").textContent = `${$("said").textContent} ${shared} of ${answer.other.length} stand in both lists.`.trim();
}

// The overview

async function showOverview() {
  const mine = ++viewed, order = $("order").value;
  const values = await fetched(`api/overview?order=${order}`);
  if (mine !== viewed) return; // something newer is on its way
  const number = (value) => value === null ? "–" : Number.isInteger(value) ? value.toLocaleString("en") : value.toFixed(4);
  const metrics = values.figures.length ? Object.keys(values.figures[0].means) : [];
  $("figures").replaceChildren(values.figures.length
    ? make("table", {}, make("caption", {}, `over ${number(values.figures[0].users)} users with something in the test set`),
      make("thead", {}, make("tr", {}, make("th", {}, ""), ...values.figures.map((one) => make("th", {}, one.name)))),
      make("tbody", {}, ...metrics.map((metric) => make("tr", {}, make("th", { scope: "row" }, metric), ...values.figures.map((one) => make("td", { class: "number" }, number(one.means[metric])))))))
    : make("p", { class: "quiet" }, make("code", {}, "--test FILE"), " says how well the model predicts what its users took later."));
  const served = values.deciding !== null, timed = values.users.some((one) => one.last !== null);
  $("people").tHead.replaceChildren(make("tr", {}, make("th", {}, "user"), make("th", {}, "items"), timed ? make("th", {}, "last") : null, served ? make("th", {}, values.deciding) : null));
  $("people").tBodies[0].replaceChildren(...values.users.map((one) => make("tr", {},
    make("td", {}, make("button", { type: "button", class: "plain", onclick: () => look(one.row) }, one.label)),
    make("td", { class: "number" }, number(one.count)), timed ? make("td", { class: "part" }, one.last === null ? "" : one.last.slice(0, 10)) : null,
    served ? make("td", { class: "number" }, number(one.served)) : null)));
  const most = Math.max(...values.lengths.map((bar) => bar.users), 1);
  $("lengths").tBodies[0].replaceChildren(...values.lengths.map((bar) => make("tr", {},
    make("th", { scope: "row" }, bar.low === bar.high ? number(bar.low) : `${number(bar.low)}–${number(bar.high)}`),
    make("td", { class: "bars" }, make("meter", { min: 0, max: most, value: bar.users, class: "for", "aria-label": `${bar.users} users` })),
    make("td", { class: "number" }, number(bar.users)))));
  $("popular").replaceChildren(...values.popular.map((item) => make("li", {}, nameOf(item), make("span", { class: "when" }, `${number(item.users)} users`))));
  document.body.dataset.overview = order;
}

function look(row) {
  Object.assign(state, { user: row, history: null, deny: [], step: 0 });
  whole = false;
  refresh();
  scrollTo({ top: 0 });
}

function showChain() {
  const steps = answer.steps.length;
  $("chain").hidden = steps < 2;
  if (steps < 2) { state.step = 0; return; }
  if (state.step > steps) state.step = 0;
  $("step").max = steps;
  $("step").value = state.step || steps;
  $("ticks").replaceChildren(...answer.steps.map((_, place) => make("option", { value: place + 1 })));
  $("step-name").textContent = `${state.step || steps} of ${steps}`;
}

function showTop() {
  const steps = answer.steps.length;
  const last = !state.step || state.step >= steps;
  const known = new Map(answer.top.map((item, place) => [item.row, { ...item, place }]));
  if (last) {
    $("top").replaceChildren(...answer.top.map((item, place) => entry(item, place, null)));
    $("said").textContent = answer.top.length ? "" : "Nothing is left to recommend.";
    return;
  }
  const rows = answer.steps[state.step - 1];
  $("top").replaceChildren(...rows.map((row, place) => entry(known.get(row) || answer.passing[row], place, known)));
  const same = rows.filter((row) => known.has(row)).length;
  $("said").textContent = `${same} of these ${rows.length} are recommended in the end.`;
}

function entry(item, place, ends) {
  let right = null;
  if (ends === null) right = make("span", { class: "score", title: "score" }, short(item.score));
  else {
    const end = ends.has(item.row) ? ends.get(item.row).place : null;
    const text = end === null ? "drops out" : end === place ? "stays" : end < place ? `rises to ${end + 1}` : `falls to ${end + 1}`;
    right = make("span", { class: "move " + (end === null || end > place ? "down" : end < place ? "up" : "") }, text);
  }
  const deny = make("button", { type: "button", class: "small deny", "aria-label": `Do not recommend ${item.label}`, onclick: () => refuse(item) }, "Deny");
  const more = guided ? make("button", { type: "button", class: "small more", "aria-label": `Steer towards ${item.label}`, onclick: () => steer(item) }, "More") : null;
  const line = make("div", { class: "line" }, make("span", { class: "rank", "aria-label": `rank ${place + 1}` }, String(place + 1)), nameOf(item), right, make("span", { class: "acts" }, more, deny));
  return make("li", { "data-row": item.row }, line, ends === null && item.why ? reasons(item) : null);
}

function reasons(item) {
  const why = item.why;
  const helped = why.items.filter((past) => past.part > 0).slice(0, 2);
  const short = helped.length ? helped.flatMap((past, place) => [place ? " and " : "because of ", make("b", {}, past.label)]) : ["no past item speaks for it"];
  const largest = Math.max(...why.items.map((past) => Math.abs(past.part)), 1e-12);
  const bar = (part, name) => make("meter", { min: 0, max: largest, value: Math.min(Math.abs(part), largest), class: part < 0 ? "against" : "for", "aria-label": name });
  const line = (name, part, kind, meter) => make("tr", { class: kind }, make("td", {}, name), make("td", { class: "bars" }, meter), make("td", { class: "number" }, signed(part)));
  const rows = why.items.map((past) => line(past.label, past.part, "", bar(past.part, past.label)));
  const parts = why.items.reduce((sum, past) => sum + past.part, why.others + why.baseline + why.remainder);
  const rest = [["guidance", item.score - parts], ["other past items", why.others], ["baseline (no history)", why.baseline], [why.exact ? "rounding" : "remainder (not linear)", why.remainder]];
  rows.push(...rest.filter(([, part]) => Math.abs(part) >= 1e-3 * Math.max(largest, Math.abs(item.score))).map(([name, part]) => line(name, part, "rest", null)));
  rows.push(line("score" + (why.exact ? ", exactly" : ", by gradient × input"), item.score, "sum", null));
  const mark = (on) => () => {
    const past = new Set(why.items.map((one) => String(one.row)));
    for (const row of $("history").children) row.classList.toggle("why", on && past.has(row.dataset.row));
  };
  return make("details", { ontoggle: (event) => mark(event.target.open)(), onpointerenter: mark(true), onpointerleave: mark(false) }, make("summary", {}, ...short), make("table", {}, make("tbody", {}, ...rows)));
}

// Doing

function edit(change, note) {
  const rows = state.history === null ? answer.history.map((item) => item.row).reverse() : state.history;
  state.history = change(rows);
  state.user = null;
  refresh(note);
}

function refuse(item) {
  state.deny = [...state.deny, item.row];
  refresh(`${item.label} is denied; the list has moved up.`);
}

function steer(item) {
  const now = state.steer.find(([row]) => row === item.row);
  state.steer = [...state.steer.filter(([row]) => row !== item.row), [item.row, (now ? now[1] : 0) + 1]];
  refresh(`Steered towards ${item.label}.`);
}

function unsteer(item) {
  state.steer = state.steer.filter(([row]) => row !== item.row);
  refresh(`No longer steered towards ${item.label}.`);
}

function allow(item) {
  state.deny = state.deny.filter((row) => row !== item.row);
  refresh(`${item.label} may be recommended again.`);
}

// Searching: a list of names under the field, filled as one types

function searching(kind, field) {
  const list = $(kind);
  let late = null, latest = 0;
  const search = async () => {
    const mine = ++latest;
    try {
      const hits = await fetched(`api/${kind}?q=${encodeURIComponent(field.value)}`);
      if (mine !== latest) return; // something newer is on its way
      list.replaceChildren(...hits.map((one) => make("option", { value: one.label })));
    } catch (error) { if (mine === latest) complain(error); }
  };
  field.addEventListener("input", () => { clearTimeout(late); late = setTimeout(search, 120); });
  field.addEventListener("focus", search, { once: true });
}

async function chosen(kind, field) {
  const text = field.value.trim();
  if (!text) return null;
  const hits = await fetched(`api/${kind}?q=${encodeURIComponent(text)}`);
  // What is called just so comes first, whatever the case of its letters.
  const hit = hits.find((one) => one.label === text || one.id === text) || hits[0];
  if (!hit) throw new Error(`There is no ${kind.slice(0, -1)} like “${text}”.`);
  return hit;
}

function submitting(form, kind, field, act) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const hit = await chosen(kind, field);
      if (hit) act(hit);
    } catch (error) { complain(error); }
  });
}

async function begin() {
  searching("users", $("user"));
  searching("items", $("item"));
  submitting($("user-form"), "users", $("user"), (hit) => {
    look(hit.row);
  });
  submitting($("item-form"), "items", $("item"), (hit) => {
    $("item").value = "";
    edit((rows) => [...rows.filter((row) => row !== hit.row), hit.row], `${hit.label} is in the history.`);
  });
  $("nobody").addEventListener("click", () => {
    Object.assign(state, { user: null, history: [], deny: [], step: 0 });
    refresh("An empty history: add what you like.");
  });
  $("more").addEventListener("click", () => { whole = !whole; showHistory(); });
  $("step").addEventListener("input", () => {
    const step = Number($("step").value);
    state.step = step === answer.steps.length ? 0 : step;
    writeAddress();
    showChain();
    showTop();
    showOther();
  });
  $("order").addEventListener("change", () => showOverview().catch(complain));
  $("against").addEventListener("change", () => { state.against = $("against").value || null; refresh(); });
  $("again").addEventListener("change", () => { state.again = $("again").checked; refresh(); });
  for (const name of ["novelty", "diversity"]) {
    $(name).addEventListener("change", () => { state[name] = Number($(name).value); refresh(); });
  }
  readAddress();
  try {
    about = await fetched("api/about");
    guided = about.guided;
    makeFilters(about.filters);
    $("against-row").hidden = !about.against.length;
    $("against").append(...about.against.map((name) => make("option", { value: name }, name)));
    dropUnknown();
    addEventListener("hashchange", () => { readAddress(); dropUnknown(); refresh(); });
    $("without-pictures").hidden = !about.pictures;
    for (const option of document.querySelectorAll("[data-measured]")) option.hidden = option.disabled = !about.measured;
    const number = (value) => value.toLocaleString("en");
    $("model").textContent = `${about.model} · learnt from ${number(about.interactions)} interactions of ${number(about.items)} items · ${number(about.users)} users to look at`;
    await refresh();
    await showOverview();
  } catch (error) { complain(error); }
}

begin();
