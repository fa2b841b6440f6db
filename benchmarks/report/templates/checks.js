// Sanity checks and behavioural floors.

function startChecks() {
  const rows = DATA.sanity;
  if (!rows.length) absent("sanity-table", "This run has no sanity checks; set sanity.videos to run them.");
  else {
    const few = fewVideos(Math.max(...rows.map((row) => row.videos)));
    const parts = [...new Set(rows.map((row) => row.part))],
      at = new Map(rows.map((row) => [`${row.method} ${row.part}`, row]));
    byId("sanity-table").replaceChildren(
      tableOf([...new Set(rows.map((row) => row.method))], parts, (method, part) => {
        const row = at.get(`${method} ${part}`);
        return row
          ? el(
              "td",
              {},
              el(
                "span",
                { class: few || row.verdict === "undefined" ? "undefined" : row.verdict },
                few && row.verdict !== "undefined"
                  ? `${row.verdict}?`
                  : `${{ pass: "✓ ", fail: "✗ " }[row.verdict] ?? ""}${row.verdict}`,
              ),
              el("span", { class: "sub" }, row.curve.replaceAll("-", "−")),
            )
          : el("td", {});
      }),
      few ? el("p", { class: "key" }, el("strong", {}, `${few} Read the verdicts as examples.`)) : "",
    );
  }
  startFloors();
}

function startFloors() {
  if (!DATA.floors.length) return absent("floors-table", "This run has no floors; set floors.videos to compute them.");
  const metrics = [...new Set(DATA.floors.map((row) => row.metric))];
  const draw = (metric) => {
    const rows = DATA.floors.filter((row) => row.metric === metric),
      floors = [...new Set(rows.map((row) => row.floor))];
    const at = new Map(rows.map((row) => [`${row.method} ${row.floor}`, row]));
    const few = fewVideos(Math.max(...rows.map((row) => row.videos)));
    byId("floors-table").replaceChildren(
      tableOf([...new Set(rows.map((row) => row.method))], floors, (method, floor) => {
        const row = at.get(`${method} ${floor}`);
        if (!row || row.difference === null) return el("td", { class: "undefined" }, "undefined");
        return el(
          "td",
          { "data-mean": row.difference },
          el(
            !few && row.low !== null && row.low > 0 ? "b" : "span",
            {},
            `${row.difference > 0 ? "+" : ""}${told(row.difference)}`,
          ),
          el("span", { class: "sub" }, row.low === null || few ? "no interval" : `${told(row.low)} to ${told(row.high)}`),
        );
      }),
      few ? el("p", { class: "key" }, el("strong", {}, few)) : "",
    );
  };
  byId("floors-controls").append(
    choice(
      "Difference (map minus floor) on",
      metrics.map((metric) => [metric, metric]),
      metrics[0],
      draw,
    ),
  );
  draw(metrics[0]);
}
