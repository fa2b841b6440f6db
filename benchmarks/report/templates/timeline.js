// The timeline under the player: the map's profile, evidence, actions, sounds and the cut; click or keys to seek.

function laneRows(sample) {
  const rows = [
    ...sample.evidence.map((one) => ({ ...one, kind: "evidence" })),
    ...sample.segments.map((one) => ({
      ...one,
      label: one.kind === "sound" && one.visible === false ? `${one.label} (source unseen)` : one.label,
    })),
  ];
  const lanes = [];
  for (const kind of ["evidence", "action", "sound"]) {
    const own = [];
    for (const one of rows.filter((row) => row.kind === kind && row.end > row.start)) {
      let lane = own.find((each) => each.every((other) => one.start >= other.end || one.end <= other.start));
      if (!lane) own.push((lane = []));
      lane.push(one);
    }
    lanes.push(...own.map((bands, place) => ({ kind, bands, named: place === 0 })));
  }
  return lanes;
}

// Returns the picture and a function that moves the cursor.
function drawTimeline(sample, map, view, width) {
  const left = 62,
    right = width - 8,
    x = linear(0, sample.end, left, right),
    tall = 46,
    step = 16;
  const lanes = laneRows(sample),
    bottom = 6 + tall + lanes.length * step + 4;
  const picture = svg("svg", { class: "timeline", width, height: bottom + 18 });
  picture.append(...profile(sample, map, view, x, tall));
  picture.append(label(left - 6, 6 + tall / 2 + 4, "map", "end", "soft"));
  lanes.forEach((lane, place) => {
    const y = 6 + tall + 4 + place * step;
    if (lane.named) picture.append(label(left - 6, y + 11, lane.kind, "end", "soft"));
    for (const band of lane.bands) picture.append(...bandShape(band, lane.kind, x, y, step));
  });
  for (const at of ticks(0, sample.end, Math.max(2, Math.min(8, width / 90))))
    picture.append(
      svg("line", { class: "axis-line", x1: x(at), x2: x(at), y1: bottom, y2: bottom + 3 }),
      label(x(at), bottom + 14, `${tickText(at)} s`, "middle", "soft"),
    );
  if (sample.cut !== null)
    picture.append(
      svg("line", {
        x1: x(sample.cut),
        x2: x(sample.cut),
        y1: 2,
        y2: bottom,
        stroke: "var(--bad)",
        "stroke-width": 1.5,
        "stroke-dasharray": "4 2",
      }),
      label(Math.min(x(sample.cut) + 3, right - 20), 10, "cut", "start", "soft"),
    );
  const cursor = svg(
    "g",
    { class: "cursor" },
    svg("line", { x1: 0, x2: 0, y1: 2, y2: bottom, stroke: "var(--paper)", "stroke-width": 4 }),
    svg("line", { x1: 0, x2: 0, y1: 2, y2: bottom, stroke: "var(--ink)", "stroke-width": 2 }),
    svg("circle", { cx: 0, cy: 4, r: 4, fill: "var(--ink)" }),
  );
  picture.append(cursor);
  return {
    picture,
    move: (time) => cursor.setAttribute("transform", `translate(${x(Math.min(time, sample.end)).toFixed(1)} 0)`),
    seconds: (at) => Math.min(Math.max((at - left) / (right - left), 0), 1) * sample.end,
  };
}

// Each explained frame's mean saliency over the interval that it stands for.
function profile(sample, map, view, x, tall) {
  const shapes = [svg("rect", { x: x(0), y: 6, width: x(sample.end) - x(0), height: tall, fill: "var(--track)" })];
  if (!map || map.missing) return shapes;
  const values = view.signed ? map.signed : map.positive,
    top = Math.max(...values.map(Math.abs)) || 1;
  const zero = view.signed ? 6 + tall / 2 : 6 + tall,
    room = view.signed ? tall / 2 : tall;
  values.forEach((value, place) => {
    const [start, end] = [map.times[place], map.times[place + 1] ?? sample.end],
      height = Math.abs(value / top) * (room - 2);
    shapes.push(
      svg(
        "rect",
        {
          x: x(start) + 0.5,
          y: value > 0 ? zero - height : zero,
          width: Math.max(x(end) - x(start) - 1, 1),
          height,
          fill: value > 0 ? "var(--most)" : "var(--least)",
        },
        svg("title", {}, `${told(start)} s: mean ${value}`),
      ),
    );
  });
  shapes.push(svg("line", { class: "axis-line", x1: x(0), x2: x(sample.end), y1: zero, y2: zero }));
  return shapes;
}

function bandShape(band, kind, x, y, step) {
  const width = Math.max(x(band.end) - x(band.start) - 1, 2),
    colour = `rgb(${DATA.colours.bands[kind].join(",")})`;
  const words = `${kind}: ${band.label}, ${told(band.start)} to ${told(band.end)} s`;
  const text = fitted(band.label, width - 6, 10.5);
  return [
    svg(
      "rect",
      { x: x(band.start), y: y + 1, width, height: step - 3, rx: 2, fill: colour, "fill-opacity": 0.85 },
      svg("title", {}, words),
    ),
    svg("text", { x: x(band.start) + 4, y: y + 11, style: "fill:#111;pointer-events:none" }, text),
  ];
}
