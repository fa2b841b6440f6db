"""Style of the page, and the few lines of script that join the video with the timeline."""

CSS = """
.gradio-container { max-width: 1240px !important; margin: 0 auto !important; }
.at-head h1 { font-size: 1.6rem; font-weight: 600; margin: .2rem 0 .1rem; }
.at-head p { margin: 0; color: var(--body-text-color-subdued); }
.at-empty { padding: 3rem 1rem; text-align: center; color: var(--body-text-color-subdued);
  border: 1px dashed var(--border-color-primary); border-radius: 8px; }
.at-error { padding: .6rem .8rem; border-left: 4px solid #d64545; border-radius: 4px; overflow-wrap: anywhere;
  background: color-mix(in srgb, #d64545 12%, transparent); color: var(--body-text-color); }
.at-said { font-size: 1.25rem; font-weight: 600; margin: 0 0 .5rem; overflow-wrap: anywhere; }
.at-answer table { width: 100%; border-collapse: collapse; table-layout: auto; }
.at-answer :is(table, tr, th, td) { border: 0 !important; background: none !important; }
.at-answer th { text-align: left; font-weight: 400; padding: .2rem .8rem .2rem 0; overflow-wrap: anywhere; }
.at-answer td { padding: .2rem 0; }
.at-answer td:nth-child(2) { width: 50%; vertical-align: middle; }
.at-chosen th, .at-chosen .at-number { font-weight: 600; }
.at-number { text-align: right; width: 4.5rem; white-space: nowrap; font-variant-numeric: tabular-nums; }
.at-bar { display: block; height: .7rem; border-radius: 3px; overflow: hidden;
  background: color-mix(in srgb, var(--body-text-color) 10%, transparent); }
.at-bar i { display: block; height: 100%; background: #7a8699; }
.at-chosen .at-bar i { background: #dd8500; }
.at-note, .at-failed { font-size: .85rem; color: var(--body-text-color-subdued); margin: .5rem 0 0; }
.at-failed { color: #d64545; }
.at-hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.at-plot { position: relative; cursor: pointer; }
.at-plot:focus-visible { outline: 2px solid #3c96e6; outline-offset: 4px; border-radius: 2px; }
.at-name { display: block; font-size: .85rem; line-height: 1.3; margin-top: .35rem; overflow-wrap: anywhere; }
.at-shown .at-name { font-weight: 600; }
.at-plot svg { display: block; width: 100%; height: 34px; }
.at-plot svg * { vector-effect: non-scaling-stroke; }
.at-area { fill: #7a8699; opacity: .65; }
.at-shown .at-area { fill: #dd8500; opacity: 1; }
.at-base { stroke: color-mix(in srgb, var(--body-text-color) 45%, transparent); }
.at-even { stroke: var(--body-text-color); stroke-dasharray: 3 4; opacity: .6; }
.at-axis { position: relative; height: 1.6rem; font-size: .8rem; color: var(--body-text-color-subdued);
  font-variant-numeric: tabular-nums; }
.at-axis span { position: absolute; top: .25rem; transform: translateX(-50%); white-space: nowrap; }
.at-axis span:first-child { transform: none; }
.at-axis span:last-child[style*="left: 100"] { transform: translateX(-100%); }
.at-cursor { position: absolute; top: .35rem; bottom: 1.6rem; left: 0; width: 2px; margin-left: -1px;
  background: #3c96e6; pointer-events: none; }
#at-finding .at-finding { margin: .3rem 0; }
#at-sheet img, #at-figure img { background: white; padding-top: 2.4rem; }
.gradio-container :is(textarea, input, [role="option"]) { unicode-bidi: plaintext; text-align: start; }
#at-example input { text-overflow: ellipsis; padding-right: 1.5rem; }
button[aria-label="Trim video to selection"] { display: none; } /* its editor would be fetched from elsewhere */
"""

# The rows of the plot reach from aria-valuemin to aria-valuemax seconds of the video; data-times are its frames.
SCRIPT = """<script>
(() => {
  const player = () => document.querySelector("#at-overlay video");
  const span = plot => [Number(plot.ariaValueMin), Number(plot.ariaValueMax)];
  for (const event of ["timeupdate", "seeked", "loadeddata"]) document.addEventListener(event, () => {
    const plot = document.querySelector("#at-timeline .at-plot"), video = player();
    if (!plot || !video) return;
    const [start, end] = span(plot);
    const share = Math.min(Math.max((video.currentTime - start) / (end - start), 0), 1);
    plot.querySelector(".at-cursor").style.left = 100 * share + "%";
    plot.ariaValueNow = video.currentTime.toFixed(3);
    plot.ariaValueText = video.currentTime.toFixed(2) + " s";
  }, true);
  document.addEventListener("click", event => {
    const plot = event.target.closest("#at-timeline .at-plot"), video = player();
    if (!plot || !video) return;
    const [start, end] = span(plot), box = plot.getBoundingClientRect();
    const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    video.currentTime = start + share * (end - start);
  });
  document.addEventListener("keydown", event => {
    const plot = event.target.closest("#at-timeline .at-plot"), video = player();
    if (!plot || !video || event.ctrlKey || event.altKey || event.metaKey) return;
    const [start, end] = span(plot), times = plot.dataset.times.split(" ").map(Number), now = video.currentTime;
    const next = times.find(time => time > now + 0.01) ?? end;
    const last = times.findLast(time => time < now - 0.01) ?? start;
    const moves = { ArrowRight: next, ArrowUp: next, ArrowLeft: last, ArrowDown: last, Home: start, End: end };
    if (event.key in moves) video.currentTime = moves[event.key];
    else if (event.key !== " ") return;
    else if (video.paused) video.play();
    else video.pause();
    event.preventDefault();
  });
})();
</script>"""
