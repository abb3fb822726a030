// Sphinx leaves numbers out of a search; a reader looks for 429. conf.py puts them into the index.
document.addEventListener("DOMContentLoaded", () => {
  if (typeof Search === "undefined") return;
  const parse = Search._parseQuery;
  Search._parseQuery = query => {
    const parsed = parse(query);
    for (const number of query.match(/\b\d+\b/g) ?? []) {
      parsed[1].add(number);
      parsed[3].add(number);
    }
    return parsed;
  };
});
