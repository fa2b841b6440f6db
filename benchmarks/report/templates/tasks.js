// Generality of each task as bars, and the exceptions.

const TASKS = { metric: null, of: "beats", text: "", most: 6 };

function drawTasks() {
  const rows = DATA.tasks.filter(
    (row) => `${row.metric} ${row.null}` === TASKS.metric && matches(row.task, TASKS.text),
  );
  const tasks = [...new Set(rows.map((row) => row.task))];
  const shown = tasks.slice(0, TASKS.most);
  byId("tasks-figure").replaceChildren(
    ...shown.map((task) => {
      const own = rows.filter((row) => row.task === task),
        box = el("div", {});
      requestAnimationFrame(() => responsive(box, (width) => drawBars(own, width)));
      const videos = Math.max(...own.map((row) => row.videos));
      return el(
        "figure",
        { "data-task": task },
        el(
          "figcaption",
          { dir: "auto" },
          task,
          " ",
          el("small", { dir: "ltr" }, `${videos} video${videos === 1 ? "" : "s"}, ${told(own[0].partners, 0)} partners each`),
        ),
        box,
      );
    }),
  );
  const few = TASKS.of === "beats" && rows.length && rows.every((row) => !row.beats_chance);
  byId("tasks-note").textContent = few
    ? "With fewer than 19 partner videos no map can beat its null at p ≤ .05: all shares are 0. " +
      "Select “above the median of the null”, or run more videos of each task."
    : "";
  if (!tasks.length)
    byId("tasks-figure").append(el("p", { class: "undefined" }, "No task matches the filter."));
  if (tasks.length > shown.length)
    byId("tasks-figure").append(
      el(
        "button",
        {
          type: "button",
          onclick: () => {
            TASKS.most += 24;
            drawTasks();
          },
        },
        `Show ${tasks.length - shown.length} more tasks`,
      ),
    );
}

function drawBars(rows, width) {
  const row = 17,
    names = 6 + Math.max(...rows.map((one) => widthOf(one.method))),
    right = width - 40;
  const x = linear(0, 1, names + 6, right),
    bottom = row * rows.length + 4,
    of = TASKS.of;
  const picture = svg("svg", {
    width,
    height: bottom + 18,
    role: "img",
    "aria-label": rows
      .map((one) => `${one.method} ${told(one[of])}, ${interval(one[`${of}_low`], one[`${of}_high`])}`)
      .join("; "),
  });
  rows.forEach((one, place) => {
    const y = row * place + 2,
      kind = kindOf(one.method),
      middle = y + row / 2;
    const partners = Math.floor(one.partners);
    const chance = of === "beats" ? one.beats_chance : Math.floor((partners + 1) / 2) / (partners + 1);
    picture.append(
      label(names, middle + 4, one.method, "end"),
      svg("rect", { x: x(0), y: y + 3, width: x(1) - x(0), height: row - 6, fill: "var(--track)" }),
      svg("rect", {
        x: x(0),
        y: y + 3,
        width: Math.max(x(one[of]) - x(0), 0),
        height: row - 6,
        fill: `var(--${kind})`,
        "fill-opacity": 0.75,
      }),
      one[`${of}_low`] === null
        ? svg("g")
        : svg("line", {
            x1: x(one[`${of}_low`]),
            x2: x(one[`${of}_high`]),
            y1: middle,
            y2: middle,
            stroke: "var(--ink)",
            "stroke-width": 1.2,
          }),
      chance === null
        ? svg("g")
        : svg("line", {
            x1: x(chance),
            x2: x(chance),
            y1: y + 1,
            y2: y + row - 1,
            stroke: "var(--ink)",
            "stroke-width": 1.6,
          }),
      label(right + 6, middle + 4, told(one[of]), "start", "soft"),
    );
  });
  for (const at of [0, 0.5, 1]) picture.append(label(x(at), bottom + 13, tickText(at), "middle", "soft"));
  return picture;
}

function startTasks() {
  if (!DATA.tasks.length)
    absent(
      "tasks-figure",
      "This run has no permutation nulls; set null_pairs to compute the share of a task's videos in which " +
        "a map beats chance.",
    );
  else {
    const kinds = [...new Set(DATA.tasks.map((row) => `${row.metric} ${row.null}`))].map((one) => [
      one,
      one
        .replace(/ pairing$/, ", null: annotation of other videos")
        .replace(/ shift$/, ", null: annotation shifted in time"),
    ]);
    TASKS.metric = kinds[0][0];
    if (DATA.tasks.every((row) => !row.beats_chance)) TASKS.of = "above"; // too few partners for a p of .05
    const set = (name) => (value) => {
      TASKS[name] = value;
      drawTasks();
    };
    byId("tasks-controls").append(
      choice("Metric", kinds, TASKS.metric, set("metric")),
      choice(
        "Share of videos",
        [
          ["beats", "above the null (p ≤ .05)"],
          ["above", "above the median of the null"],
        ],
        TASKS.of,
        set("of"),
      ),
      search("Filter tasks", set("text")),
    );
    drawTasks();
  }
  startExceptions();
}

function startExceptions() {
  const { rows, total } = DATA.exceptions;
  if (!total) return byId("exceptions").remove();
  const now = { method: "", task: "" };
  const draw = () => {
    const found = rows.filter(
      (row) => (!now.method || row.method === now.method) && (!now.task || row.task === now.task),
    );
    const shown = found.slice(0, 200);
    const line = (row) =>
      el(
        "tr",
        {},
        el("td", { dir: "auto" }, row.video),
        el("td", { dir: "auto" }, row.method),
        el("td", {}, `${row.metric} ${row.null}`.trim()),
        el("td", {}, told(row.value)),
        el("td", {}, told(row.null_median)),
        el("td", {}, told(row.p)),
        el("td", {}, row.correct === "" ? "" : row.correct === "True" ? "correct" : "wrong"),
        el(
          "td",
          {},
          DATA.samples.some((one) => one.id === row.sample)
            ? el("button", { type: "button", onclick: () => showSample(row.sample, row.method) }, "show")
            : null,
        ),
      );
    const heads = ["video", "method", "metric", "value", "null median", "p", "answer", ""];
    byId("exceptions-table").replaceChildren(
      el(
        "p",
        { class: "key" },
        `${found.length} of ${total}`,
        shown.length < found.length ? `; the first ${shown.length}` : "",
        ". All rows are in exceptions.csv.",
      ),
      el(
        "table",
        { class: "plain" },
        el(
          "thead",
          {},
          el(
            "tr",
            {},
            heads.map((head) => el("th", { scope: "col" }, head)),
          ),
        ),
        el("tbody", {}, shown.map(line)),
      ),
    );
  };
  const all = (name) => [["", "all"], ...[...new Set(rows.map((row) => row[name]))].map((one) => [one, one])];
  byId("exceptions-controls").append(
    choice("Method", all("method"), "", (value) => {
      now.method = value;
      draw();
    }),
    choice("Task", all("task"), "", (value) => {
      now.task = value;
      draw();
    }),
  );
  draw();
}
