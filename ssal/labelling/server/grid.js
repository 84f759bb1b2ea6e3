// The grid: many images that the model takes for one class, selected and confirmed at once.

import { count, image, make, one } from "./make.js";

const percent = (share) => `${Math.round(100 * share)} %`;

export class Grid {
  #last = 0;

  /** `choose(label)` shows another group, `confirm(numbers, label)` answers. */
  constructor({ choose, confirm }) {
    this.choose = choose;
    this.label = null;
    this.send = confirm;
    one("all").addEventListener("click", () => this.selectAll());
    one("confirm").addEventListener("click", () => this.confirm(this.label));
    one("other").addEventListener("change", (event) => {
      const label = event.target.value;
      event.target.value = "";
      this.confirm(label);
    });
    one("cells").addEventListener("click", (event) => this.#click(event));
    one("cells").addEventListener("keydown", (event) => this.#move(event));
  }

  /** Show the classes that images can be called. */
  begin(classes) {
    one("other").replaceChildren(
      make("option", { value: "", textContent: "another class…" }),
      ...classes.map((name) => make("option", { value: name, textContent: name })),
    );
  }

  /** Show a group's images. */
  show(key, { images, groups }, label) {
    this.label = label;
    one("groups").replaceChildren(...groups.map((group) => make(
      "button",
      { type: "button", "aria-pressed": String(group.label === label), onclick: () => this.choose(group.label) },
      `${group.label ?? "no suggestion"} `,
      make("span", { className: "soft", textContent: group.images }),
    )));
    const at = [...one("groups").children].find((button) => button.ariaPressed === "true");
    if (at) one("groups").scrollTop = at.offsetTop - one("groups").offsetTop;
    one("cells").replaceChildren(...images.map((shown) => {
      const share = shown.suggestions.length ? percent(shown.suggestions[0][1]) : "";
      return make(
        "button",
        { type: "button", "aria-pressed": "false", "aria-label": `Image ${shown.number + 1} ${share}`.trim() },
        make("img", { src: image(key, shown.number), alt: "", loading: "lazy", decoding: "async" }),
        make("span", { className: "word", textContent: share }),
      );
    }));
    this.numbers = images.map((shown) => shown.number);
    this.#last = 0;
    const group = groups.find((one) => one.label === label);
    const of = group && group.images > images.length ? ` of ${group.images}` : "";
    one("grid-note").textContent = images.length
      ? `${count(images.length, "image")}${of} that the model ${label === null ? "says nothing of" : `takes for ${label}`}. ` +
        "Select those that are right and confirm them; what you leave is asked one by one."
      : "No image waits here.";
    one("cells").firstElementChild?.focus({ preventScroll: true });
    this.#count();
  }

  /** Return the cells that are selected, or all of them. */
  #cells(selected) {
    const cells = [...one("cells").children];
    return selected ? cells.filter((cell) => cell.ariaPressed === "true") : cells;
  }

  #count() {
    const selected = this.#cells(true).length;
    one("all").querySelector(".word").textContent = selected && selected === this.#cells().length ? "Select none" : "Select all";
    one("confirm").textContent = this.label === null ? `${selected} selected` : `Confirm ${selected} as ${this.label}`;
    one("confirm").disabled = one("other").disabled = !selected;
    one("confirm").disabled ||= this.label === null;
  }

  selectAll() {
    const all = this.#cells().length !== this.#cells(true).length;
    for (const cell of this.#cells()) cell.ariaPressed = String(all);
    this.#count();
  }

  /** Answer the selected images as `label`. */
  confirm(label) {
    const cells = this.#cells();
    const numbers = this.numbers.filter((_, at) => cells[at].ariaPressed === "true");
    if (numbers.length && label) this.send(numbers, label);
  }

  #click(event) {
    const cell = event.target.closest("button");
    if (!cell) return;
    const cells = this.#cells(), at = cells.indexOf(cell);
    const pressed = String(cell.ariaPressed !== "true");
    const [from, to] = event.shiftKey ? [Math.min(at, this.#last), Math.max(at, this.#last)] : [at, at];
    for (const one of cells.slice(from, to + 1)) one.ariaPressed = pressed;
    this.#last = at;
    this.#count();
  }

  #move(event) {
    const cells = this.#cells(), at = cells.indexOf(event.target.closest("button"));
    if (at < 0) return;
    const columns = getComputedStyle(one("cells")).gridTemplateColumns.split(" ").length;
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -at, End: cells.length - 1 - at };
    if (event.key in steps) {
      event.preventDefault();
      cells[at + steps[event.key]]?.focus();
    } else if (event.key === "Enter") {
      event.preventDefault();
      this.confirm(this.label);
    }
  }
}
