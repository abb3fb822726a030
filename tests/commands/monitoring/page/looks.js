// What is wrong with how a page looks: its texts, where each is, and whether a person can read them. Run in the page.
() => {
  const wrong = [];
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > width) wrong.push(`it scrolls sideways: ${document.documentElement.scrollWidth} > ${width}`);

  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const holder = node.parentElement;
    const unseen = holder.closest(".unseen, title, desc, style") || !holder.checkVisibility({ visibilityProperty: true });
    if (!node.data.trim() || unseen) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) texts.push({ words: node.data.trim().slice(0, 40), holder, box });
  }

  for (const { words, box } of texts) {
    if (box.width < 1 || box.height < 1) wrong.push(`no room for: ${words}`);
    if (box.left < -1 || box.right > width + 1) wrong.push(`beyond the edge: ${words}`);
  }
  // Lines of one text stand close together; letters are less high than their boxes.
  const inside = (one, other) => Math.min(one.right, other.right) - Math.max(one.left, other.left) > 2
    && Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top) > 0.35 * Math.min(one.height, other.height);
  texts.sort((one, other) => one.box.top - other.box.top);
  texts.forEach((one, place) => {
    for (let next = place + 1; next < texts.length && texts[next].box.top < one.box.bottom; next++) {
      if (inside(one.box, texts[next].box)) wrong.push(`one upon the other: ${one.words} | ${texts[next].words}`);
    }
  });

  const parts = colour => colour.match(/[\d.]+/g).map(Number);
  const light = colour => {
    const [red, green, blue] = parts(colour).map(value => value / 255).map(v => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const behind = element => {
    for (let here = element; here; here = here.parentElement) {
      const colour = getComputedStyle(here).backgroundColor;
      if (parts(colour)[3] !== 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const seen = new Map();
  for (const { words, holder } of texts) {
    const style = getComputedStyle(holder);
    const colour = holder.closest("svg") ? style.fill : style.color;
    const ground = behind(holder.closest("svg")?.parentElement ?? holder);
    const [dark, bright] = [light(colour), light(ground)].sort((one, other) => one - other);
    const ratio = (bright + 0.05) / (dark + 0.05);
    if (ratio < 4.5) seen.set(`${colour} on ${ground}`, `contrast ${ratio.toFixed(1)}: ${words}`);
  }
  wrong.push(...seen.values());

  const levels = [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].map(heading => Number(heading.tagName[1]));
  if (levels.filter(level => level === 1).length !== 1) wrong.push(`there is not one h1: ${levels}`);
  levels.forEach((level, place) => { if (place && level > levels[place - 1] + 1) wrong.push(`headings out of order: ${levels}`); });
  if (document.querySelector("th:not([scope]), table:not(:has(caption))")) wrong.push("a table without its heads or its name");
  for (const picture of document.querySelectorAll("svg")) {
    const names = picture.getAttribute("aria-labelledby").split(" ").map(id => document.getElementById(id));
    if (names.some(name => !name?.textContent)) wrong.push("a picture that nobody is told of");
  }
  const ids = [...document.querySelectorAll("[id]")].map(element => element.id);
  if (new Set(ids).size < ids.length) wrong.push("an id that is there twice");
  if (document.scripts.length || document.querySelector("[style], [onload], [onclick], link, img, iframe, object")) wrong.push("something that is to be run or fetched");
  if (window.forbidden) wrong.push(`forbidden by its own policy: ${window.forbidden}`);
  return { wrong, texts: texts.length, smallest: Math.min(...texts.map(({ box }) => box.height)) };
}
