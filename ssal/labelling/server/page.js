// The labelling page: what somebody presses, what is asked of the server, what is shown next.

import { Refused, ask, trouble } from "./ask.js";
import { Clock } from "./clock.js";
import { Earlier } from "./earlier.js";
import { Grid } from "./grid.js";
import { COMMANDS, classOfKey, pressed } from "./keys.js";
import { count, image, one, told } from "./make.js";
import { filterClasses, showClasses, showImage, showModel, showProgress, showRecent, showRest } from "./show.js";

const HEARTBEAT = 30_000;
const POLL = 3_000;
const AHEAD = 3;
const MOST_LEVEL = 16;

const clock = new Clock().follow(document);
const state = {
  question: null, who: localStorage.getItem("ssal.who") ?? "", sees: localStorage.getItem("ssal.suggestions") !== "off",
  look: "queue", label: null, number: null, earlier: null, hand: [], shown: null, recent: [], progress: null, groups: [],
  written: [], passed: new Set(), busy: true, turn: 0, ahead: [], level: 1,
};
const grid = new Grid({
  choose: (label) => go("grid", { label }),
  confirm: (numbers, label) => answerMany(numbers, label),
});

const earlier = new Earlier({
  find: (find) => kept(() => ask("earlier", { key: state.question.key, who: state.who, find })),
  choose: (said) => go("again", { number: said.number, earlier: said }),
  leave: () => go("queue"),
});

const say = (text) => { one("status").textContent = text; };
/** What is asked of the server is of the question that waits, or of the earlier one whose answer is shown. */
const asking = (more) => ({ key: state.question.key, who: state.who, earlier: state.earlier?.key ?? null, ...more });
/** The question whose image is shown. */
const shownKey = () => state.earlier?.key ?? state.question.key;

/** Begin with the question that waits now. */
async function begin() {
  state.busy = true;
  state.question = await ask("question");
  const { classes, recipe, round, chosen_by: chosen } = state.question;
  one("title").textContent = `${recipe}, round ${round}`;
  one("chosen").textContent = `Asked by ${chosen}`;
  one("why-asked").textContent = `How these images were chosen: ${chosen}.`;
  takeClasses(classes);
  Object.assign(state, { hand: [], shown: null, written: [], turn: state.turn + 1 });
  if (!state.who && state.question.who) name(state.question.who);
  if (!state.who) return askName();
  name(state.who);
  await look("queue");
}

/** Show the classes that can be answered now; one may be added or renamed while people answer. */
function takeClasses(classes) {
  state.question.classes = classes;
  showClasses(classes, (label) => answer("label", label));
  grid.begin(classes);
  if (state.shown) showModel(shownKey(), state.shown, state.sees);
}

/** Ask for images and show them; what comes too late, because something was answered since, is left. */
async function look(kind, more = {}, quietly = false) {
  if (!quietly) {
    Object.assign(state, { look: kind, label: null, number: null, earlier: null, ...more, busy: true, shown: null, turn: state.turn + 1 });
  }
  const turn = state.turn;
  const wanted = { look: state.look };
  if (state.look === "grid") wanted.label = state.label;
  if (state.look === "again") wanted.number = state.number;
  const found = await kept(() => ask("look", asking(wanted)));
  if (!found || turn !== state.turn || (quietly && state.busy)) return;
  if (!state.earlier) Object.assign(state, { progress: found.progress, recent: found.recent, groups: found.groups });
  if (!state.earlier && found.classes.join("\n") !== state.question.classes.join("\n")) takeClasses(found.classes);
  state.hand = state.look === "skipped" ? found.images.filter((shown) => !state.passed.has(shown.number)) : found.images;
  if (state.look !== "queue" && state.look !== "grid" && !state.hand.length) return look("queue");
  if (state.look === "grid" && !quietly && !state.hand.length) {
    const group = state.groups.find((group) => group.label !== null) ?? state.groups[0];
    if (group && group.label !== state.label) return look("grid", { label: group.label });
  }
  const at = state.hand.findIndex((shown) => shown.number === state.shown?.number);
  if (at > 0) state.hand.unshift(...state.hand.splice(at, 1));
  if (quietly && state.shown && at < 0) say("Somebody else has answered that image");
  if (!quietly || (at < 0 && one("grid").hidden)) show();
  else showAround();
  if (!quietly) state.busy = false;
}

