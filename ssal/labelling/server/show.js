// What the page shows: one image with its classes, how far all is, the last answers, and what is next.

import { keyOfClass } from "./keys.js";
import { count, image, make, one, told } from "./make.js";

const percent = (share) => `${Math.round(100 * share)} %`;

/** Build one button per class; `answer(label)` is called by it. */
export function showClasses(classes, answer) {
  one("classes").replaceChildren(...classes.map((label, number) => {
    const key = keyOfClass(number);
    return make(
      "button",
      { type: "button", value: label, onclick: () => answer(label) },
      key && make("kbd", { textContent: key }),
      make("span", { className: "word", textContent: label }),
      make("span", { className: "share" }),
      make("span", { className: "level", "aria-hidden": "true" }),
    );
  }));
  one("find-line").hidden = classes.length <= 9;
  one("find").value = "";
}

/** Show an image, and what the model makes of it unless that is switched off. */
export function showImage(key, shown, { look, sees, images, who, earlier }) {
  const picture = one("picture");
  picture.src = image(key, shown.number);
  picture.alt = `Image ${shown.number + 1} of ${images}`;
  one("path").textContent = shown.path;
  showModel(key, shown, sees);
  const mine = earlier ?? shown.said.filter((said) => look !== "third" || said.who === who).at(-1);
  for (const button of one("classes").children) button.classList.toggle("said", mine?.label === button.value);
  one("skipped").disabled = Boolean(earlier);
  for (const kind of ["none", "cannot_tell", "skipped"]) one(kind).classList.toggle("said", mine?.kind === kind);
  const note = earlier
    ? `In round ${earlier.round} ${earlier.who} said ${told(earlier)}. Answer again to correct it, or press 0 to go back.`
    : look === "third"
    ? `A third look settles this: ${shown.said.map((said) => `${said.who} says ${told(said)}`).join(", ")}.`
    : look === "again" && mine ? `You said ${told(mine)}. Answer again to change it, or press → to go on.` : "";
  one("note").textContent = note;
  one("note").hidden = !note;
}

/** Show what the model thinks of an image, or nothing of it. */
export function showModel(key, shown, sees) {
  const suggestions = sees ? shown.suggestions : [];
  const shares = new Map(suggestions);
  for (const button of one("classes").children) {
    const share = shares.get(button.value);
    button.querySelector(".share").textContent = share === undefined ? "" : percent(share);
    button.querySelector(".level").style.width = `${100 * (share ?? 0)}%`;
    button.classList.toggle("taken", suggestions[0]?.[0] === button.value);
  }
  one("model").replaceChildren(...(suggestions.length
    ? ["The model takes it for ", make("b", { textContent: suggestions[0][0] }), ` (${percent(suggestions[0][1])})`]
    : []), sees && shown.why ? `${suggestions.length ? "; " : ""}${shown.why}` : "");
  one("near").hidden = !sees || !shown.neighbours.length;
  one("neighbours").replaceChildren(...(sees ? shown.neighbours : []).map(({ file, label }) => make(
    "li", {},
    make("img", { src: `${image(key, shown.number)}/${file}`, alt: `A labelled image of ${label}` }),
    make("span", { textContent: label }),
  )));
}

/** Show only the classes that were typed for; return the first of them. */
export function filterClasses(typed) {
  const wanted = typed.trim().toLowerCase();
  const buttons = [...one("classes").children];
  const starts = (button) => button.value.toLowerCase().startsWith(wanted);
  for (const button of buttons) button.hidden = !button.value.toLowerCase().includes(wanted);
  const found = buttons.filter((button) => !button.hidden);
  return { first: found.find(starts) ?? found[0], found: found.length };
}

/** Show how far all is and how fast it goes. */
export function showProgress(progress, recipe) {
  const { images, answered, skipped, differ, second, pace, left, minutes } = progress;
  one("bar").max = images;
  one("bar").value = answered;
  const facts = [`${answered} of ${images} answered`];
  if (skipped) facts.push(`${skipped} skipped`);
  if (differ) facts.push(`${differ} answered differently`);
  if (second) facts.push(`${count(second, "waits", "wait")} for a second person`);
  if (pace) {
    facts.push(`${Math.round(60 / pace)} a minute`);
    if (left) facts.push(`${count(Math.max(1, Math.round((left * pace) / 60)), "minute")} left`);
    if (minutes >= 1) facts.push(`${count(Math.round(minutes), "minute")} of your time`);
  }
  one("facts").replaceChildren(...facts.map((textContent) => make("span", { textContent })));
  document.title = `${answered} of ${images} · ${recipe}`;
  one("third").hidden = !differ;
  one("third").textContent = `Third look ${differ}`;
}

/** Show the last answers; `again(number)` opens one of them. What stood there before is kept: it need not load anew. */
export function showRecent(key, recent, shown, again) {
  const before = new Map([...one("recent").children].map((item) => [item.dataset.what, item]));
  const focused = document.activeElement;
  one("last").hidden = !recent.length;
  one("recent").replaceChildren(...recent.map((said) => {
    const what = `${key} ${said.number} ${told(said)}`;
    if (before.has(what)) return before.get(what);
    const item = make("li", {}, make(
      "button",
      { type: "button", "aria-label": `Image ${said.number + 1}: ${told(said)}`, onclick: () => again(said.number) },
      make("img", { src: image(key, said.number), alt: "", loading: "lazy", decoding: "async" }),
      make("span", { className: "word", textContent: told(said) }),
    ));
    Object.assign(item.dataset, { what, number: said.number });
    return item;
  }));
  for (const item of one("recent").children) {
    item.firstElementChild.setAttribute("aria-pressed", String(Number(item.dataset.number) === shown));
  }
  if (focused !== document.activeElement && focused.isConnected) focused.focus();
}

/** Say what is next where no image is left for this person. */
export function showRest(progress, command) {
  const { images, differ, my_skipped: skipped, second, done, taken } = progress;
  const type = make("p", {}, "In the terminal, type: ", make("code", { textContent: command }));
  const lines = [];
  let title = "The last images are on somebody else’s screen";
  if (taken) {
    title = "The run has taken these answers";
    lines.push("If it asks for more, the next images appear here by themselves.");
  } else if (differ) {
    title = `${count(differ, "image was", "images were")} answered differently by different people`;
    lines.push("A third look settles what each of them is.");
  } else if (skipped) {
    title = `Nothing is left but ${count(skipped, "image")} you skipped`;
    lines.push("Look again, or finish and leave them: they count as asked, and may be asked again later.");
  } else if (second) {
    title = `${count(second, "image waits", "images wait")} for a second person`;
  } else if (done) {
    title = `All ${images} images have an answer`;
  } else {
    lines.push("What they leave comes here by itself.");
  }
  if (second && !taken) {
    lines.push(`${count(second, "image")} should be answered by a second person too, who opens this page under another name (above, at the right). Where there is nobody else, add labelling.asked_of_two=0 to the command: ${command} labelling.asked_of_two=0`);
  }
  one("rest-title").textContent = title;
  one("rest-more").replaceChildren(...lines.map((textContent) => make("p", { textContent })));
  if (done && !taken) {
    one("rest-more").append(type, make("p", { textContent: "It trains on your answers. When it asks again, the next images appear here by themselves." }));
  }
  one("look-skipped").hidden = !skipped || taken;
  one("look-skipped").textContent = `Look again at ${count(skipped, "skipped image")}`;
  one("look-third").hidden = !differ || taken;
  one("look-third").textContent = `Third look at ${count(differ, "image")}`;
}
