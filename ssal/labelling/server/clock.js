// How long somebody has looked: not while the page is hidden, and of a pause its first minute alone.

const MOST_IDLE = 60_000;
const SIGNS = ["keydown", "pointerdown", "pointermove", "wheel", "scroll"];

export class Clock {
  #passed = 0;
  #last;
  #visible;
  #now;

  constructor(now = () => performance.now(), visible = true) {
    this.#now = now;
    this.#last = now();
    this.#visible = visible;
  }

  /** Count from here. */
  restart() {
    this.#passed = 0;
    this.#last = this.#now();
  }

  /** Somebody is there. */
  sign() {
    const now = this.#now();
    if (this.#visible) this.#passed += Math.min(now - this.#last, MOST_IDLE);
    this.#last = now;
  }

  /** The page is shown, or hidden. */
  show(visible) {
    this.sign();
    this.#visible = visible;
  }

  /** Return the seconds since the last restart, to a tenth. */
  seconds() {
    this.sign();
    return Math.round(this.#passed / 100) / 10;
  }

  /** Follow what happens on a page. */
  follow(page) {
    for (const name of SIGNS) page.addEventListener(name, () => this.sign(), { passive: true, capture: true });
    page.addEventListener("visibilitychange", () => this.show(!page.hidden));
    this.show(!page.hidden);
    return this;
  }
}
