// Critical-difference diagrams: methods by mean rank, a bar joins those that do not differ.

function drawRanks(one, width) {
  const row = 17,
    top = 6,
    names = 6 + 6.3 * Math.max(...one.methods.map((name) => name.length));
  const bars = lanes(one.cliques),
    right = width - 10 - 9 * (Math.max(0, ...bars) + 1) - 26;
  const x = linear(1, Math.max(one.methods.length, 2), names + 6, right),
    bottom = top + row * one.methods.length;
  const spoken = one.methods.map((name, place) => `${name} ${one.ranks[place].toFixed(1)}`);
  const picture = svg("svg", {
    width,
    height: bottom + 30,
    role: "img",
    "aria-label": `Mean ranks on ${one.title}: ${spoken.join(", ")}`,
  });
  for (const at of ticks(1, Math.max(one.methods.length, 2), 5).filter(Number.isInteger).concat(1))
    picture.append(
      svg("line", { class: "rule", x1: x(at), x2: x(at), y1: top, y2: bottom }),
      label(x(at), bottom + 13, String(at), "middle", "soft"),
    );
  one.methods.forEach((name, place) => {
    const y = top + row * (place + 0.5),
      kind = kindOf(name);
    picture.append(
      label(names, y + 4, name, "end"),
      svg("line", { class: "rule", x1: x(1), x2: x(one.ranks[place]), y1: y, y2: y }),
      mark(kind, x(one.ranks[place]), y),
      label(x(one.ranks[place]) + 8, y + 4, one.ranks[place].toFixed(1), "start", "soft"),
    );
  });
  one.cliques.forEach(([first, last], place) => {
    const at = right + 32 + 9 * bars[place];
    picture.append(
      svg("line", {
        x1: at,
        x2: at,
        y1: top + row * first + 3,
        y2: top + row * (last + 1) - 3,
        stroke: "var(--ink)",
        "stroke-width": 3,
      }),
    );
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
  if (!DATA.ranks.length)
    return absent("ranks-figure", "No primary metric ranks three methods over two videos in this run.");
  for (const one of DATA.ranks) {
    const few = fewVideos(one.videos);
    if (few) {
      byId("ranks-figure").append(el("p", { class: "undefined" }, `${one.title}: ${few}`));
      continue;
    }
    const p = one.p === null ? "" : `, Friedman p ${one.p < 0.001 ? "< .001" : `= ${told(one.p, 3)}`}`;
    const without = one.left_out.length ? `; without ${one.left_out.join(", ")}` : "";
    const box = el("div", {});
    byId("ranks-figure").append(
      el(
        "figure",
        {},
        el("figcaption", {}, one.title, " ", el("small", {}, `${one.videos} videos${p}${without}`)),
        box,
      ),
    );
    responsive(box, (width) => drawRanks(one, width));
  }
}
