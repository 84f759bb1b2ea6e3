// What a browser has made of the page: its boxes, and what stands where it should not. An expression for a test.
(() => {
  const CARDS = "header, section, .verdict, .tiles li";
  const seen = (item) => item.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  const laidOut = (item) => item.checkVisibility();
  const box = (rect) => [rect.left, rect.top, rect.right, rect.bottom];
  const cut = (one, two) => [
    Math.max(one[0], two[0]), Math.max(one[1], two[1]), Math.min(one[2], two[2]), Math.min(one[3], two[3]),
  ];
  const some = ([left, top, right, bottom], least = 0) => right - left > least && bottom - top > least;
  const name = (item) => `${item.tagName.toLowerCase()} ${item.getAttribute("aria-label") ?? item.textContent}`
    .replace(/\s+/g, " ").slice(0, 60);

  const faults = [];

  /** The part of a rectangle that the boxes around it let a reader see: some scroll, some end with an ellipsis. */
  function visible(rect, item) {
    for (let around = item; around.parentElement; around = around.parentElement) {
      const { overflowX, textOverflow } = getComputedStyle(around);
      if (overflowX === "visible") continue;
      const left = cut(rect, box(around.getBoundingClientRect()));
      if (overflowX === "hidden" && textOverflow !== "ellipsis" && rect.some((edge, at) => Math.abs(edge - left[at]) > 2)) {
        faults.push(`cut off: ${name(item)}`);
      }
      rect = left;
    }
    return rect;
  }

  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) faults.push(`page: ${root.scrollWidth} wide in ${root.clientWidth}`);

  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const item = node.parentElement;
    if (!node.data.trim() || !seen(item)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const rect of range.getClientRects()) {
      const part = visible(box(rect), item);
      if (some(part, 1)) texts.push({ node, item, part });
    }
  }

  for (const { item, part } of [
    ...texts,
    ...[...document.querySelectorAll("svg, img, pre, button, table, .scroll, .mix")].filter(seen)
      .map((item) => ({ item, part: visible(box(item.getBoundingClientRect()), item) })),
  ]) {
    const card = item.closest(CARDS);
    if (!card) continue;
    const inside = cut(part, box(card.getBoundingClientRect()));
    if (part.some((edge, at) => Math.abs(edge - inside[at]) > 1)) faults.push(`out of its card: ${name(item)}`);
  }

  for (const cell of document.querySelectorAll("tbody tr:first-child th + td")) {
    const part = visible(box(cell.getBoundingClientRect()), cell.parentElement);
    if (seen(cell) && !some(part, 10)) faults.push(`no value in sight: ${name(cell.closest("[role=region]"))}`);
  }

  texts.sort((one, two) => one.part[1] - two.part[1]);
  texts.forEach((one, at) => {
    for (const two of texts.slice(at + 1)) {
      if (two.part[1] > one.part[3]) break;
      if (one.node !== two.node && some(cut(one.part, two.part), 3)) {
        faults.push(`over each other: ${name(one.item)} | ${name(two.item)}`);
      }
    }
  });

  const shown = [...document.querySelectorAll(`${CARDS}, .scroll, .mix, svg, img, pre`)].filter(laidOut);
  return { faults, boxes: shown.map((item) => [name(item), ...box(item.getBoundingClientRect()).map(Math.round)]) };
})()
