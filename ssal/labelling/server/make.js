// Small helpers for the document. Everything that comes from images, classes or people is set as text, never as markup.

export const one = (id) => document.getElementById(id);

/** Return a new element with properties and children, strings among them. */
export function make(tag, properties = {}, ...children) {
  const item = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role") item.setAttribute(name, value);
    else item[name] = value;
  }
  item.append(...children.filter((child) => child !== null));
  return item;
}

export const image = (key, number) => `/images/${key}/${number}`;

/** "1 image", "2 images". */
export const count = (number, word, words = `${word}s`) => `${number} ${number === 1 ? word : words}`;

const SAID = { none: "none of these", cannot_tell: "can’t tell", skipped: "skipped" };

/** What an answer is called. */
export const told = ({ kind, label }) => (kind === "label" ? label : SAID[kind]);
