// The operating point: every number is looked up; none is computed here.

const points = reporting ? head.figures.operating.points : [];
const atNow = () => points[state.at];

const coverageAt = (point) => {
  const curves = head.figures.curves;
  const whole = measured() ? curves.judged : curves.known;
  const part = measured() ? point.judged : point.edges;
  return whole ? Math.min(part / whole, 1) : 0;
};

const measured = () => head.figures.curves.judged > 0;

const riskAt = (point) => {
  if (measured()) return point.precision === null ? null : 1 - point.precision;
  const [x, y] = head.figures.curves.expected;
  const goal = coverageAt(point);
  if (!x.length || goal === 0) return null;
  let place = x.findIndex((value) => value >= goal - 1e-9);
  if (place < 0) place = x.length - 1;
  return y[place];
};

const showCurve = () => {
  const { edges: own, boxes, expected } = head.figures.curves;
  const drawn = measured() ? own : expected;
  if (!drawn[0].length) {
    fill(byId("curve"), [make("p", { class: "quiet" }, edgeCount ? "No edge has a probability, so there is no curve." : "This run has no candidate edges, so there is nothing to choose a threshold for.")]);
    return;
  }
  const highest = Math.max(...drawn[1], ...(measured() ? boxes[1] : []), 0.04);
  const most = Math.min(1, [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1].find((value) => value >= highest) ?? 1);
  const point = atNow();
  const x = scaleX(coverageAt(point));
  const risk = riskAt(point);
  const y = scaleY(risk ?? 0, most);
  const area = draw("rect", { class: "drag", x: LEFT, y: TOP, width: WIDTH - LEFT - RIGHT, height: HEIGHT - TOP - BOTTOM });
  const names = measured() ? [["", "edges, ranked by P(true)"], ...(boxes[0].length ? [["boxes", "by boxes alone"]] : [])] : [["expected", "as the model expects; no labels"]];
  const legend = names.map(([kind, words], place) => [
    draw("line", { class: `line ${kind}`, x1: LEFT + 12, x2: LEFT + 42, y1: TOP + 14 + 18 * place, y2: TOP + 14 + 18 * place }),
    draw("text", { x: LEFT + 48, y: TOP + 18 + 18 * place }, words)]);
  const svg = chart(`${measured() ? "Risk" : "Expected risk"} against coverage; at this threshold coverage ${percent(coverageAt(point))}, risk ${percent(risk)}`,
    axes(most, measured() ? "coverage: share of labelled candidates kept" : "coverage: share of candidates kept", measured() ? "risk: share wrong of what is kept" : "risk that the model expects"),
    line(drawn, most, measured() ? "" : "expected"),
    measured() && boxes[0].length ? line(boxes, most, "boxes") : null, legend,
    draw("line", { class: "guide", x1: x, x2: x, y1: TOP, y2: HEIGHT - BOTTOM }),
    draw("circle", { class: "handle", id: "handle", cx: x, cy: y, r: 8 }), area);
  fill(byId("curve"), [svg]);
};

// Dragging goes to the operating point whose coverage is nearest to the pointer.
const dragTo = (event) => {
  const svg = byId("curve").querySelector("svg");
  if (svg === null) return;
  const frame = svg.getBoundingClientRect();
  const goal = (((event.clientX - frame.left) / frame.width) * WIDTH - LEFT) / (WIDTH - LEFT - RIGHT);
  let best = 0;
  points.forEach((point, place) => {
    if (Math.abs(coverageAt(point) - goal) < Math.abs(coverageAt(points[best]) - goal)) best = place;
  });
  update({ at: best });
};

const figure = (name, value, small = "") => make("div", {}, make("dt", {}, name), make("dd", {}, value, small ? make("small", {}, small) : null));