/** Look at something else, unless an answer is on its way. */
function go(kind, more) {
  if (!state.busy) look(kind, more);
}

/** Run what asks the server; where another question is asked by now, begin with that. */
async function kept(run) {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (error.status === 409) {
      say(`${error.message[0].toUpperCase()}${error.message.slice(1)}`);
      await begin();
    } else {
      trouble(error.message);
      state.busy = false;
    }
    return null;
  }
}

/** Show the first image at hand, or the grid, or what is next. */
function show() {
  const isGrid = state.look === "grid" && state.hand.length > 0, isEarlier = state.look === "earlier";
  state.shown = isGrid ? null : state.hand[0] ?? null;
  one("one").hidden = !state.shown;
  one("grid").hidden = !isGrid;
  one("earlier").hidden = !isEarlier;
  one("before").setAttribute("aria-pressed", String(isEarlier || Boolean(state.earlier)));
  one("rest").hidden = isGrid || isEarlier || Boolean(state.shown);
  one("as-grid").setAttribute("aria-pressed", String(isGrid));
  if (isGrid) grid.show(state.question.key, { images: state.hand, groups: state.groups }, state.label);
  if (state.shown) {
    showImage(shownKey(), state.shown, { ...state, images: state.progress.images });
    one("find").value = "";
    filterClasses("");
  }
  showAround();
  clock.restart();
  state.ahead = isGrid ? [] : state.hand.slice(1, AHEAD + 1).map((next) => {
    const ahead = new Image();
    ahead.src = image(shownKey(), next.number);
    ahead.decode().catch(() => {});  // one that is gone says so when it is shown
    return ahead;
  });
}

/** Show what stands around the image. */
function showAround() {
  showProgress(state.progress, state.question.recipe);
  showRecent(state.question.key, state.recent, state.earlier ? null : state.shown?.number, (number) => go("again", { number }));
  if (!one("rest").hidden) showRest(state.progress, state.question.command);
  one("as-grid").disabled = !state.groups.length;
  one("before").hidden = !(state.question.earlier || state.progress.taken);
}

/** Answer the image that is shown. The next one is shown when this answer is on disk. */
async function answer(kind, label = null) {
  if (state.busy || !state.shown) return;  // a key pressed before an image was seen is no answer to it
  if (kind === "skipped" && (state.earlier || state.progress.taken)) return say("An answer that was taken is corrected, or left as it is");
  const { number } = state.shown;
  const sent = await write([{ number, kind, label, seconds: clock.seconds() }], told({ kind, label }));
  if (!sent) return;
  if (state.earlier) return showEarlier();
  state.recent = [{ number, kind, label }, ...state.recent.filter((said) => said.number !== number)];
  if (state.look === "again") return look("queue");
  if (kind === "skipped") state.passed.add(number);  // who looks again at what they skipped sees each of them once
  state.hand = state.hand.filter((shown) => shown.number !== number);
  if (!state.hand.length) return look(state.look);
  state.turn += 1;
  show();
  state.busy = false;
  await look(state.look, {}, true);
}

/** Answer several images of the grid in one step. */
async function answerMany(numbers, label) {
  if (state.busy) return;
  const seconds = Math.round((10 * clock.seconds()) / numbers.length) / 10;
  const sent = await write(
    numbers.map((number) => ({ number, kind: "label", label, seconds })), `${count(numbers.length, "image")}: ${label}`,
  );
  if (sent) await look("grid", { label: state.label });
}

