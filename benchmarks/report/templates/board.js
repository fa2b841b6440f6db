// The leaderboard: sorted by any column, filtered by text and kind, intervals as dot and whisker.
const BOARD = { subset: "all", columns: "primary", text: "", kinds: new Set(Object.keys(KINDS)), by: null, best: true };
const WIDE = 104;

// Rows of a subset: method -> metric's key -> its numbers by name.
function cells(subset) {
  const found = new Map();
  for (const [method, key, control, ...numbers] of DATA.board.rows[subset] ?? []) {
    const row = Object.fromEntries(DATA.board.columns.map((name, place) => [name, numbers[place]]));
    if (!found.has(method)) found.set(method, new Map());
    found.get(method).set(key, { ...row, control });
  }
  return found;
}

function boardColumns() {
  const wanted = DATA.metrics.filter(
    (metric) =>
      BOARD.columns === "all" || metric.axis === BOARD.columns || (BOARD.columns === "primary" && metric.primary),
  );
  return BOARD.subset === "gated" ? wanted.filter((metric) => !metric.imputer) : wanted;
}

function boardRows(found, columns) {
  const rows = DATA.methods.filter(
    (method) => BOARD.kinds.has(method.kind) && matches(method.label, BOARD.text) && found.has(method.label),
  );
  if (BOARD.by === "method") rows.sort((one, two) => one.label.localeCompare(two.label) * (BOARD.best ? 1 : -1));
  else if (BOARD.by !== null && columns.some((metric) => metric.key === BOARD.by)) {
    const face = (METRICS.get(BOARD.by).direction === "high" ? -1 : 1) * (BOARD.best ? 1 : -1);
    const value = (method) => found.get(method.label).get(BOARD.by)?.mean ?? null;
    const rank = (one, two) => (value(one) === null) - (value(two) === null) || face * (value(one) - value(two));
    rows.sort(rank);
  }
  return rows;
}

function drawBoard() {
  const found = cells(BOARD.subset),
    columns = boardColumns();
  const rows = boardRows(found, columns);
  const table = el(
    "table",
    {},
    boardHead(columns),
    el(
      "tbody",
      {},
      rows.map((method) =>
        el(
          "tr",
          { "data-method": method.label },
          el("th", { scope: "row", title: method.says }, badge(method.kind), methodLink(method.label)),
          columns.map((metric) => boardCell(found, rows, method, metric)),
        ),
      ),
    ),
  );
  byId("board").replaceChildren(
    columns.length && rows.length ? table : el("p", { class: "undefined" }, "No row matches the filter."),
  );
  drawBoardKey(found, columns);
}

function boardHead(columns) {
  const axes = [];
  for (const metric of columns) {
    if (axes.at(-1)?.axis === metric.axis) axes.at(-1).span += 1;
    else axes.push({ axis: metric.axis, span: 1 });
  }
  return el(
    "thead",
    {},
    el(
      "tr",
      {},
      el("td", {}),
      axes.map((each) => el("th", { class: "axis", colspan: each.span, scope: "colgroup" }, each.axis)),
    ),
    el(
      "tr",
      {},
      sortable("method", "method", "", "in alphabetical order"),
      columns.map((metric) =>
        sortable(
          metric.key,
          `${metric.label} ${metric.direction === "high" ? "↑" : "↓"}`,
          metric.imputer,
          `${metric.says} Chance: ${metric.chance}.`,
        ),
      ),
    ),
  );
}

function sortable(key, text, sub, title) {
  const sorted = BOARD.by === key;
  const high = key === "method" ? !BOARD.best : (METRICS.get(key).direction === "high") === BOARD.best;
  const click = () => {
    BOARD.best = sorted ? !BOARD.best : true;
    BOARD.by = key;
    drawBoard();
    byId("board")
      .querySelector(`[data-key="${CSS.escape(key)}"]`)
      ?.focus();
    announce(`sorted by ${text} ${sub}, ${BOARD.best ? "best" : "worst"} first`);
  };
  return el(
    "th",
    { scope: "col", "aria-sort": sorted ? (high ? "descending" : "ascending") : null },
    el(
      "button",
      { type: "button", title, "data-key": key, onclick: click },
      text,
      sorted ? (BOARD.best ? " ▾" : " ▴") : "",
      sub ? el("span", { class: "sub" }, sub) : null,
    ),
  );
}

