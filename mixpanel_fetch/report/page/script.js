"use strict";

// Sorting and filtering only: without this script the page is complete.
(() => {
  const words = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

  const said = document.createElement("p");
  said.className = "unseen";
  said.setAttribute("role", "status");
  document.querySelector("main").append(said);

  // A cell says what it is sorted by in data-v, if not by its text. Nothing sorts last, always.
  const keyOf = (cell, isNumber) => {
    const text = cell.dataset.v ?? cell.textContent.trim();
    if (!isNumber) return text === "–" ? null : text;
    return text === "" ? null : Number(text);
  };

  const sort = (table, header, column, direction) => {
    const isNumber = header.dataset.sort === "number";
    const sign = direction === "ascending" ? 1 : -1;
    const body = table.tBodies[0];
    const rows = Array.from(body.rows, (row) => [keyOf(row.cells[column], isNumber), row]);
    rows.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      return sign * (isNumber ? a - b : words.compare(a, b));
    });
    body.append(...rows.map(([, row]) => row));
    for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", direction);
    said.textContent = `Sorted by ${header.textContent}, ${direction}`;
  };

  for (const table of document.querySelectorAll("table[data-sortable]")) {
    Array.from(table.tHead.rows[0].cells).forEach((header, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener("click", () => {
        const first = header.dataset.sort === "number" ? "descending" : "ascending";
        const other = first === "ascending" ? "descending" : "ascending";
        sort(table, header, column, header.getAttribute("aria-sort") === first ? other : first);
      });
    });
  }

  const input = document.getElementById("filter");
  if (input === null) return;
  const rows = Array.from(document.getElementById("property-table").tBodies[0].rows, (row) => [
    `${row.cells[0].textContent}\n${row.cells[2].textContent}`.toLowerCase(),
    row,
  ]);
  const filter = () => {
    const wanted = input.value.trim().toLowerCase();
    let shown = 0;
    for (const [text, row] of rows) {
      row.hidden = !text.includes(wanted);
      shown += !row.hidden;
    }
    const all = rows.length.toLocaleString("en");
    document.getElementById("filter-words").textContent =
      wanted === "" ? "" : `${shown.toLocaleString("en")} of ${all} properties`;
  };
  input.addEventListener("input", filter);
  input.closest(".filter").hidden = false;
  filter(); // a browser that goes back fills the field again
})();
