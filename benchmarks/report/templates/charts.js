// Figures: the plane of faithfulness and alignment, ranks with their cliques, deletion and insertion curves.

function points(x, y) {
  const found = cells("all");
  return DATA.methods.flatMap((method) => {
    const [one, two] = [found.get(method.label)?.get(x), found.get(method.label)?.get(y)];
    return one && two && one.mean !== null && two.mean !== null ? [{ label: method.label, kind: method.kind, x: one, y: two }] : [];
  });
}

function drawPlane(x, y, width) {
  const found = points(x, y), height = Math.max(320, Math.min(480, width * 0.6));
  if (!found.length) return el("p", { class: "undefined" }, "No method has both numbers.");
  const ends = (axis) => extent(found.flatMap((one) => [one[axis].mean, one[axis].low, one[axis].high, one[axis].chance]), 0.04);
  const [left, bottom] = [46, height - 40];
  const sx = linear(...ends("x"), left, width - 12), sy = linear(...ends("y"), bottom, 12);
  const picture = svg("svg", { width, height, role: "img", "aria-label": `${y} against ${x}: ${found.map((one) => `${one.label} ${told(one.x.mean)}, ${told(one.y.mean)}`).join("; ")}` });
  for (const at of ticks(...ends("x"))) picture.append(svg("line", { class: "rule", x1: sx(at), x2: sx(at), y1: 12, y2: bottom }), label(sx(at), bottom + 15, tickText(at), "middle", "soft"));
  for (const at of ticks(...ends("y"))) picture.append(svg("line", { class: "rule", x1: left, x2: width - 12, y1: sy(at), y2: sy(at) }), label(left - 6, sy(at) + 4, tickText(at), "end", "soft"));
  const level = (axis) => { const known = found.map((one) => one[axis].chance).filter((value) => value !== null); return known.length ? known.reduce((a, b) => a + b, 0) / known.length : null; };
  if (level("x") !== null) picture.append(svg("line", { class: "chance", x1: sx(level("x")), x2: sx(level("x")), y1: 12, y2: bottom }));
  if (level("y") !== null) picture.append(svg("line", { class: "chance", x1: left, x2: width - 12, y1: sy(level("y")), y2: sy(level("y")) }));
  picture.append(label(width - 12, height - 6, `${x} ${arrow(x)}`, "end"), label(4, 9, `${y} ${arrow(y)}`, "start"));
  for (const one of found) {
    const stroke = { stroke: `var(--${one.kind})`, "stroke-width": 1, "stroke-opacity": 0.4 };
    if (one.x.low !== null) picture.append(svg("line", { x1: sx(one.x.low), x2: sx(one.x.high), y1: sy(one.y.mean), y2: sy(one.y.mean), ...stroke }));
    if (one.y.low !== null) picture.append(svg("line", { x1: sx(one.x.mean), x2: sx(one.x.mean), y1: sy(one.y.low), y2: sy(one.y.high), ...stroke }));
  }
  const at = found.map((one) => ({ ...one, px: sx(one.x.mean), py: sy(one.y.mean) }));
  for (const one of at) {
    const shape = mark(one.kind, one.px, one.py, 4.5);
    shape.append(svg("title", {}, `${one.label}: ${x} ${told(one.x.mean)} (${interval(one.x.low, one.x.high)}), ${y} ${told(one.y.mean)} (${interval(one.y.low, one.y.high)})`));
    picture.append(shape);
  }
  picture.append(...placed(at, width, bottom));
  return picture;
}

function arrow(key) {
  return METRICS.get(key).direction === "high" ? "(high is best)" : "(low is best)";
}

function label(x, y, text, anchor = "start", kind = "") {
  return svg("text", { x, y, "text-anchor": anchor, class: kind }, text);
}

// Names beside their points, each at the first place where it touches no name and no point; far ones with a leader.
function placed(found, width, bottom) {
  const boxes = found.map((one) => ({ x: one.px - 6, y: one.py - 6, w: 12, h: 12 })), shapes = [];
  const free = (box) => box.x >= 2 && box.x + box.w <= width && box.y >= 0 && box.y + box.h <= bottom &&
    boxes.every((one) => box.x >= one.x + one.w || box.x + box.w <= one.x || box.y >= one.y + one.h || box.y + box.h <= one.y);
  for (const one of [...found].sort((a, b) => a.py - b.py)) {
    const w = one.label.length * 6.1 + 4, h = 13;
    const places = [0, 12, 24, 38, 54].flatMap((away) => [[9 + away, -6.5 - away * 0.4], [9 + away, -6.5 + away * 0.6], [-w - 9 - away, -6.5 - away * 0.4], [-w - 9 - away, -6.5 + away * 0.6], [-w / 2, -20 - away], [-w / 2, 8 + away]]
      .map(([dx, dy]) => ({ x: one.px + dx, y: one.py + dy, w, h, away })));
    const box = places.find(free) ?? places[0];
    boxes.push(box);
    if (box.away > 0) shapes.push(svg("line", { x1: one.px, y1: one.py, x2: Math.min(Math.max(one.px, box.x), box.x + w), y2: Math.min(Math.max(one.py, box.y), box.y + h), stroke: "var(--soft)", "stroke-width": 0.6 }));
    shapes.push(svg("text", { x: box.x + 2, y: box.y + 10.5, stroke: "var(--paper)", "stroke-width": 3, "paint-order": "stroke" }, one.label));
  }
  return shapes;
}