function boardCell(found, rows, method, metric) {
  const row = found.get(method.label).get(metric.key);
  if (!row || row.mean === null) return el("td", { class: "undefined" }, "undefined");
  const all = rows.map((one) => found.get(one.label).get(metric.key)).filter((one) => one && one.mean !== null);
  const means = all.map((one) => one.mean);
  const best = metric.direction === "high" ? Math.max(...means) : Math.min(...means);
  const words =
    `${method.label}, ${metric.key}: ${told(row.mean)}, ${interval(row.low, row.high)}, ${row.videos} videos` +
    (row.undefined ? `, ${row.undefined} undefined` : "") +
    (row.chance === null ? "" : `, chance ${told(row.chance)}`) +
    (row.control ? `, best control ${row.control} ${told(row.control_mean)}` : "") +
    (row.p_holm === null ? "" : `, beats every control: p ${told(row.p_holm, 3)} after Holm`);
  return el(
    "td",
    { title: words, "data-key": metric.key, "data-mean": row.mean },
    el(
      "div",
      { class: "cell" },
      el(row.mean === best && row.videos >= DATA.few ? "b" : "span", {}, told(row.mean)),
      el("span", { class: "star" }, row.p_holm !== null && row.p_holm < 0.05 && row.videos >= DATA.few ? "*" : ""),
      whisker(row, all, method.kind, words),
    ),
  );
}

function whisker(row, all, kind, words) {
  const control = all.map((one) => one.control_mean).find((value) => value !== null) ?? null;
  const [low, high] = extent(all.flatMap((one) => [one.mean, one.low, one.high, one.chance]).concat(control));
  const x = linear(low, high, 4, WIDE - 4);
  const chance = all.reduce((sum, one) => sum + (one.chance ?? NaN), 0) / all.length;
  return svg(
    "svg",
    { width: WIDE, height: 16, role: "img", "aria-label": words },
    svg("line", { class: "rule", x1: 0, x2: WIDE, y1: 8, y2: 8 }),
    Number.isFinite(chance) ? svg("line", { class: "chance", x1: x(chance), x2: x(chance), y1: 0, y2: 16 }) : null,
    control === null
      ? null
      : svg("line", { x1: x(control), x2: x(control), y1: 2, y2: 14, stroke: "var(--control)", "stroke-width": 1.2 }),
    row.low === null
      ? null
      : svg("line", { x1: x(row.low), x2: x(row.high), y1: 8, y2: 8, stroke: `var(--${kind})`, "stroke-width": 2 }),
    mark(kind, x(row.mean), 8, 3.6),
  );
}

function drawBoardKey(found, columns) {
  const best = columns
    .map((metric) => {
      const row = [...found.values()].map((one) => one.get(metric.key)).find((one) => one?.control);
      return row ? `${metric.key}: ${row.control} ${told(row.control_mean)}` : null;
    })
    .filter(Boolean);
  const few = fewVideos(DATA.board.subsets.find((one) => one.name === BOARD.subset)?.videos ?? 0);
  byId("board-key").replaceChildren(
    few ? el("strong", {}, `${few} Nothing is marked as best. `) : "",
    badge("method"),
    "method  ",
    badge("control"),
    "control, which ignores the model  ",
    badge("bound"),
    "upper bound, built from the annotation. Dashed line: chance; solid line: best control",
    best.length ? ` (${best.join("; ")})` : "",
    ". Bold: best of the visible rows. *: beats every control (sign-flip test over videos, " +
      "Holm over the primary metrics, p < .05).",
    DATA.board.left_out ? ` The ${DATA.board.left_out} tasks with the fewest videos are only in leaderboard.csv.` : "",
  );
}

function startBoard() {
  if (!DATA.metrics.some((metric) => metric.primary)) BOARD.columns = "all";
  const axes = [...new Set(DATA.metrics.map((metric) => metric.axis))];
  const sets = [["primary", "primary metrics"], ...axes.map((axis) => [axis, axis]), ["all", "all metrics"]];
  const subsets = DATA.board.subsets.map((one) => [
    one.name,
    `${one.title} (${one.videos} video${one.videos === 1 ? "" : "s"})`,
  ]);
  const set = (name) => (value) => {
    BOARD[name] = value;
    drawBoard();
  };
  byId("board-controls").append(
    choice("Questions", subsets, BOARD.subset, set("subset")),
    choice("Columns", sets, BOARD.columns, set("columns")),
    search("Filter methods", set("text")),
    el(
      "span",
      { class: "group", role: "group", "aria-label": "Kinds of rows" },
      Object.entries(KINDS).map(([kind, words]) =>
        toggle(
          words,
          true,
          (on) => {
            BOARD.kinds[on ? "add" : "delete"](kind);
            drawBoard();
          },
          { "data-kind": kind },
        ),
      ),
    ),
  );
  BOARD.by = boardColumns()[0]?.key ?? null;
  drawBoard();
}
