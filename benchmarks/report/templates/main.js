// The player's elements, the theme, and the start of every section.

function methodButtons() {
  const buttons = BASE.map((method, place) =>
    el(
      "button",
      {
        type: "button",
        role: "radio",
        "data-method": method.label,
        title: place < 9 ? `key ${place + 1}` : "",
        onclick: () => chooseMethod(place),
      },
      el("canvas", { "aria-hidden": "true" }),
      el("span", {}, method.label),
    ),
  );
  const group = el("div", { class: "maps", role: "radiogroup", "aria-label": "Method" }, buttons);
  group.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    chooseMethod(VIEW.method + by);
    group.querySelectorAll("button")[VIEW.method].focus();
  });
  return group;
}

function sampleChoice() {
  const tasks = [...new Set(DATA.samples.map((one) => one.task))];
  const entries = (task) =>
    DATA.samples.flatMap((one, place) =>
      one.task === task
        ? [el("option", { value: place, dir: "auto" }, `${one.id}${one.correct === null ? "" : one.correct ? " ✓" : " ✗"}`)]
        : [],
    );
  STAGE.select = el(
    "select",
    { id: "sample", onchange: () => choose(Number(STAGE.select.value)) },
    tasks.map((task) => el("optgroup", { label: task || "no task", dir: "auto" }, entries(task))),
  );
  return el(
    "div",
    { class: "controls" },
    el("label", {}, "Sample", STAGE.select),
    el(
      "span",
      { class: "group" },
      el("button", { type: "button", "aria-label": "Previous sample", onclick: () => choose(VIEW.sample - 1) }, "‹"),
      el("button", { type: "button", "aria-label": "Next sample", onclick: () => choose(VIEW.sample + 1) }, "›"),
    ),
    el(
      "span",
      { class: "key" },
      DATA.samples.length < DATA.head.samples
        ? `${DATA.samples.length} of ${DATA.head.samples} samples have a player; raise the limit with attrib report --players.`
        : "✓ correct answer, ✗ wrong answer",
    ),
  );
}

function viewControls() {
  for (const [name, text] of [
    ["divided", "null-divided"],
    ["signed", "negative values"],
    ["boxes", "boxes"],
    ["cells", "cells"],
  ])
    STAGE[name] = toggle(text, false, (on) => set(name, on), { id: `view-${name}` });
  STAGE.opacity = el("input", {
    type: "range",
    id: "opacity",
    min: 0,
    max: 1,
    step: 0.05,
    oninput: () => set("opacity", Number(STAGE.opacity.value)),
  });
  STAGE.play = el("button", { type: "button", id: "play", onclick: togglePlay }, "▶ Play");
  STAGE.clock = el("span", { class: "key", id: "clock" });
  STAGE.peak = el("button", { type: "button", id: "peak", onclick: toPeak }, "Peak");
  STAGE.ramp = el("span", { class: "ramp", role: "img", "aria-label": "colour scale" });
  [STAGE.low, STAGE.high] = [el("span"), el("span")];
  return [
    el(
      "div",
      { class: "controls" },
      STAGE.play,
      STAGE.clock,
      STAGE.peak,
      el(
        "span",
        { class: "group", role: "group", "aria-label": "Display options" },
        STAGE.divided,
        STAGE.signed,
        STAGE.boxes,
        STAGE.cells,
      ),
      el("label", {}, "opacity", STAGE.opacity),
    ),
    el("p", { class: "key" }, STAGE.low, " ", STAGE.ramp, " ", STAGE.high),
  ];
}

function timelineBox() {
  STAGE.timeline = el("div", {
    id: "timeline",
    role: "slider",
    tabindex: 0,
    "aria-label": "Time",
    "aria-valuemin": 0,
    "aria-valuemax": 0,
    "aria-valuenow": 0,
  });
  let pointer = null;
  const at = (event) => seek(pointer(event.clientX - STAGE.timeline.getBoundingClientRect().left));
  STAGE.again = responsive(STAGE.timeline, (width) => {
    if (!STAGE.body) return el("span");
    const line = drawTimeline(STAGE.body, shownMap(), VIEW, width);
    [STAGE.move, pointer] = [line.move, line.seconds];
    line.move(now());
    return line.picture;
  });
  STAGE.timeline.addEventListener("pointerdown", (event) => {
    if (pointer) {
      STAGE.timeline.setPointerCapture(event.pointerId);
      at(event);
    }
  });
  STAGE.timeline.addEventListener("pointermove", (event) => {
    if (event.buttons && pointer) at(event);
  });
}

