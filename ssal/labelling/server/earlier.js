// Answers of earlier rounds: found by class, file, person or round, and opened one by one to be corrected.

import { count, image, make, one, told } from "./make.js";

const PAUSE = 200;

export class Earlier {
  #turn = 0;
  #later;

  /** `find(words)` asks the server, `choose(said)` opens an answer, `leave()` goes back to what is asked. */
  constructor({ find, choose, leave }) {
    this.find = find;
    this.choose = choose;
    one("earlier-leave").addEventListener("click", leave);
    one("earlier-find").addEventListener("input", () => {
      clearTimeout(this.#later);
      this.#later = setTimeout(() => this.load(), PAUSE);
    });
    one("earlier-find").addEventListener("keydown", (event) => {
      if (event.key === "Escape") leave();
      if (event.key === "ArrowDown" || event.key === "Enter") {
        event.preventDefault();
        one("earlier-found").querySelector("button")?.focus();
      }
    });
  }

  /** Show what has all the words that stand in the field; what comes too late is left. */
  async load() {
    const turn = this.#turn += 1, words = one("earlier-find").value.trim();
    const answer = await this.find(words);
    if (!answer || turn !== this.#turn) return;
    const { found, images } = answer;
    const first = found > images.length ? `; the last ${images.length} are shown, type to find others` : "";
    one("earlier-note").textContent = `${count(found, "answer")}${words ? " found" : ""}${first}. ` +
      "Choose one to correct it: the next run trains on what you say.";
    one("earlier-found").replaceChildren(...images.map((said) => make("li", {}, make(
      "button",
      {
        type: "button", title: said.path, onclick: () => this.choose(said),
        "aria-label": `${said.path}: ${told(said)}, round ${said.round}, ${said.who}`,
      },
      make("img", { src: image(said.key, said.number), alt: "", loading: "lazy", decoding: "async" }),
      make("span", { className: "word", textContent: told(said) }),
      make("span", { className: "word soft", textContent: `round ${said.round} · ${said.who}` }),
    ))));
  }
}
