// Centre bias: plain alignment metrics next to those on which a fixed map scores at chance.
const PLAIN = ["roc_auc", "nss", "lift", "mass"],
  CORRECTED = ["shuffled_auc", "information_gain", "object_auc", "object_auc_corrected"];

function tableOf(names, columns, cell) {
  return el(
    "table",
    {},
    el(
      "thead",
      {},
      el(
        "tr",
        {},
        el("th", { scope: "col" }, "method"),
        columns.map((column) => el("th", { scope: "col" }, column)),
      ),
    ),
    el(
      "tbody",
      {},
      names.map((name) =>
        el(
          "tr",
          { "data-method": name },
          el("th", { scope: "row" }, badge(kindOf(name)), methodLink(name)),
          columns.map((column) => cell(name, column)),
        ),
      ),
    ),
  );
}

function withInterval(row) {
  if (!row || row.mean === null || row.mean === undefined) return el("td", { class: "undefined" }, "undefined");
  return el(
    "td",
    { "data-mean": row.mean },
    told(row.mean),
    el("span", { class: "sub" }, row.low === null ? "no interval" : `${told(row.low)} to ${told(row.high)}`),
  );
}

function startCentre() {
  const found = cells("all");
  const columns = [...PLAIN, ...CORRECTED].filter(
    (label) => METRICS.has(label) && METRICS.get(label).axis === "alignment in space",
  );
  if (!columns.some((label) => CORRECTED.includes(label)) || !columns.some((label) => PLAIN.includes(label)))
    return absent(
      "centre-table",
      "This run lacks a plain metric (such as roc_auc) or a corrected one (such as shuffled_auc).",
    );
  const order = [...DATA.methods].sort((one, two) => (two.name === "centre") - (one.name === "centre"));
  const table = tableOf(
    order.map((method) => method.label),
    columns,
    (method, column) => withInterval(found.get(method)?.get(column)),
  );
  const head = el("tr", {}, el("td", {}), group("plain", PLAIN), group("corrected", CORRECTED));
  table.tHead.prepend(head);
  table.tBodies[0].append(
    el(
      "tr",
      { "data-method": "chance" },
      el("th", { scope: "row" }, "chance"),
      columns.map((column) => el("td", {}, told(level(found, column)))),
    ),
  );
  byId("centre-table").replaceChildren(table);
  byId("centre-words").textContent = centreWords(found, columns);

  function group(words, labels) {
    const span = columns.filter((column) => labels.includes(column)).length;
    return el("th", { class: "axis", colspan: span, scope: "colgroup" }, words);
  }
}

function level(found, column) {
  const known = [...found.values()]
    .map((rows) => rows.get(column)?.chance)
    .filter((value) => value !== null && value !== undefined);
  return known.length ? known.reduce((one, two) => one + two, 0) / known.length : null;
}

function centreWords(found, columns) {
  const centre = DATA.methods.find((method) => method.name === "centre");
  if (!centre)
    return (
      "This run does not include the control `centre`. " +
      "Add it to see how much plain metrics reward a blob in the middle of the frame."
    );
  const rows = found.get(centre.label) ?? new Map();
  const say = (label) => {
    const row = rows.get(label),
      chance = level(found, label);
    if (!row || row.mean === null || !columns.includes(label)) return null;
    const before = chance === null ? "" : `chance ${told(chance)}, `;
    return `${told(row.mean)} on ${label} (${before}${interval(row.low, row.high)})`;
  };
  const [plain, corrected] = [PLAIN, CORRECTED].map((labels) => labels.map(say).filter(Boolean).join(", "));
  const none = "no metric of this run";
  return (
    `A Gaussian in the middle of every frame (${centre.label}) scores, on plain metrics: ${plain || none}; ` +
    `on corrected metrics: ${corrected || none}.`
  );
}
