// Maps and boxes drawn over a frame.
const RAMPS = { signed: bytes(DATA.colours.signed), plain: bytes(DATA.colours.plain) };
const LEVELS = 127,
  FORGIVEN = 5e-4,
  GAP = 2,
  NEAR = 0.05;
const TRACKS = [
  [86, 180, 233],
  [240, 228, 66],
  [204, 121, 167],
  [0, 158, 115],
  [230, 159, 0],
];
const scratch = document.createElement("canvas");

function bytes(text) {
  return Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
}

function valuesOf(map) {
  map.cells ??= new Int8Array(bytes(map.data).buffer);
  return map.cells;
}

// The explained frame that stands for a moment: the last one at or before it; -1 before the first.
function frameAt(times, time) {
  let place = -1;
  while (place + 1 < times.length && times[place + 1] <= time + FORGIVEN) place += 1;
  return place;
}

function paintMap(context, map, time, view) {
  const frame = map.times ? frameAt(map.times, time) : -1;
  if (frame < 0) return;
  const { rows, columns } = map,
    cells = valuesOf(map),
    ramp = RAMPS[view.signed ? "signed" : "plain"];
  scratch.width = columns;
  scratch.height = rows;
  const image = new ImageData(columns, rows);
  for (let place = 0; place < rows * columns; place += 1) {
    const level = cells[frame * rows * columns + place] / LEVELS,
      value = view.signed ? level : Math.max(level, 0);
    const colour = Math.round(view.signed ? value * 127.5 + 127.5 : value * 255);
    image.data.set(
      [
        ramp[3 * colour],
        ramp[3 * colour + 1],
        ramp[3 * colour + 2],
        Math.round(255 * view.opacity * Math.abs(value) ** 0.75),
      ],
      4 * place,
    );
  }
  scratch.getContext("2d").putImageData(image, 0, 0);
  context.imageSmoothingEnabled = !view.cells;
  context.imageSmoothingQuality = "high";
  context.drawImage(scratch, 0, 0, context.canvas.width, context.canvas.height);
}

// A track's box at a moment, interpolated between annotations at most GAP seconds apart; null where unknown.
function boxAt(track, time) {
  const { times, boxes } = track;
  if (!times.length) return null;
  let after = times.findIndex((each) => each >= time);
  if (after < 0) after = times.length;
  for (const place of [after, after - 1])
    if (place >= 0 && place < times.length && Math.abs(times[place] - time) <= NEAR)
      return { box: boxes[place], hidden: track.hidden[place] };
  if (after === 0 || after === times.length || times[after] - times[after - 1] > GAP) return null;
  const share = (time - times[after - 1]) / (times[after] - times[after - 1]);
  return {
    box: boxes[after].map((value, place) => (1 - share) * boxes[after - 1][place] + share * value),
    hidden: track.hidden[after - 1],
  };
}

function isStrong(track, time) {
  return track.strong.some(([start, end]) => (start ?? 0) <= time && time < (end ?? Infinity));
}

function paintBoxes(context, tracks, time) {
  const { width, height } = context.canvas,
    unit = Math.max(width / 40, 11 * (window.devicePixelRatio || 1));
  context.font = `600 ${unit}px system-ui, sans-serif`;
  context.textBaseline = "top";
  const shown = tracks.map((track, place) => ({ track, place, strong: isStrong(track, time), at: boxAt(track, time) }));
  for (const { track, place, strong, at } of shown
    .filter((one) => one.at)
    .sort((one, two) => one.strong - two.strong)) {
    const [x1, y1, x2, y2] = at.box.map((value, side) => Math.min(Math.max(value, 0), 1) * (side % 2 ? height : width));
    if (!(x2 > x1 && y2 > y1)) continue; // covers nothing
    const colour = `rgb(${(strong ? DATA.colours.bands.evidence : TRACKS[place % TRACKS.length]).join(",")})`;
    context.setLineDash(at.hidden ? [unit / 2, unit / 3] : []);
    for (const [style, wide] of [
      ["rgba(0,0,0,.65)", strong ? 5 : 3.5],
      [colour, strong ? 3 : 1.6],
    ]) {
      context.strokeStyle = style;
      context.lineWidth = (wide * unit) / 14;
      context.strokeRect(x1, y1, x2 - x1, y2 - y1);
    }
    context.setLineDash([]);
    const text = track.label ? `${track.id} : ${track.label}` : `${track.id}`,
      wide = context.measureText(text).width + unit * 0.5;
    const left = Math.min(Math.max(x1, 0), Math.max(width - wide, 0)),
      top = y1 >= unit * 1.3 ? y1 - unit * 1.3 : Math.min(y2, height - unit * 1.3);
    context.fillStyle = "rgba(0,0,0,.7)";
    context.fillRect(left, top, wide, unit * 1.3);
    context.fillStyle = colour;
    context.fillText(text, left + unit * 0.25, top + unit * 0.18);
  }
}