const showOperating = () => {
  const point = atNow();
  byId("threshold").value = state.at;
  byId("threshold").setAttribute("aria-valuetext", String(point.threshold));
  byId("threshold-value").textContent = shownThreshold(point.threshold);
  const interval = point.low === null ? "too few for an interval" : `95 % interval by image ${percent(point.low)} to ${percent(point.high)}`;
  fill(byId("operating-figures"), [
    figure("edges kept", number(point.edges), `of ${number(point.candidates)} candidates (${percent(point.share_kept)})`),
    point.corrected || head.facts.asker !== "none" ? figure("of them corrected", number(point.corrected), "the VLM said no") : null,
    figure("denied", number(point.denied), "the opposite reaches the threshold"),
    figure("precision", percent(point.precision), point.precision === null ? "no kept edge has a label" : `${number(point.judged)} labelled; ${interval}`),
    figure("recall of correct edges", percent(point.recall), `${number(point.labelled)} candidates labelled`)]);
  fill(byId("promise"), promised(point));
  showCurve();
};

const shownThreshold = (threshold) => String(Math.round(threshold * 10000) / 10000);

const promised = (point) => {
  const promise = head.promise;
  if (promise.why) return [make("p", {}, make("strong", {}, "No certified bound is on offer: "), promise.why)];
  const found = [];
  const bound = point.bound;
  const targets = promise.targets.filter((target) => Math.fround(target.threshold) === Math.fround(point.threshold));
  const ofRun = head.figures.certified && state.at === head.figures.at && head.figures.own !== null;
  if (bound === null && !targets.length && !ofRun) found.push(make("p", {}, make("strong", {}, "No certified bound at this threshold: "), "the rows that certify are graphs that were repaired at a stricter one."));
  if (bound !== null) {
    found.push(make("p", {}, make("strong", {}, `${promise.approximate ? "Approximately, at" : "At"} most ${percent(bound.bound)} of what goes out is wrong per image`),
      `, with probability ${percent(1 - promise.delta, 0)}, on data like ${promise.calibrated_on}: ${number(bound.errors)} of ${number(bound.n)} certifying images were wrong. It holds whichever threshold you choose here (all ${head.figures.bounds} bounds hold at once).`));
  }
  const rules = [...targets.map((target) => target.rule), ...(ofRun ? [head.figures.decided_by] : [])];
  for (const rule of new Set(rules)) found.push(make("p", { class: "certified" }, make("strong", {}, "Certified: "), rule));
  return found;
};

const showMarks = () => {
  const own = head.figures.at;
  const promise = head.promise;
  const named = head.figures.own === null ? "the run has no single threshold; to" : "the run:";
  const marks = [make("button", { type: "button", onclick: () => update({ at: own }) }, `${named} ${shownThreshold(points[own].threshold)}`)];
  for (const target of promise.targets) {
    marks.push(make("button", { type: "button", class: "target", onclick: () => update({ at: nearestPoint(target.threshold) }) },
      `certified for ${percent(target.accuracy, 0)}: ${shownThreshold(target.threshold)}`));
  }
  fill(byId("marks"), marks);
};

const showOverview = () => {
  const input = byId("threshold");
  input.max = points.length - 1;
  input.addEventListener("input", () => update({ at: Number(input.value) }));
  byId("operating-text").textContent = "Drag on the curve, or move the slider. Counts are of candidates as spatialtrust decides them at this threshold, before edges are left out because others imply them; precision and recall are of those with a label.";
  let dragging = false;
  byId("curve").addEventListener("pointerdown", (event) => { dragging = true; byId("curve").setPointerCapture(event.pointerId); dragTo(event); });
  byId("curve").addEventListener("pointermove", (event) => { if (dragging) dragTo(event); });
  for (const end of ["pointerup", "pointercancel"]) byId("curve").addEventListener(end, () => { dragging = false; });
  fill(byId("notes"), head.notes.map((words) => make("li", {}, words)));
  fill(byId("facts"), [...Object.entries(head.facts), ...Object.entries(head.counts).map(([name, value]) => [name, number(value)])]
    .filter(([, value]) => value !== "").map(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
  showMarks();
  showReliability();
  showImportances();
  when("at", showOperating);
  showOperating();
};
