// The plane of faithfulness and alignment: a point for each method, with its name and both intervals.

function points(x, y) {
  const found = cells("all");
  return DATA.methods.flatMap((method) => {
    const [one, two] = [found.get(method.label)?.get(x), found.get(method.label)?.get(y)];
    return one && two && one.mean !== null && two.mean !== null
      ? [{ label: method.label, kind: method.kind, x: one, y: two }]
      : [];
  });
}

function spoken(point) {
  return `${point.label} ${told(point.x.mean)}, ${told(point.y.mean)}`;
}

function drawPlane(x, y, width) {
  const found = points(x, y),
    height = Math.max(320, Math.min(480, width * 0.6));
  if (!found.length) return el("p", { class: "undefined" }, "No method has values of both metrics.");
  const ends = (axis) =>
    extent(
      found.flatMap((one) => [one[axis].mean, one[axis].low, one[axis].high, one[axis].chance]),
      0.04,
    );
  const [left, bottom] = [46, height - 40];
  const sx = linear(...ends("x"), left, width - 12),
    sy = linear(...ends("y"), bottom, 12);
  const picture = svg("svg", {
    width,
    height,
    role: "img",
    "aria-label": `${y} against ${x}: ${found.map(spoken).join("; ")}`,
  });
  for (const at of ticks(...ends("x")))
    picture.append(
      svg("line", { class: "rule", x1: sx(at), x2: sx(at), y1: 12, y2: bottom }),
      label(sx(at), bottom + 15, tickText(at), "middle", "soft"),
    );
  for (const at of ticks(...ends("y")))
    picture.append(
      svg("line", { class: "rule", x1: left, x2: width - 12, y1: sy(at), y2: sy(at) }),
      label(left - 6, sy(at) + 4, tickText(at), "end", "soft"),
    );
  const level = (axis) => {
    const known = found.map((one) => one[axis].chance).filter((value) => value !== null);
    return known.length ? known.reduce((a, b) => a + b, 0) / known.length : null;
  };
  if (level("x") !== null)
    picture.append(svg("line", { class: "chance", x1: sx(level("x")), x2: sx(level("x")), y1: 12, y2: bottom }));
  if (level("y") !== null)
    picture.append(svg("line", { class: "chance", x1: left, x2: width - 12, y1: sy(level("y")), y2: sy(level("y")) }));
  picture.append(label(width - 12, height - 6, `${x} ${arrow(x)}`, "end"), label(4, 9, `${y} ${arrow(y)}`, "start"));
  for (const one of found) {
    const stroke = { stroke: `var(--${one.kind})`, "stroke-width": 1, "stroke-opacity": 0.4 };
    if (one.x.low !== null)
      picture.append(
        svg("line", { x1: sx(one.x.low), x2: sx(one.x.high), y1: sy(one.y.mean), y2: sy(one.y.mean), ...stroke }),
      );
    if (one.y.low !== null)
      picture.append(
        svg("line", { x1: sx(one.x.mean), x2: sx(one.x.mean), y1: sy(one.y.low), y2: sy(one.y.high), ...stroke }),
      );
  }
  const at = found.map((one) => ({ ...one, px: sx(one.x.mean), py: sy(one.y.mean) }));
  for (const one of at) {
    const shape = mark(one.kind, one.px, one.py, 4.5);
    shape.append(
      svg(
        "title",
        {},
        `${one.label}: ${x} ${told(one.x.mean)} (${interval(one.x.low, one.x.high)}), ` +
          `${y} ${told(one.y.mean)} (${interval(one.y.low, one.y.high)})`,
      ),
    );
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
  const boxes = found.map((one) => ({ x: one.px - 6, y: one.py - 6, w: 12, h: 12 })),
    shapes = [];
  const free = (box) =>
    box.x >= 2 &&
    box.x + box.w <= width &&
    box.y >= 0 &&
    box.y + box.h <= bottom &&
    boxes.every(
      (one) => box.x >= one.x + one.w || box.x + box.w <= one.x || box.y >= one.y + one.h || box.y + box.h <= one.y,
    );
  for (const one of [...found].sort((a, b) => a.py - b.py)) {
    const w = one.label.length * 6.1 + 4,
      h = 13;
    const places = [0, 12, 24, 38, 54].flatMap((away) =>
      [
        [9 + away, -6.5 - away * 0.4],
        [9 + away, -6.5 + away * 0.6],
        [-w - 9 - away, -6.5 - away * 0.4],
        [-w - 9 - away, -6.5 + away * 0.6],
        [-w / 2, -20 - away],
        [-w / 2, 8 + away],
      ].map(([dx, dy]) => ({ x: one.px + dx, y: one.py + dy, w, h, away })),
    );
    const box = places.find(free) ?? places[0];
    boxes.push(box);
    if (box.away > 0)
      shapes.push(
        svg("line", {
          x1: one.px,
          y1: one.py,
          x2: Math.min(Math.max(one.px, box.x), box.x + w),
          y2: Math.min(Math.max(one.py, box.y), box.y + h),
          stroke: "var(--soft)",
          "stroke-width": 0.6,
        }),
      );
    shapes.push(
      svg(
        "text",
        { x: box.x + 2, y: box.y + 10.5, stroke: "var(--paper)", "stroke-width": 3, "paint-order": "stroke" },
        one.label,
      ),
    );
  }
  return shapes;
}

function startPlane() {
  const keys = (wanted) => DATA.metrics.filter(wanted).map((metric) => [metric.key, metric.key]);
  const xs = keys((metric) => metric.axis === "faithfulness"),
    ys = keys((metric) => metric.axis !== "faithfulness");
  if (!xs.length || !ys.length) return absent("plane-figure", "This run has metrics of only one of the two axes.");
  const first = (all, names) =>
    names.map((name) => all.find(([key]) => METRICS.get(key).label === name)).find(Boolean)?.[0] ?? all[0][0];
  const now = { x: first(xs, ["srg", "deletion"]), y: first(ys, ["object_auc", "shuffled_auc"]) };
  const again = responsive(byId("plane-figure"), (width) => drawPlane(now.x, now.y, width));
  byId("plane-controls").append(
    choice("Faithfulness", xs, now.x, (value) => {
      now.x = value;
      again();
    }),
    choice("Alignment", ys, now.y, (value) => {
      now.y = value;
      again();
    }),
  );
}