/** Send answers, and say whether they are on disk; until they are the page waits. */
async function write(answers, words) {
  state.busy = true;
  document.body.ariaBusy = "true";
  const sent = await kept(() => ask(
    "answers", asking({ answers, decides: state.look === "third" || state.progress.taken }),
    "Your last answer is not saved yet and is sent again by itself.",
  ));
  document.body.ariaBusy = "false";
  if (sent) {
    state.written.push({ positions: sent.positions, earlier: state.earlier });
    say(`Saved: ${words}`);
  }
  return sent;
}

async function undo() {
  if (state.busy || !state.question) return;
  state.busy = true;
  const last = state.written.pop();
  const found = await kept(() => ask("undo", asking({ positions: last?.positions ?? null, earlier: last?.earlier?.key ?? null })));
  if (!found) return;
  const words = found.undone.length === 1 ? told(found.undone[0]) : count(found.undone.length, "answer");
  say(found.undone.length ? `Taken back: ${words}` : "Nothing to take back");
  if (last?.earlier) return showEarlier();
  await look(["grid", "third"].includes(state.look) ? state.look : "queue", { label: state.label });
}

/** Go to an earlier answer (step 1) or a later one (−1), and behind the last one on to what is asked. */
function step(by) {
  const at = state.look === "again" && !state.earlier ? state.recent.findIndex((said) => said.number === state.number) : -1;
  const next = state.recent[at + by];
  if (next) go("again", { number: next.number });
  else if (by < 0 && at === 0) go("queue");
}

function see() {
  state.sees = !state.sees;
  localStorage.setItem("ssal.suggestions", state.sees ? "on" : "off");
  showSees();
  say(state.sees ? "What the model thinks is shown" : "What the model thinks is hidden");
  if (state.shown) showModel(shownKey(), state.shown, state.sees);
}

/** Show the answers of earlier rounds. */
async function showEarlier() {
  Object.assign(state, { look: "earlier", number: null, earlier: null, hand: [], shown: null, busy: false, turn: state.turn + 1 });
  show();
  one("earlier-find").focus();
  await earlier.load();
}

function toggleEarlier() {
  if (state.busy || one("before").hidden) return;
  if (state.look === "earlier") look("queue");
  else showEarlier();
}

const showSees = () => one("see").setAttribute("aria-pressed", String(state.sees));

function toggleGrid() {
  if (state.busy) return;
  if (!one("grid").hidden) return look("queue");
  const suggested = state.shown?.suggestions[0]?.[0];
  const group = state.groups.find((group) => group.label === suggested) ?? state.groups[0];
  if (group) look("grid", { label: group.label });
}

/** Make the image larger or smaller, or open it at once and a half its size. */
function zoom(level = 2) {
  if (!state.shown) return;
  state.level = Math.min(MOST_LEVEL, Math.max(1, level));
  const large = one("large-picture");
  large.src = one("picture").src;
  large.alt = one("picture").alt;
  large.style.width = large.style.height = `${100 * state.level}%`;
  if (!one("zoomed").open) one("zoomed").showModal();
  one("large").focus();
  one("large").scrollTo(
    (one("large").scrollWidth - one("large").clientWidth) / 2, (one("large").scrollHeight - one("large").clientHeight) / 2,
  );
}

function name(who) {
  state.who = who;
  localStorage.setItem("ssal.who", who);
  one("who").textContent = who;
}

function askName() {
  one("name").value = state.who || state.question.who;
  one("names").showModal();
}

function takeName() {
  const who = one("name").value.trim();
  one("name-trouble").textContent = who ? "" : "Type a name, please.";
  if (!who) return;
  state.written = [];  // what another name wrote is not taken back under this one
  name(who);
  one("names").close();
  look("queue");
}

const DO = {
  undo, see, zoom, grid: toggleGrid, earlier: toggleEarlier,
  help: () => one("keys").showModal(),
  find: () => one("find").focus(),
  none: () => answer("none"), cannot_tell: () => answer("cannot_tell"), skipped: () => answer("skipped"),
};

