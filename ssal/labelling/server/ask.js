// Asking the server. Nothing that was answered is given up: until the server says that it is on disk, it is sent again.

import { one } from "./make.js";

const PATIENCE = 1500;

/** The server understood and says no; `status` is why. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Show what stands in the way, or nothing. */
export function trouble(text) {
  one("trouble").textContent = text ?? "";
  one("trouble").hidden = !text;
}

/** Send `body` to /api/`path` and return the answer; without a body only ask. Waits as long as the server is away. */
export async function ask(path, body, waiting = "") {
  for (;;) {
    let answer, found;
    try {
      answer = await fetch(`/api/${path}`, body === undefined ? {} : {
        method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
      });
      found = await answer.json();
    } catch {
      trouble(`${waiting} The page’s server does not answer. Type ssal label again in the terminal; this page goes on by itself.`);
      await new Promise((ready) => setTimeout(ready, PATIENCE));
      continue;
    }
    if (answer.ok) {
      trouble(null);
      return found;
    }
    if (answer.status < 500) throw new Refused(answer.status, found.error);
    trouble(`${waiting} ${found.error}`);
    await new Promise((ready) => setTimeout(ready, PATIENCE));
  }
}
