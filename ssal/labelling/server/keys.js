// Which key does what. Letters that are commands are no class's key.

export const COMMANDS = { n: "none", t: "cannot_tell", s: "skipped", u: "undo", z: "zoom", g: "grid", h: "see", "?": "help", "/": "find", 0: "earlier" };
const CLASSES = [..."123456789abcdefijklmopqrvwxy"];

/** Return the key of the class with this number, or null where there are more classes than keys. */
export const keyOfClass = (number) => CLASSES[number] ?? null;

/** Return the number of the class that a key stands for, or -1. */
export const classOfKey = (key) => CLASSES.indexOf(key);

/** Return what was pressed, whatever the layout: where a key writes no Latin letter or digit its place counts. */
export function pressed(event) {
  const key = event.key.toLowerCase();
  if (/^[a-z0-9/?+\-=−]$/.test(key) || key.length > 1) return key;
  const place = /^(?:Key([A-Z])|(?:Digit|Numpad)([0-9]))$/.exec(event.code);
  return place ? (place[1] ?? place[2]).toLowerCase() : key;
}
