// Small charts, drawn as SVG: axes, lines, bars.

const WIDTH = 520;
const HEIGHT = 330;
const LEFT = 64;
const BOTTOM = 40;
const TOP = 12;
const RIGHT = 24;

const scaleX = (share) => LEFT + share * (WIDTH - LEFT - RIGHT);
const scaleY = (share, most) => TOP + (1 - share / most) * (HEIGHT - TOP - BOTTOM);

const line = (points, most, kind) =>
  draw("path", { class: `line ${kind}`, d: points[0].map((x, place) => `${place ? "L" : "M"}${scaleX(x).toFixed(1)} ${scaleY(points[1][place], most).toFixed(1)}`).join("") });

const axes = (most, xTitle, yTitle) => {
  const found = [];
  for (let tick = 0; tick <= 5; tick += 1) {
    const x = scaleX(tick / 5);
    const y = scaleY((most * tick) / 5, most);
    found.push(
      draw("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y, y2: y }),
      draw("text", { class: "quiet-text", x, y: HEIGHT - BOTTOM + 16, "text-anchor": "middle" }, `${tick * 20} %`),
      draw("text", { class: "quiet-text", x: LEFT - 6, y: y + 4, "text-anchor": "end" }, `${Number(((100 * most * tick) / 5).toFixed(1))} %`));
  }
  found.push(
    draw("line", { class: "axis", x1: LEFT, x2: WIDTH - RIGHT, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM }),
    draw("line", { class: "axis", x1: LEFT, x2: LEFT, y1: TOP, y2: HEIGHT - BOTTOM }),
    draw("text", { x: (LEFT + WIDTH) / 2, y: HEIGHT - 6, "text-anchor": "middle" }, xTitle),
    draw("text", { x: 12, y: (TOP + HEIGHT - BOTTOM) / 2, "text-anchor": "middle", transform: `rotate(-90 12 ${(TOP + HEIGHT - BOTTOM) / 2})` }, yTitle));
  return found;
};

const chart = (name, ...parts) => draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": name }, ...parts);

const showReliability = () => {
  const found = head.evaluation;
  if (found === null) {
    fill(byId("reliability"), [make("p", { class: "quiet" }, "No claim of this run has a label that counts, so nothing is known of that. Judge edges in the view Images, or label claims that are drawn at random (spatialtrust label).")]);
    return;
  }
  const rows = found.reliability.filter((row) => row.rows > 0);
  const most = Math.max(...rows.map((row) => row.rows), 1);
  const bars = rows.map((row) => draw("rect", {
    x: scaleX(row.lower) + 1, width: Math.max(scaleX(row.upper) - scaleX(row.lower) - 2, 1), fill: "var(--track)",
    y: scaleY((0.3 * row.rows) / most, 1), height: HEIGHT - BOTTOM - scaleY((0.3 * row.rows) / most, 1) }));
  const dots = rows.map((row) => draw("circle", { cx: scaleX(row.confidence), cy: scaleY(row.accuracy, 1), r: 4.5, fill: "var(--kept)" },
    draw("title", {}, `${row.rows} claims, confidence ${percent(row.confidence)}, right ${percent(row.accuracy)}`)));
  const told = Object.entries(found.asserted).map(([name, value]) => {
    const interval = value.low === null || value.low === undefined ? "" : ` [${value.low.toFixed(3)}, ${value.high.toFixed(3)}]`;
    return `${name === "accuracy" ? "accuracy" : name.toUpperCase()} ${value.value === null ? "not known" : value.value.toFixed(3)}${interval}`;
  });
  fill(byId("reliability"), [
    chart("Share right against confidence, a point a bin", axes(1, "P(what was asserted is right)", "share right"), bars,
      draw("line", { class: "guide", x1: scaleX(0), y1: scaleY(0, 1), x2: scaleX(1), y2: scaleY(1, 1) }), dots),
    make("p", { class: "quiet" }, `${number(found.labelled)} labelled claims on ${number(found.images)} images; grey bars say how many. `,
      told.length ? `As spatialtrust eval: ${told.join(", ")}.` : "Too few for figures.")]);
};

const showImportances = () => {
  const found = Object.entries(head.importances).sort((one, other) => other[1] - one[1]);
  if (!found.length) {
    fill(byId("importance"), [make("p", { class: "quiet" }, "The trust model of this run is not at hand.")]);
    return;
  }
  const most = found[0][1] || 1;
  fill(byId("importance"), [make("div", { class: "bars" }, found.map(([name, value]) => [
    make("span", {}, name),
    make("span", { class: "track" }, make("i", { style: { width: `${(100 * value) / most}%` } })),
    make("span", {}, percent(value, 0))])),
  make("p", { class: "quiet" }, "Share of the gain of its trees, by family of evidence.")]);
};