function startPlane() {
  const keys = (wanted) => DATA.metrics.filter(wanted).map((metric) => [metric.key, metric.key]);
  const xs = keys((metric) => metric.axis === "faithfulness"), ys = keys((metric) => metric.axis !== "faithfulness");
  if (!xs.length || !ys.length) return absent("plane-figure", "This run measures one of the two axes only.");
  const first = (all, names) => names.map((name) => all.find(([key]) => METRICS.get(key).label === name)).find(Boolean)?.[0] ?? all[0][0];
  const now = { x: first(xs, ["srg", "deletion"]), y: first(ys, ["object_auc", "shuffled_auc"]) };
  const again = responsive(byId("plane-figure"), (width) => drawPlane(now.x, now.y, width));
  byId("plane-controls").append(
    choice("Faithfulness", xs, now.x, (value) => { now.x = value; again(); }),
    choice("Alignment", ys, now.y, (value) => { now.y = value; again(); }));
}

function drawRanks(one, width) {
  const row = 17, top = 6, names = 6 + 6.3 * Math.max(...one.methods.map((name) => name.length));
  const bars = lanes(one.cliques), right = width - 10 - 9 * (Math.max(0, ...bars) + 1) - 26;
  const x = linear(1, Math.max(one.methods.length, 2), names + 6, right), bottom = top + row * one.methods.length;
  const picture = svg("svg", { width, height: bottom + 30, role: "img", "aria-label": `Mean ranks on ${one.title}: ${one.methods.map((name, place) => `${name} ${one.ranks[place].toFixed(1)}`).join(", ")}` });
  for (const at of ticks(1, Math.max(one.methods.length, 2), 5).filter(Number.isInteger).concat(1)) picture.append(svg("line", { class: "rule", x1: x(at), x2: x(at), y1: top, y2: bottom }), label(x(at), bottom + 13, String(at), "middle", "soft"));
  one.methods.forEach((name, place) => {
    const y = top + row * (place + 0.5), kind = kindOf(name);
    picture.append(label(names, y + 4, name, "end"), svg("line", { class: "rule", x1: x(1), x2: x(one.ranks[place]), y1: y, y2: y }),
      mark(kind, x(one.ranks[place]), y), label(x(one.ranks[place]) + 8, y + 4, one.ranks[place].toFixed(1), "start", "soft"));
  });
  one.cliques.forEach(([first, last], place) => {
    const at = right + 32 + 9 * bars[place];
    picture.append(svg("line", { x1: at, x2: at, y1: top + row * first + 3, y2: top + row * (last + 1) - 3, stroke: "var(--ink)", "stroke-width": 3 }));
  });
  picture.append(label(x(1), bottom + 26, "mean rank (1 is best)", "start", "soft"));
  return picture;
}

function lanes(spans) {
  const ends = [];
  return spans.map(([first, last]) => {
    let lane = ends.findIndex((end) => end < first);
    if (lane < 0) lane = ends.length;
    ends[lane] = last;
    return lane;
  });
}

function startRanks() {
  if (!DATA.ranks.length) return absent("ranks-figure", "No primary metric ranks three methods over two videos in this run.");
  for (const one of DATA.ranks) {
    const p = one.p === null ? "" : `, Friedman p ${one.p < 0.001 ? "< .001" : `= ${told(one.p, 3)}`}`;
    const without = one.left_out.length ? `; without ${one.left_out.join(", ")}` : "";
    const box = el("div", {});
    byId("ranks-figure").append(el("figure", {}, el("figcaption", {}, one.title, " ", el("small", {}, `${one.videos} videos${p}${without}`)), box));
    responsive(box, (width) => drawRanks(one, width));
  }
}

const CURVES = { removal: { most_first: ["most salient first", "var(--most)", null], least_first: ["least salient first", "var(--least)", "5 2"] }, insertion: { insertion: ["most salient put back first", "var(--most)", null] } };