function startPlayer() {
  if (!DATA.samples.length || !BASE.length) return absent("player", "No sample has a player in this report.");
  STAGE.video = el("video", { muted: true, playsinline: true, preload: "auto" });
  STAGE.video.muted = true;
  STAGE.frame = el("canvas", { id: "frame", "aria-hidden": "true" });
  STAGE.canvas = el("canvas", { id: "overlay", role: "img" });
  STAGE.stage = el("div", { class: "stage" }, STAGE.video, STAGE.frame, STAGE.canvas);
  [STAGE.words, STAGE.scores] = [el("div", {}), el("div", { id: "scores" })];
  STAGE.maps = methodButtons();
  const pick = sampleChoice(),
    controls = viewControls();
  timelineBox();
  const shortcuts = [
    ["Space", "play"],
    ["← →", "frame"],
    ["p", "peak"],
    ["Home End", "first, last"],
    ["1–9 [ ]", "method"],
    ["d", "null-divided"],
    ["n", "negatives"],
    ["b", "boxes"],
    ["g", "cells"],
    ["+ −", "opacity"],
    [", .", "sample"],
  ];
  const help = el(
    "p",
    { class: "keys" },
    "Keys within the player: ",
    shortcuts.flatMap(([key, words]) => [el("kbd", {}, key), ` ${words}  `]),
  );
  byId("player").replaceChildren(
    pick,
    el(
      "div",
      { class: "player" },
      el("div", {}, STAGE.stage, STAGE.timeline, controls, help),
      el("div", {}, STAGE.words, el("h3", {}, "Maps at this moment"), STAGE.maps),
    ),
    STAGE.scores,
  );
  byId("samples").addEventListener("keydown", keys);
  for (const name of ["loadeddata", "seeked", "timeupdate"]) STAGE.video.addEventListener(name, paint);
  STAGE.video.addEventListener("loadedmetadata", () => STAGE.video.currentTime || paint());
  STAGE.video.addEventListener("pause", () => {
    STAGE.play.textContent = "▶ Play";
  });
  STAGE.video.addEventListener("play", () => {
    STAGE.play.textContent = "❚❚ Pause";
    running();
  });
  new ResizeObserver(paint).observe(STAGE.stage);
  choose(0);
}

function running() {
  paint();
  if (!STAGE.video.paused && !STAGE.video.ended) requestAnimationFrame(running);
}

function startTheme() {
  const root = document.documentElement,
    dark = window.matchMedia("(prefers-color-scheme: dark)");
  const stored = (() => {
    try {
      return localStorage.getItem("attrib-theme");
    } catch {
      return null;
    }
  })();
  if (stored === "light" || stored === "dark") root.dataset.theme = stored;
  byId("theme").addEventListener("click", () => {
    const next = (root.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark" ? "light" : "dark";
    root.dataset.theme = next;
    try {
      localStorage.setItem("attrib-theme", next);
    } catch {
      /* a page without storage keeps it while it is open */
    }
    announce(`${next} theme`);
  });
}

const SECTIONS = {
  board: startBoard,
  "plane-figure": startPlane,
  "centre-table": startCentre,
  "ranks-figure": startRanks,
  "curves-figure": startCurves,
  "tasks-figure": startTasks,
  "sanity-table": startChecks,
  player: startPlayer,
};

startTheme();
for (const [id, start] of Object.entries(SECTIONS)) {
  try {
    start();
  } catch (error) {
    console.error(error); // an error in one section must not stop the others
    absent(id, `This section cannot be shown: ${error.message}`);
  }
}
