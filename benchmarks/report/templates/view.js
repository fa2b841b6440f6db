// Draws the selected sample, method and moment in the player.

// Updates everything that depends on the selected method or view.
function refresh() {
  const twin = BASE[VIEW.method].twin;
  STAGE.divided.disabled = !twin;
  STAGE.divided.title = twin ? "" : "this run has no null-divided variant of this method";
  for (const name of ["divided", "signed", "boxes", "cells"])
    STAGE[name].setAttribute("aria-pressed", String(name === "divided" ? VIEW.divided && Boolean(twin) : VIEW[name]));
  STAGE.opacity.value = String(VIEW.opacity);
  STAGE.maps.querySelectorAll("button").forEach((button, place) => {
    button.setAttribute("aria-checked", String(place === VIEW.method));
    button.tabIndex = place === VIEW.method ? 0 : -1;
    button.querySelector("span").textContent = VIEW.divided && BASE[place].twin ? BASE[place].twin : BASE[place].label;
  });
  if (!STAGE.body) return;
  drawPeak();
  STAGE.again?.();
  drawRamp();
  drawScores();
  paint();
}

// The button that leads to the map's strongest frame, and says which it is.
function drawPeak() {
  const top = peak();
  STAGE.peak.disabled = !top;
  STAGE.peak.textContent = top ? `Peak at ${told(top.time)} s (${told(100 * top.share, 0)} % of this map)` : "No peak";
}

function sized(canvas, width, height) {
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  return canvas.getContext("2d");
}

function aspect() {
  const { video } = STAGE;
  return video.videoWidth ? video.videoHeight / video.videoWidth : 0.75;
}

function paint() {
  if (!STAGE.body) return;
  STAGE.stage.style.maxWidth = `calc(72vh / ${aspect()})`; // a tall video would not fit the window
  const time = now(),
    map = shownMap(),
    ratio = Math.min(window.devicePixelRatio || 1, 2);
  const width = Math.max(Math.round(STAGE.stage.clientWidth * ratio), 1);
  const height = Math.max(Math.round(width * aspect()), 1);
  // The frame is drawn too, not only played: what lies under the map is then the very frame that it is drawn for.
  const frame = sized(STAGE.frame, width, height);
  if (STAGE.video.src && STAGE.video.readyState >= 2) frame.drawImage(STAGE.video, 0, 0, width, height);
  else frame.clearRect(0, 0, width, height);
  const context = sized(STAGE.canvas, width, height);
  context.clearRect(0, 0, width, height);
  if (map && !map.missing) paintMap(context, map, time, VIEW);
  if (VIEW.boxes) paintBoxes(context, STAGE.body.tracks, time);
  STAGE.canvas.setAttribute("aria-label", `${shownLabel()} over the video at ${told(time)} seconds`);
  STAGE.clock.textContent = `${told(time)} s of ${told(STAGE.body.end)} s`;
  STAGE.move?.(time);
  const line = STAGE.timeline;
  line.setAttribute("aria-valuenow", time.toFixed(2));
  line.setAttribute("aria-valuemax", String(STAGE.body.end));
  line.setAttribute("aria-valuetext", `${told(time)} seconds`);
  paintSmall(time);
}

function paintSmall(time) {
  STAGE.maps.querySelectorAll("canvas").forEach((canvas, place) => {
    const method = BASE[place],
      map = STAGE.body.maps[VIEW.divided && method.twin ? method.twin : method.label];
    const context = sized(canvas, 160, Math.round(160 * aspect()));
    context.fillStyle = "#000";
    context.fillRect(0, 0, canvas.width, canvas.height);
    if (STAGE.video.readyState >= 2) context.drawImage(STAGE.video, 0, 0, canvas.width, canvas.height);
    if (map && !map.missing) paintMap(context, map, time, VIEW);
  });
}

function drawWords() {
  const { body } = STAGE,
    given =
      body.probabilities.length && body.options.length
        ? body.probabilities.indexOf(Math.max(...body.probabilities))
        : -1;
  const list = body.options.map((text, place) => {
    const share = body.probabilities[place] ?? null,
      meter = el("i", {});
    meter.style.width = `${100 * (share ?? 0)}%`;
    const notes = [place === body.answer ? "correct" : null, place === given ? "chosen" : null].filter(Boolean).join(", ");
    return el(
      "li",
      { class: place === given ? "given" : "" },
      el("span", {}, String.fromCharCode(65 + place)),
      el("span", { dir: "auto" }, text),
      el("span", { class: "meter", "aria-hidden": "true" }, meter),
      el("span", {}, told(share)),
      el("span", { class: "tag", hidden: !notes }, notes),
    );
  });
  const facts = [
    body.area && ["area: ", body.area],
    body.reasoning && ["reasoning: ", body.reasoning],
    body.rule && ["evidence: ", body.rule],
    body.tags.length && ["tags: ", body.tags.join(", ")],
    body.cut !== null && [`cut at ${told(body.cut)} s`],
    body.letter_mass !== null && [`probability of the letters: ${told(body.letter_mass)}`],
  ].filter(Boolean);
  const fact = ([words, own], place) => [place ? " · " : "", words, own ? el("bdi", {}, own) : null];
  STAGE.words.replaceChildren(
    el("p", { class: "question", dir: "auto" }, body.question),
    el("ul", { class: "options" }, list),
    body.reply ? el("p", {}, "Model's free answer: ", el("bdi", {}, body.reply)) : "",
    facts.length ? el("p", { class: "key" }, facts.flatMap(fact)) : "",
  );
}

function drawScores() {
  const label = shownLabel(),
    rows = STAGE.body.scores[label] ?? [],
    map = shownMap();
  const line = ([key, value, chance, reason]) =>
    el(
      "li",
      { "data-key": key },
      el("span", { title: METRICS.get(key)?.says }, key || "map"),
      value === null
        ? el("span", { class: "undefined" }, "undefined")
        : el("b", { "data-mean": value }, told(value, 3)),
      el("span", { class: "key" }, chance === null ? "" : `chance ${told(chance, 3)}`),
      reason ? el("span", { class: "why" }, reason) : null,
    );
  STAGE.scores.replaceChildren(
    el("h3", {}, badge(kindOf(label)), label, " on this sample"),
    map?.missing ? el("p", { class: "undefined" }, `No map to show: ${map.missing}.`) : "",
    el("ul", { class: "scores", "aria-label": `Scores of ${label}` }, rows.map(line)),
  );
}

function drawRamp() {
  const ramp = RAMPS[VIEW.signed ? "signed" : "plain"],
    map = shownMap();
  const stops = [0, 64, 128, 192, 255].map((at) => `rgb(${ramp[3 * at]},${ramp[3 * at + 1]},${ramp[3 * at + 2]})`);
  STAGE.ramp.style.background = `linear-gradient(to right, ${stops.join(",")})`;
  const top = map && !map.missing && map.scale ? map.scale.toPrecision(2) : "0";
  STAGE.low.textContent = VIEW.signed ? `against −${top}` : "0";
  STAGE.high.textContent = VIEW.signed ? `${top} for` : `${top} saliency`;
}