function drawCurve(rows, chance, now, ends, width) {
  const height = 132, left = 30, bottom = height - 22;
  const x = linear(0, 1, left, width - 6), y = linear(...ends, bottom, 6);
  const picture = svg("svg", { width, height, role: "img", "aria-label": rows.map((row) => `${row.order.replace("_", " ")}: ${row[now.of].map(([mean]) => told(mean)).join(", ")}`).join("; ") });
  for (const at of ticks(...ends, 4)) picture.append(svg("line", { class: "rule", x1: left, x2: width - 6, y1: y(at), y2: y(at) }), label(left - 4, y(at) + 4, tickText(at), "end", "soft"));
  for (const at of [0, 0.5, 1]) picture.append(label(x(at), bottom + 14, `${at * 100} %`, at ? (at === 1 ? "end" : "middle") : "start", "soft"));
  const path = (values) => values.map(([at, value], place) => `${place ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  for (const row of chance) picture.append(svg("path", { d: path(known(row[now.of], 0)), fill: "none", stroke: "var(--chance)", "stroke-width": 1.2, "stroke-dasharray": "2 3" }));
  for (const row of rows) {
    const [words, colour, dashes] = CURVES[now.what][row.order];
    const high = known(row[now.of], 2), low = known(row[now.of], 1).reverse();
    if (high.length) picture.append(svg("path", { d: `${path(high)}${path(low).replace("M", "L")}Z`, fill: colour, "fill-opacity": 0.16 }));
    picture.append(svg("path", { d: path(known(row[now.of], 0)), fill: "none", stroke: colour, "stroke-width": 1.8, "stroke-dasharray": dashes }, svg("title", {}, words)));
  }
  return picture;
}

function known(values, place) {
  return values.map((each, step) => [DATA.curves.steps[step], each[place]]).filter(([, value]) => value !== null);
}

function drawCurves(now) {
  const of = (method) => DATA.curves.rows.filter((row) => row.method === method && row.imputer === now.imputer && row.order in CURVES[now.what]);
  const shown = DATA.methods.filter((method) => of(method.label).length);
  const ends = extent(shown.flatMap((method) => of(method.label)).flatMap((row) => row[now.of].flat()), 0.03);
  const counts = new Set(shown.flatMap((method) => of(method.label)).map((row) => row.videos)), count = counts.size === 1 ? [...counts][0] : null;
  byId("curves-figure").replaceChildren(...shown.map((method) => {
    const box = el("div", {}), rows = of(method.label);
    const figure = el("figure", { "data-method": method.label }, el("figcaption", {}, badge(method.kind), method.label, " ", el("small", {}, count === null ? `${rows[0].videos} videos` : "")), box);
    requestAnimationFrame(() => responsive(box, (width) => drawCurve(rows, of(""), now, ends, width)));
    return figure;
  }));
  const line = (colour, dashes) => svg("svg", { class: "dot", width: 26, height: 8, style: "width:26px", "aria-hidden": "true" }, svg("line", { x1: 0, x2: 24, y1: 5, y2: 5, stroke: colour, "stroke-width": 2, "stroke-dasharray": dashes }));
  byId("curves-key").replaceChildren(...Object.values(CURVES[now.what]).flatMap(([words, colour, dashes]) => [line(colour, dashes), `${words}  `]), line("var(--chance)", "2 3"),
    `a random order. Across: share of the cells ${now.what === "removal" ? "removed" : "put back"}; up: ${now.of === "log_odds" ? "log-odds of the explained option, in nats" : "probability of the explained option"}.${count === null ? "" : ` ${count} video${count === 1 ? "" : "s"}.`}`);
}

function startCurves() {
  const rows = DATA.curves.rows;
  if (!rows.length) return absent("curves-figure", "This run has no metric that removes parts of the video (srg, deletion, insertion, comprehensiveness, sufficiency), or was made before curves were kept.");
  const imputers = [...new Set(rows.map((row) => row.imputer))];
  const whats = Object.keys(CURVES).filter((what) => rows.some((row) => row.method && row.order in CURVES[what]));
  const now = { imputer: imputers[0], what: whats[0], of: "log_odds" };
  const set = (name) => (value) => { now[name] = value; drawCurves(now); };
  byId("curves-controls").append(choice("Removal by", imputers.map((name) => [name, name]), now.imputer, set("imputer")),
    choice("Show", whats.map((name) => [name, name === "removal" ? "removal (deletion)" : "insertion"]), now.what, set("what")),
    choice("Scale", [["log_odds", "log-odds"], ["probability", "probability"]], now.of, set("of")));
  drawCurves(now);
}
