"use strict";
// The table of latents: sorting, search and pagination. Rows are indices into the columns.
(() => {
  const PAGE = 50;
  const OPERATORS = {
    "<": (a, b) => a < b,
    "<=": (a, b) => a <= b,
    ">": (a, b) => a > b,
    ">=": (a, b) => a >= b,
    "=": (a, b) => a === b,
  };
  const find = (id) => document.getElementById(id);
  const { names, links, columns } = JSON.parse(find("listed").textContent);
  const column = Object.fromEntries(columns.map((each) => [each.key, each]));
  const everyRow = column.latent.values.map((_, row) => row);
  const state = { order: everyRow, shown: everyRow, page: 0, sorted: null, descending: false };

  const counted = (number) => number.toLocaleString("en-US");

  function spanning(value) {
    if (value === 0) return "0";
    return (value < 1e-3 ? value.toExponential(1) : value.toPrecision(3)).replace("-", "−");
  }

  function format({ key, digits, values, cosines }, row) {
    const value = values[row];
    if (value === null) return "–";
    if (key === "seed") return names[value];
    if (typeof value === "string") return value;
    if (cosines) return `${value} (${cosines[row].toFixed(2).replace("-", "−")})`;
    if (digits < 0) return spanning(value);
    return (digits ? value.toFixed(digits) : String(value)).replace("-", "−");
  }

  // Stable, so that one can sort by one column and then by another.
  // Unknown values are last in both directions.
  function sortBy(key) {
    state.descending = state.sorted === key && !state.descending;
    state.sorted = key;
    const values = column[key].cosines ?? column[key].values;
    const sign = state.descending ? -1 : 1;
    state.order = [...state.order].sort((a, b) => {
      const [x, y] = [values[a], values[b]];
      if (x === null || y === null) return (x === null) - (y === null);
      return sign * (typeof x === "string" ? x.localeCompare(y) : x - y);
    });
    filter();
  }

  function escaped(text) {
    return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  }

  // Removes a pattern from the query and adds its condition.
  function take(query, pattern, conditions, meaning) {
    return query.replace(pattern, (...found) => {
      conditions.push(meaning(...found));
      return " ";
    });
  }

  // A dictionary named 3 must not hide latent 3.
  function asked(name) {
    const label = name.trim().replace(/\s+/g, " ");
    return /^[\d\s.–-]*$/.test(label) ? `dictionary ${label}` : label;
  }

  function labeled(text) {
    const wanted = text.trim();
    return (row) => asked(names[column.seed.values[row]]).toLowerCase() === wanted;
  }

  function compared(key, operator, number) {
    const { values } = column[key];
    return (row) => values[row] !== null && OPERATORS[operator](values[row], Number(number));
  }

  function within(low, high) {
    const { values } = column.latent;
    return (row) => values[row] >= Number(low) && values[row] <= Number(high);
  }

  // Conditions of the query, and the rest that was not understood.
  function parse(text) {
    const conditions = [];
    let rest = ` ${text.toLowerCase().replace(/\s+/g, " ")} `;
    const labels = [...new Set(names.map(asked))].sort((a, b) => b.length - a.length);
    const label = labels.map((name) => escaped(name.toLowerCase())).join("|");
    const keys = searched().join("|");
    const number = "(-?\\d*\\.?\\d+(?:e-?\\d+)?)(?=\\s)";
    rest = take(rest, new RegExp(`\\s(?:${label})(?=\\s)`, "g"), conditions, (found) => labeled(found));
    rest = take(
      rest,
      new RegExp(`\\s(${keys})\\s*(<=|>=|<|>|=)\\s*${number}`, "g"),
      conditions,
      (_, key, operator, value) => compared(key, operator, value),
    );
    rest = take(rest, /\s(?:latent\s+)?(\d+)\s*[-–]\s*(\d+)(?=\s)/g, conditions, (_, low, high) =>
      within(low, high),
    );
    rest = take(rest, /\s(?:latent\s+)?(\d+)(?=\s)/g, conditions, (_, one) => within(one, one));
    return { conditions, unknown: rest.trim().replace(/\s+/g, " ") };
  }

  function searched() {
    return columns.filter(({ key, cosines }) => key !== "seed" && key !== "context" && !cosines).map(({ key }) => key);
  }

  function filter() {
    const { conditions, unknown } = parse(find("search").value);
    state.shown = state.order.filter((row) => conditions.every((holds) => holds(row)));
    if (unknown) state.shown = [];
    state.page = 0;
    const number = counted(state.shown.length);
    find("search-said").textContent = unknown
      ? `Not understood: ${unknown}`
      : `${number} of ${counted(everyRow.length)} rows`;
    draw();
  }

  function small(text) {
    const element = document.createElement("small");
    element.textContent = text;
    return element;
  }

  // The number of a latent links to its page, where its dictionary has one.
  function linked({ key, values }, row) {
    const home = links[column.seed.values[row]];
    if (key !== "latent" || !home) return null;
    const element = document.createElement("a");
    element.href = `${home}/${values[row]}`;
    element.rel = "noopener noreferrer";
    element.textContent = values[row];
    return element;
  }

  function rowElement(row) {
    const element = document.createElement("tr");
    for (const each of columns) {
      const cell = document.createElement(each.key === "seed" ? "th" : "td");
      cell.append(linked(each, row) ?? format(each, row));
      if (each.more?.[row]) cell.append(small(`nearest ${each.more[row]}`));
      if (each.key === "context") cell.className = "text path";
      element.append(cell);
    }
    element.firstChild.scope = "row";
    return element;
  }

  function draw() {
    const pages = Math.max(1, Math.ceil(state.shown.length / PAGE));
    const start = state.page * PAGE;
    const rows = state.shown.slice(start, start + PAGE);
    document.querySelector("#latent-table tbody").replaceChildren(...rows.map(rowElement));
    for (const heading of document.querySelectorAll("#latent-table thead th")) {
      const direction = state.descending ? "descending" : "ascending";
      heading.setAttribute("aria-sort", heading.dataset.key === state.sorted ? direction : "none");
    }
    find("place").textContent = `page ${counted(state.page + 1)} of ${counted(pages)}`;
    find("first").disabled = find("previous").disabled = state.page === 0;
    find("next").disabled = find("last").disabled = state.page === pages - 1;
  }

  function turnTo(page) {
    const last = Math.max(0, Math.ceil(state.shown.length / PAGE) - 1);
    state.page = Math.min(Math.max(page, 0), last);
    draw();
  }

  function heading({ key, title }) {
    const element = document.createElement("th");
    const button = document.createElement("button");
    element.scope = "col";
    element.dataset.key = key;
    button.type = "button";
    button.textContent = title;
    button.addEventListener("click", () => sortBy(key));
    element.append(button);
    return element;
  }

  // In print, all details are open.
  window.addEventListener("beforeprint", () => {
    for (const folded of document.querySelectorAll("details")) folded.open = true;
  });
  document.querySelector("#latent-table thead tr").append(...columns.map(heading));
  find("named").textContent = asked(names[names.length - 1]);
  find("keys").textContent = searched().join(", ");
  find("search").addEventListener("input", filter);
  find("first").addEventListener("click", () => turnTo(0));
  find("previous").addEventListener("click", () => turnTo(state.page - 1));
  find("next").addEventListener("click", () => turnTo(state.page + 1));
  find("last").addEventListener("click", () => turnTo(Infinity));
  filter();
})();
