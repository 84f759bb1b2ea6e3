"use strict";
// Lets a reader sort the page's tables and save them as CSV. The page says everything without it.
(() => {
  const NUMBER = "([+−-]?\\d[\\d.]*(?:e[+-]?\\d+)?|not reached)";
  const SINGLE = new RegExp(`^${NUMBER}$`);
  const PAIR = new RegExp(`^${NUMBER} (±|to) ${NUMBER}$`);

  /** What a cell says: its data-value, or its text without what stands there for the eye or as a note. */
  function words(cell) {
    if (cell.dataset.value !== undefined) return cell.dataset.value;
    const copy = cell.cloneNode(true);
    const beside = cell.scope === "row" ? "[aria-hidden], .soft" : "[aria-hidden]";
    for (const item of copy.querySelectorAll(beside)) item.remove();
    return copy.textContent.trim();
  }

  /** Numbers with the minus sign that other programs read; a dash stands for nothing. */
  function plain(text) {
    if (text === "–") return "";
    return SINGLE.test(text) ? text.replace("−", "-").replace("+", "") : text;
  }

  /** The cell of a row in a column; one that spans several columns says its sentence in the first only. */
  function cellText(row, column) {
    return column < row.cells.length ? words(row.cells[column]) : "";
  }

  /** [rank, value]: numbers come before words, of "76.0 ± 5.9" the first counts; nothing has rank 2. */
  function sortKey(row, column) {
    const text = row.cells[column]?.colSpan > 1 ? "" : cellText(row, column);
    const value = plain(PAIR.exec(text)?.[1] ?? text);
    if (value === "") return [2, ""];
    return Number.isNaN(Number(value)) ? [1, value] : [0, Number(value)];
  }

  function compare([rank, value], [otherRank, other]) {
    if (rank !== otherRank) return rank - otherRank;
    return rank === 0 ? value - other : value.localeCompare(other, "en", { numeric: true });
  }

  /** Sorts upwards, or downwards where it was upwards; equal rows stay as they are and empty cells last. */
  function sort(table, column) {
    const headings = table.tHead.rows[0].cells;
    const sign = headings[column].getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const heading of headings) heading.removeAttribute("aria-sort");
    headings[column].setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
    const keyed = [...table.tBodies[0].rows].map((row) => [sortKey(row, column), row]);
    keyed.sort(([one], [two]) => (one[0] === 2 || two[0] === 2 ? one[0] - two[0] : sign * compare(one, two)));
    table.tBodies[0].append(...keyed.map(([, row]) => row));
  }

  function makeSortable(table) {
    [...table.tHead.rows[0].cells].forEach((heading, column) => {
      if ([...table.tBodies[0].rows].every((row) => cellText(row, column) === "")) return;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...heading.childNodes);
      button.addEventListener("click", () => sort(table, column));
      heading.append(button);
    });
  }

  /** A column of the table as columns of the file, [name, value, …] each: notes and spreads get their own. */
  function fileColumns(heading, column, rows) {
    const texts = rows.map((row) => cellText(row, column));
    const name = heading.dataset.name ?? words(heading);
    const pairs = texts.map((text) => (column ? PAIR.exec(text) : null));
    const divider = pairs.find((pair) => pair)?.[2];
    if (texts.every((text) => text === "")) return [];
    if (divider) {
      const [first, second] = divider === "±" ? [name, `${name}, ±`] : [`${name}, low`, `${name}, high`];
      return [
        [first, ...pairs.map((pair, at) => plain(pair ? pair[1] : texts[at]))],
        [second, ...pairs.map((pair) => plain(pair ? pair[3] : ""))],
      ];
    }
    const notes = rows.map((row) => row.cells[column]?.querySelector(":scope[scope=row] > .soft")?.textContent ?? "");
    const columns = [[name, ...(column ? texts.map(plain) : texts)]];
    return notes.some(Boolean) ? [...columns, [`${name}, note`, ...notes]] : columns;
  }

  function csvOf(table) {
    const rows = [...table.tBodies[0].rows];
    const columns = [...table.tHead.rows[0].cells].flatMap((heading, at) => fileColumns(heading, at, rows));
    const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    return columns[0].map((_, line) => columns.map((values) => quoted(values[line])).join(",") + "\n").join("");
  }

  /** Puts a button below `item` that saves the text under the recipe's name and `name`. */
  function addSave(item, name, text) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "save";
    button.textContent = "CSV";
    button.setAttribute("aria-label", `CSV: ${name}`);
    button.addEventListener("click", () => {
      const link = document.createElement("a");
      const whole = `${document.querySelector("h1").textContent} ${name}`;
      link.download = `${whole.replace(/[^\p{L}\p{N}._]+/gu, "-").slice(0, 120)}.csv`;
      link.href = URL.createObjectURL(new Blob([text()], { type: "text/csv;charset=utf-8" }));
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    });
    const both = document.createElement("div");
    item.replaceWith(both);
    both.append(item, button);
  }

  for (const table of document.querySelectorAll("table")) {
    const region = table.closest("[role=region]");
    if (!table.matches(".heat, .mix table") && table.tBodies[0].rows.length > 1) makeSortable(table);
    addSave(region, region.getAttribute("aria-label"), () => csvOf(table));
  }
  const rows = document.getElementById("rows");
  if (rows) addSave(rows, "results", () => rows.textContent);
})();