function onKey(event) {
  if (event.repeat && (event.key.length === 1 || event.key === "Enter") && !event.target.closest("input")) {
    return event.preventDefault();  // a key that is held is pressed once
  }
  const key = pressed(event), control = event.ctrlKey || event.metaKey;
  if (one("zoomed").open) {
    if (key === "z") one("zoomed").close();
    if (key === "+" || key === "=") zoom(state.level * 2);
    if (key === "-" || key === "−") zoom(state.level / 2);
    return undefined;
  }
  if (event.target.closest("dialog[open], input, select")) return undefined;
  const inGrid = !one("grid").hidden;
  if (control && key === "z") event.preventDefault(), undo();
  else if (control && key === "a" && inGrid) event.preventDefault(), grid.selectAll();
  if (control || event.altKey) return undefined;
  const number = classOfKey(key), label = state.question?.classes[number];
  if (label !== undefined) return inGrid ? grid.confirm(label) : answer("label", label);
  if (!inGrid && key === "arrowleft") return step(1);
  if (!inGrid && key === "arrowright") return step(-1);
  if ((inGrid || state.look === "earlier") && key === "escape") return go("queue");
  if (inGrid && !["undo", "grid", "help"].includes(COMMANDS[key])) return undefined;
  if (COMMANDS[key] === "find" && one("find-line").hidden) return undefined;
  if (key in COMMANDS) {
    event.preventDefault();
    DO[COMMANDS[key]]();
  }
  return undefined;
}

function onFind(event) {
  if (event.key === "Enter") {
    const { first } = filterClasses(one("find").value);
    if (first && one("find").value.trim()) one("find").blur(), first.click();
  } else if (event.key === "Escape") {
    one("find").value = "";
    filterClasses("");
    one("find").blur();
  } else if (event.key === "ArrowDown") {
    event.preventDefault();
    filterClasses(one("find").value).first?.focus();
  }
}

document.addEventListener("keydown", onKey);
one("find").addEventListener("keydown", onFind);
one("find").addEventListener("input", () => {
  const { found } = filterClasses(one("find").value);
  say(count(found, "class matches", "classes match"));
});
for (const kind of ["none", "cannot_tell", "skipped"]) one(kind).addEventListener("click", DO[kind]);
for (const id of ["undo", "undo-grid", "rest-undo"]) one(id).addEventListener("click", undo);
for (const id of ["zoom", "zoom-in"]) one(id).addEventListener("click", () => zoom());
for (const id of ["as-grid", "leave"]) one(id).addEventListener("click", toggleGrid);
one("before").addEventListener("click", toggleEarlier);
for (const id of ["third", "look-third"]) one(id).addEventListener("click", () => go("third"));
one("look-skipped").addEventListener("click", () => {
  state.passed.clear();
  go("skipped");
});
one("see").addEventListener("click", see);
one("help").addEventListener("click", DO.help);
one("keys-ok").addEventListener("click", () => one("keys").close());
one("larger").addEventListener("click", () => zoom(state.level * 2));
one("smaller").addEventListener("click", () => zoom(state.level / 2));
one("zoom-out").addEventListener("click", () => one("zoomed").close());
one("who").addEventListener("click", askName);
one("name-ok").addEventListener("click", takeName);
one("name").addEventListener("keydown", (event) => { if (event.key === "Enter") takeName(); });
one("names").addEventListener("close", () => { if (!state.who) askName(); });

const waits = () => state.question && state.who && !one("rest").hidden;
const refresh = () => { if (!document.hidden && !state.busy && state.who && state.look !== "earlier") look(state.look, {}, true); };
setInterval(() => { if (waits()) refresh(); }, POLL);
setInterval(() => { if (state.question && !waits()) refresh(); }, HEARTBEAT);
document.addEventListener("visibilitychange", refresh);
showSees();
kept(begin);
