// Deletion and insertion curves: a small panel for each method, all on one scale.

const CURVES = {
  removal: {
    most_first: ["most salient first", "var(--most)", null],
    least_first: ["least salient first", "var(--least)", "5 2"],
  },
  insertion: { insertion: ["most salient put back first", "var(--most)", null] },
};

function drawCurve(rows, chance, now, ends, width) {
  const height = 132,
    left = 30,
    bottom = height - 22;
  const x = linear(0, 1, left, width - 6),
    y = linear(...ends, bottom, 6);
  const picture = svg("svg", {
    width,
    height,
    role: "img",
    "aria-label": rows
      .map((row) => `${row.order.replace("_", " ")}: ${row[now.of].map(([mean]) => told(mean)).join(", ")}`)
      .join("; "),
  });
  for (const at of ticks(...ends, 4))
    picture.append(
      svg("line", { class: "rule", x1: left, x2: width - 6, y1: y(at), y2: y(at) }),
      label(left - 4, y(at) + 4, tickText(at), "end", "soft"),
    );
  for (const at of [0, 0.5, 1])
    picture.append(label(x(at), bottom + 14, `${at * 100} %`, at ? (at === 1 ? "end" : "middle") : "start", "soft"));
  const path = (values) =>
    values.map(([at, value], place) => `${place ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  for (const row of chance)
    picture.append(
      svg("path", {
        d: path(known(row[now.of], 0)),
        fill: "none",
        stroke: "var(--chance)",
        "stroke-width": 1.2,
        "stroke-dasharray": "2 3",
      }),
    );
  for (const row of rows) {
    const [words, colour, dashes] = CURVES[now.what][row.order];
    const high = known(row[now.of], 2),
      low = known(row[now.of], 1).reverse();
    if (high.length)
      picture.append(
        svg("path", { d: `${path(high)}${path(low).replace("M", "L")}Z`, fill: colour, "fill-opacity": 0.16 }),
      );
    picture.append(
      svg(
        "path",
        {
          d: path(known(row[now.of], 0)),
          fill: "none",
          stroke: colour,
          "stroke-width": 1.8,
          "stroke-dasharray": dashes,
        },
        svg("title", {}, words),
      ),
    );
  }
  return picture;
}

function known(values, place) {
  return values.map((each, step) => [DATA.curves.steps[step], each[place]]).filter(([, value]) => value !== null);
}

function drawCurves(now) {
  const of = (method) =>
    DATA.curves.rows.filter(
      (row) => row.method === method && row.imputer === now.imputer && row.order in CURVES[now.what],
    );
  const shown = DATA.methods.filter((method) => of(method.label).length);
  const ends = extent(
    shown.flatMap((method) => of(method.label)).flatMap((row) => row[now.of].flat()),
    0.03,
  );
  const counts = new Set(shown.flatMap((method) => of(method.label)).map((row) => row.videos)),
    count = counts.size === 1 ? [...counts][0] : null;
  byId("curves-figure").replaceChildren(
    ...shown.map((method) => {
      const box = el("div", {}),
        rows = of(method.label);
      const figure = el(
        "figure",
        { "data-method": method.label },
        el(
          "figcaption",
          {},
          badge(method.kind),
          method.label,
          " ",
          el("small", {}, count === null ? `${rows[0].videos} videos` : ""),
        ),
        box,
      );
      requestAnimationFrame(() => responsive(box, (width) => drawCurve(rows, of(""), now, ends, width)));
      return figure;
    }),
  );
  const line = (colour, dashes) =>
    svg(
      "svg",
      { class: "dot", width: 26, height: 8, style: "width:26px", "aria-hidden": "true" },
      svg("line", { x1: 0, x2: 24, y1: 5, y2: 5, stroke: colour, "stroke-width": 2, "stroke-dasharray": dashes }),
    );
  byId("curves-key").replaceChildren(
    ...Object.values(CURVES[now.what]).flatMap(([words, colour, dashes]) => [line(colour, dashes), `${words}  `]),
    line("var(--chance)", "2 3"),
    `random order. Horizontal: share of cells ${now.what === "removal" ? "removed" : "put back"}; `,
    `vertical: ${now.of === "log_odds" ? "log-odds of the explained option, in nats" : "probability of the explained option"}.`,
    count === null ? "" : ` ${count} video${count === 1 ? "" : "s"}.`,
  );
}

function startCurves() {
  const rows = DATA.curves.rows;
  if (!rows.length)
    return absent(
      "curves-figure",
      "This run has no curves: no metric removes parts of the video (srg, deletion, insertion, " +
        "comprehensiveness, sufficiency), or an older version of attrib wrote the run.",
    );
  const imputers = [...new Set(rows.map((row) => row.imputer))];
  const whats = Object.keys(CURVES).filter((what) => rows.some((row) => row.method && row.order in CURVES[what]));
  const now = { imputer: imputers[0], what: whats[0], of: "log_odds" };
  const set = (name) => (value) => {
    now[name] = value;
    drawCurves(now);
  };
  byId("curves-controls").append(
    choice(
      "Removal by",
      imputers.map((name) => [name, name]),
      now.imputer,
      set("imputer"),
    ),
    choice(
      "Show",
      whats.map((name) => [name, name === "removal" ? "removal (deletion)" : "insertion"]),
      now.what,
      set("what"),
    ),
    choice(
      "Scale",
      [
        ["log_odds", "log-odds"],
        ["probability", "probability"],
      ],
      now.of,
      set("of"),
    ),
  );
  drawCurves(now);
}
